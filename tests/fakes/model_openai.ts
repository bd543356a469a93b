/**
 * OpenAI's Responses API, as far as Codex uses it: `POST /v1/responses`, streamed. Tools come in the call or, grouped by
 * a namespace, in its first item; one that takes no JSON is called with the text that stands in `input`.
 */
import { z } from "zod";
import { type Asked, isPause, type Part, type Pause, pieces, REFUSED, say, USAGE } from "./model_script.ts";

const tool = z.looseObject({ type: z.string(), name: z.string().optional() });
const group = tool.extend({ tools: z.array(tool).optional() });
const content = z.union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))]).nullish();
const item = z.looseObject({
  type: z.string(),
  role: z.string().optional(),
  content,
  name: z.string().optional(),
  call_id: z.string().optional(),
  output: content,
  tools: z.array(group).optional(),
});
const responsesBody = z.looseObject({ model: z.string(), input: z.array(item), tools: z.array(group).optional() });
type Item = z.infer<typeof item>;

/** A tool that may be called, and how. */
interface Callable {
  name: string;
  type: string;
  namespace?: string;
}

const OUTPUT = /_call_output$/;
const CODES: Record<number, string> = { 401: "invalid_api_key", 429: "rate_limit_exceeded" };

export function readOpenAi(path: string, text: string): Asked | null {
  if (!path.endsWith("/responses")) return null;
  const body = responsesBody.parse(JSON.parse(text));
  const callable = [body, ...body.input].flatMap(({ tools }) => tools ?? []).flatMap(toCallable);
  const names = new Map(body.input.map((each) => [each.call_id, OUTPUT.test(each.type) ? undefined : each.name]));
  const spoken = body.input.findLastIndex(({ type, role }) => type === "message" && role !== "developer");
  return {
    model: body.model,
    said: body.input.filter(({ type }) => type === "message").map((each) => ({
      role: each.role ?? "",
      text: textOf(each.content),
    })),
    results: body.input.slice(spoken + 1).filter(({ type }) => OUTPUT.test(type)).map((each) => {
      const output = textOf(each.output);
      return { name: names.get(each.call_id) ?? "", text: output, isError: output.startsWith("Script failed") };
    }),
    tools: callable.map(({ name }) => name),
    aside: [say("Aside")],
    answer: (parts, id) => frames(parts, { id: `resp_${id}`, callable }),
    refuse: (refusal) => {
      const error = { message: REFUSED, type: "error", code: CODES[refusal.status] ?? null };
      return Response.json({ error }, refusal);
    },
  };
}

function* frames(parts: Part[], { id, callable }: { id: string; callable: Callable[] }): Generator<string | Pause> {
  const event = (type: string, more: Record<string, unknown>) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  yield event("response.created", { response: { id } });
  let index = 0;
  for (const part of parts) {
    if (isPause(part)) yield part;
    else {
      const at = { output_index: index, item_id: `${id}_${index++}` };
      for (const { type, ...more } of itemEvents(part, { at, callable })) yield event(type, { ...at, ...more });
    }
  }
  const { input, output } = USAGE;
  const usage = { input_tokens: input, output_tokens: output, total_tokens: input + output };
  yield event("response.completed", { response: { id, usage } });
}

function* itemEvents(
  part: Exclude<Part, Pause>,
  { at, callable }: { at: { item_id: string }; callable: Callable[] },
): Generator<{ type: string } & Record<string, unknown>> {
  const id = at.item_id;
  const done = (item: Record<string, unknown>) => ({ type: "response.output_item.done", item });
  if (part.kind === "text") {
    const message = (text: string) => ({
      type: "message",
      id,
      role: "assistant",
      content: text === "" ? [] : [{ type: "output_text", text }],
    });
    yield { type: "response.output_item.added", item: message("") };
    for (const delta of pieces(part.text, part.deltas)) {
      yield { type: "response.output_text.delta", content_index: 0, delta };
    }
    yield done(message(part.text));
  } else if (part.kind === "thinking") {
    const reasoning = (summary: unknown[]) => ({ type: "reasoning", id, summary, encrypted_content: "c2VjcmV0" });
    yield { type: "response.output_item.added", item: reasoning([]) };
    for (const delta of pieces(part.text, 3)) {
      yield { type: "response.reasoning_summary_text.delta", summary_index: 0, delta };
    }
    yield done(reasoning([{ type: "summary_text", text: part.text }]));
  } else {
    const { name, type, namespace } = callable.find(({ name }) => name === part.name) ??
      { name: part.name, type: "function" };
    const call = { id, call_id: `call_${crypto.randomUUID()}`, name, namespace };
    yield done(
      type === "custom"
        ? { ...call, type: "custom_tool_call", input: part.input.input }
        : { ...call, type: "function_call", arguments: JSON.stringify(part.input) },
    );
  }
}

function toCallable({ type, name, tools }: z.infer<typeof group>): Callable[] {
  if (tools) return tools.flatMap((each) => toCallable(each).map((inner) => ({ ...inner, namespace: name })));
  return name === undefined ? [] : [{ type, name }];
}

/** The text of an item, without what Codex itself tells its model. */
function textOf(read: Item["content"]): string {
  const texts = typeof read === "string" ? [read] : (read ?? []).map(({ text }) => text ?? "");
  return texts.filter((text) => !text.startsWith("<environment_context>")).join("");
}

/** Anthropic's Messages API, as far as coding agents use it: `POST /v1/messages`, streamed or whole. */
import { z } from "zod";
import { type Asked, isPause, type Part, type Pause, pieces, REFUSED, say, USAGE } from "./model_script.ts";

const block = z.looseObject({ type: z.string() });
const textOrBlocks = z.union([z.string(), z.array(block)]);
const messagesBody = z.looseObject({
  model: z.string(),
  stream: z.boolean().optional(),
  messages: z.array(z.object({ role: z.string(), content: textOrBlocks })),
  tools: z.array(z.looseObject({ name: z.string() })).optional(),
});

/** Type and first words of an error, as the service has them. */
const ERRORS: Record<number, [string, string]> = {
  401: ["authentication_error", "invalid x-api-key"],
  429: ["rate_limit_error", "This request would exceed your rate limit"],
  529: ["overloaded_error", "Overloaded"],
};

export function readAnthropic(path: string, text: string): Asked | null {
  if (!path.endsWith("/messages")) return null;
  const body = messagesBody.parse(JSON.parse(text));
  const messages = body.messages.map(({ role, content }) => ({ role, blocks: toBlocks(content) }));
  const names = new Map(
    messages.flatMap(({ blocks }) => blocks.filter((each) => each.type === "tool_use"))
      .map((each) => [String(each.id), String(each.name)]),
  );
  const last = messages.at(-1)?.blocks ?? [];
  const results = last.filter((each) => each.type === "tool_result").map((each) => ({
    name: names.get(String(each.tool_use_id)) ?? "",
    text: textOf(each.content),
    isError: each.is_error === true,
  }));
  const { model } = body;
  return {
    model,
    said: messages.map(({ role, blocks }) => ({ role, text: textOf(blocks) })),
    results,
    tools: (body.tools ?? []).map(({ name }) => name),
    aside: [say("Aside")],
    answer: (parts, id) => body.stream ? frames(parts, { id: `msg_${id}`, model }) : whole(parts, { id, model }),
    refuse: (refusal) => {
      const [type, words] = ERRORS[refusal.status] ?? ["api_error", "Internal server error"];
      const error = { type, message: `${words}: ${REFUSED}` };
      return Response.json({ type: "error", error, request_id: "req_test" }, refusal);
    },
  };
}

function* frames(parts: Part[], message: { id: string; model: string }): Generator<string | Pause> {
  const event = (data: { type: string } & Record<string, unknown>) =>
    `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  yield event({ type: "message_start", message: shell(message) });
  let index = 0;
  for (const part of parts) {
    if (isPause(part)) yield part;
    else for (const data of blockEvents(part, index++)) yield event(data);
  }
  const isTool = parts.some((part) => part.kind === "tool");
  const delta = { stop_reason: isTool ? "tool_use" : "end_turn", stop_sequence: null };
  yield event({ type: "message_delta", delta, usage: { output_tokens: USAGE.output } });
  yield event({ type: "message_stop" });
}

function shell(message: { id: string; model: string }) {
  const usage = {
    input_tokens: USAGE.input,
    output_tokens: 1,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
  };
  return { ...message, type: "message", role: "assistant", content: [], stop_reason: null, stop_sequence: null, usage };
}

/** Without a stream: what side calls and counts use. */
function whole(parts: Part[], message: { id: string; model: string }): Response {
  const content = parts.flatMap((part) => part.kind === "text" ? [{ type: "text", text: part.text }] : []);
  return Response.json({ ...shell(message), content, stop_reason: "end_turn" });
}

function* blockEvents(part: Exclude<Part, Pause>, index: number) {
  const delta = (change: Record<string, unknown>) => ({ type: "content_block_delta", index, delta: change });
  const start = (content_block: Record<string, unknown>) => ({ type: "content_block_start", index, content_block });
  if (part.kind === "text") {
    yield start({ type: "text", text: "" });
    for (const text of pieces(part.text, part.deltas)) yield delta({ type: "text_delta", text });
  } else if (part.kind === "thinking") {
    yield start({ type: "thinking", thinking: "", signature: "" });
    for (const thinking of pieces(part.text, 3)) yield delta({ type: "thinking_delta", thinking });
    yield delta({ type: "signature_delta", signature: "c2lnbmF0dXJl" });
  } else {
    yield start({
      type: "tool_use",
      id: `toolu_${crypto.randomUUID().replaceAll("-", "")}`,
      name: part.name,
      input: {},
    });
    for (const json of pieces(JSON.stringify(part.input), 3)) {
      yield delta({ type: "input_json_delta", partial_json: json });
    }
  }
  yield { type: "content_block_stop", index };
}

function toBlocks(content: z.infer<typeof textOrBlocks>): z.infer<typeof block>[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

/** The text of a message, without what the coding agent itself adds for its model. */
function textOf(content: unknown): string {
  const read = textOrBlocks.safeParse(content);
  if (!read.success) return "";
  return toBlocks(read.data)
    .map((each) => each.type === "text" && typeof each.text === "string" ? each.text : "")
    .filter((text) => !text.startsWith("<system-reminder>"))
    .join("");
}

/** Google's Gemini API, as far as its CLI uses it: `streamGenerateContent` as events, `generateContent` whole. */
import { z } from "zod";
import { type Asked, isPause, type Part, type Pause, pieces, REFUSED, say, USAGE } from "./model_script.ts";

const part = z.looseObject({
  text: z.string().optional(),
  thought: z.boolean().optional(),
  functionResponse: z.looseObject({ name: z.string(), response: z.record(z.string(), z.unknown()) }).optional(),
});
const generateBody = z.looseObject({
  contents: z.array(z.looseObject({ role: z.string().default("user"), parts: z.array(part).default([]) })),
  tools: z.array(z.looseObject({ functionDeclarations: z.array(z.looseObject({ name: z.string() })).default([]) }))
    .optional(),
});

const PATH = /\/models\/([^/:]+):(streamGenerateContent|generateContent)$/;
const STATUSES: Record<number, string> = { 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED" };

export function readGoogle(path: string, text: string): Asked | null {
  const [, model, method] = PATH.exec(path) ?? [];
  if (!model) return null;
  const body = generateBody.parse(JSON.parse(text));
  const responses = (body.contents.at(-1)?.parts ?? []).flatMap(({ functionResponse }) => functionResponse ?? []);
  return {
    model,
    said: body.contents.map(({ role, parts }) => ({
      role: role === "model" ? "assistant" : role,
      text: parts.map(textOf).join(""),
    })),
    results: responses.map(({ name, response }) => ({
      name,
      text: String(response.output ?? response.error ?? ""),
      isError: response.error !== undefined,
    })),
    tools: (body.tools ?? []).flatMap((each) => each.functionDeclarations.map(({ name }) => name)),
    // Which model suits a prompt is asked for as JSON: with nothing in it the CLI takes its usual one.
    aside: [say("{}")],
    answer: (parts, id) => method === "generateContent" ? whole(parts, id) : frames(parts, id),
    refuse: (refusal) => {
      const { status: code } = refusal;
      const error = { code, message: REFUSED, status: STATUSES[code] ?? "INTERNAL" };
      return Response.json({ error }, refusal);
    },
  };
}

function* frames(parts: Part[], responseId: string): Generator<string | Pause> {
  const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
  for (const each of parts) {
    if (isPause(each)) yield each;
    else for (const shown of toParts(each)) yield event(chunk([shown], { responseId }));
  }
  yield event(chunk([{ text: "" }], { responseId, finishReason: "STOP" }));
}

function whole(parts: Part[], responseId: string): Response {
  const shown = parts.flatMap((each) => isPause(each) ? [] : toParts(each));
  return Response.json(chunk(shown, { responseId, finishReason: "STOP" }));
}

function toParts(each: Exclude<Part, Pause>): Record<string, unknown>[] {
  switch (each.kind) {
    case "text":
      return pieces(each.text, each.deltas).map((text) => ({ text }));
    case "thinking":
      return [{ text: each.text, thought: true }];
    case "tool":
      return [{ functionCall: { id: crypto.randomUUID(), name: each.name, args: each.input } }];
  }
}

function chunk(parts: unknown[], { responseId, finishReason }: { responseId: string; finishReason?: string }) {
  const { input, output } = USAGE;
  return {
    candidates: [{ content: { role: "model", parts }, index: 0, finishReason }],
    usageMetadata: { promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output },
    responseId,
  };
}

/** The text of a part, without what the CLI itself tells its model. */
function textOf({ text, thought }: z.infer<typeof part>): string {
  return text === undefined || thought || text.startsWith("<session_context>") ? "" : text;
}

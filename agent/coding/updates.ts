/**
 * A coding agent's session updates as far as we read them, checked at the rim. Agents differ and grow: fields that
 * are malformed count as absent, kinds that are unknown keep their name so that they can be counted.
 */
import { z } from "zod";
import { type ModelRetry, readToldRetry } from "./model_retry.ts";

const contentBlock = z.looseObject({ type: z.string() }).transform(showBlock);

const chunk = z.object({ content: contentBlock, messageId: z.string().nullish().catch(null) });

const toolContent = z.union([
  z.object({ type: z.literal("content"), content: contentBlock }),
  z.object({
    type: z.literal("diff"),
    path: z.string(),
    oldText: z.string().nullish(),
    newText: z.string(),
  }),
  z.object({ type: z.string() }).transform(() => ({ type: "other" as const })),
]);

/** Absent and null both mean: unchanged. */
const toolFields = {
  toolCallId: z.string().min(1),
  title: z.string().nullish().catch(null),
  name: z.string().nullish().catch(null),
  kind: z.string().nullish().catch(null),
  status: z.enum(["pending", "in_progress", "completed", "failed"]).nullish().catch(null),
  content: z.array(toolContent).nullish().catch(null),
  locations: z.array(z.object({ path: z.string() })).nullish().catch(null),
  rawInput: z.unknown().optional(),
  rawOutput: z.unknown().optional(),
  _meta: z.looseObject({
    claudeCode: z.looseObject({ toolName: z.string().optional() }).optional().catch(undefined),
    /** What a command has said since the last update; Codex's adapter tells its output in no other way. */
    terminal_output_delta: z.looseObject({ data: z.string() }).optional().catch(undefined),
  }).nullish().catch(null),
};
export const toolCallFields = z.object(toolFields);
export type ToolCallFields = z.infer<typeof toolCallFields>;

const planEntry = z.object({ content: z.string(), status: z.string().catch("pending") });
const cost = z.object({ amount: z.number().finite().min(0), currency: z.string().catch("USD") });

const knownUpdate = z.discriminatedUnion("sessionUpdate", [
  chunk.extend({ sessionUpdate: z.literal("user_message_chunk") }),
  chunk.extend({ sessionUpdate: z.literal("agent_message_chunk") }),
  chunk.extend({ sessionUpdate: z.literal("agent_thought_chunk") }),
  z.object({ ...toolFields, sessionUpdate: z.literal("tool_call") }),
  z.object({ ...toolFields, sessionUpdate: z.literal("tool_call_update") }),
  z.object({ sessionUpdate: z.literal("plan"), entries: z.array(planEntry) }),
  z.object({ sessionUpdate: z.literal("usage_update"), cost: cost.nullish().catch(null) }),
]);
export type SessionUpdate = z.infer<typeof knownUpdate> | ModelRetry | { sessionUpdate: "unknown"; kind: string };

const notification = z.looseObject({
  sessionId: z.string(),
  update: z.looseObject({ sessionUpdate: z.string() }),
});

/** The update of a `session/update` notification; null when it holds none. */
export function readUpdate(params: unknown): { sessionId: string; update: SessionUpdate } | null {
  const read = notification.safeParse(params);
  if (!read.success) return null;
  const { sessionId, update } = read.data;
  const retry = readToldRetry(update._meta);
  if (retry) return { sessionId, update: retry };
  const known = knownUpdate.safeParse(update);
  return { sessionId, update: known.success ? known.data : { sessionUpdate: "unknown", kind: update.sessionUpdate } };
}

/** A block of content as text: what cannot be shown as text is named. */
function showBlock(block: Record<string, unknown> & { type: string }): string {
  if (block.type === "text") return typeof block.text === "string" ? block.text : "";
  if (block.type === "resource_link") return typeof block.uri === "string" ? block.uri : "[link]";
  if (block.type === "resource") return showResource(block.resource);
  return `[${block.type}]`;
}

function showResource(resource: unknown): string {
  const read = z.object({ text: z.string().optional(), uri: z.string().optional() }).safeParse(resource);
  return read.success ? read.data.text ?? read.data.uri ?? "[resource]" : "[resource]";
}

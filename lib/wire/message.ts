/** One entry of a chat session, the batch in which a node delivers them, and the pages in which people read them. */
import { z } from "zod";
import { count, timestamp, uuid } from "./common.ts";
import { BATCH_MAX_MESSAGES, PAGE_LIMIT_MAX, TOOL_METADATA_MAX_BYTES } from "./limits.ts";

export const messageRole = z.enum(["user", "assistant", "system", "tool", "thinking", "plan"]);
export type MessageRole = z.infer<typeof messageRole>;

export const toolStatus = z.enum(["executing", "completed", "failed"]);

/**
 * What a tool call did. `diff` is a unified diff of the files it changed. On the way in the whole object may be at
 * most 16 KiB of JSON; a longer diff is cut by the sender, who counts the bytes in the message's flags.
 */
export const toolMetadata = z.object({
  tool: z.string().max(200),
  target: z.string().max(2_000).nullable().optional(),
  status: toolStatus,
  toolCallId: z.string().max(200),
  input: z.unknown().optional(),
  diff: z.string().optional(),
  durationMs: count.optional(),
  permission: z.object({ outcome: z.string().max(100), by: z.string().max(100) }).optional(),
});
export type ToolMetadata = z.infer<typeof toolMetadata>;

export const messageFlags = z.object({
  interrupted: z.boolean().optional(),
  retry: z.boolean().optional(),
  truncatedBytes: count.optional(),
});
export type MessageFlags = z.infer<typeof messageFlags>;

const boundedMetadata = toolMetadata.refine(
  (value) => new TextEncoder().encode(JSON.stringify(value)).length <= TOOL_METADATA_MAX_BYTES,
  { message: `must be at most ${TOOL_METADATA_MAX_BYTES} bytes of JSON` },
);

export const batchMessage = z.object({
  messageId: uuid,
  sessionId: uuid,
  role: messageRole,
  content: z.string().min(1, "must not be empty"),
  toolMetadata: boundedMetadata.nullable().optional(),
  flags: messageFlags.nullable().optional(),
  timestamp,
});
export type BatchMessage = z.infer<typeof batchMessage>;

export const messageBatch = z.object({
  messages: z.array(batchMessage).min(1, "must hold at least one message")
    .max(BATCH_MAX_MESSAGES, `must hold at most ${BATCH_MAX_MESSAGES} messages`),
});

export const batchAnswer = z.object({ persisted: count, duplicates: count, lastSeq: count });
export type BatchAnswer = z.infer<typeof batchAnswer>;

export const message = z.object({
  seq: z.int().min(1),
  messageId: uuid,
  run: count,
  role: messageRole,
  /** Whole, or the first 4 KiB when `truncated`. */
  content: z.string(),
  contentBytes: count.optional(),
  truncated: z.boolean().optional(),
  toolMetadata: toolMetadata.nullable(),
  flags: messageFlags.nullable(),
  createdAt: timestamp,
  receivedAt: timestamp,
});
export type Message = z.infer<typeof message>;

/** `after` and `before` are exclusive; with neither the newest page comes. */
export const messagePageQuery = z.object({
  after: z.coerce.number().int().min(0).optional(),
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(100),
}).refine((query) => query.after === undefined || query.before === undefined, {
  message: "take either after or before, not both",
});
export type MessagePageQuery = z.infer<typeof messagePageQuery>;

/** Items in rising order of seq. `hasMore`: more in the direction asked for (older ones for the newest page). */
export const messagePage = z.object({ items: z.array(message), hasMore: z.boolean(), lastSeq: count });
export type MessagePage = z.infer<typeof messagePage>;

export const exportQuery = z.object({ format: z.enum(["jsonl", "md"]).default("jsonl") });

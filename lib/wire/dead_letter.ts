/**
 * Messages that a node could not deliver, on their way to the edge before the machine goes. What made them undeliverable
 * may be their very form, so little is asked of them: they are kept as they are and shown as untrusted text.
 */
import { z } from "zod";
import { count, pageQuery, text, timestamp, uuid } from "./common.ts";
import { BATCH_MAX_MESSAGES, TOOL_METADATA_MAX_BYTES } from "./limits.ts";

const boundedJson = z.unknown().refine(
  (value) => new TextEncoder().encode(JSON.stringify(value) ?? "").length <= TOOL_METADATA_MAX_BYTES,
  { message: `must be at most ${TOOL_METADATA_MAX_BYTES} bytes of JSON` },
);

export const deadLetter = z.object({
  messageId: uuid,
  workspaceId: uuid,
  sessionId: uuid,
  role: text(40),
  content: z.string(),
  toolMetadata: boundedJson.optional(),
  flags: boundedJson.optional(),
  timestamp: z.string().max(60),
  /** What the edge had answered, or null where something else was the reason. */
  status: z.int().min(100).max(599).nullable(),
  /** The problem's code, `overflow`, or a few words. */
  reason: text(200),
  /** When it became a dead letter. */
  deadAt: timestamp,
});
export type DeadLetter = z.infer<typeof deadLetter>;

export const deadLetterBatch = z.object({
  deadLetters: z.array(deadLetter).min(1, "must hold at least one dead letter")
    .max(BATCH_MAX_MESSAGES, `must hold at most ${BATCH_MAX_MESSAGES} dead letters`),
});

export const deadLetterAnswer = z.object({ persisted: count, duplicates: count });

/** As it is shown: in lists long content is cut to its first 4 KiB. */
export const keptDeadLetter = deadLetter.extend({
  contentBytes: count.optional(),
  truncated: z.boolean().optional(),
  receivedAt: timestamp,
  /** When the edge forgets it. */
  expiresAt: timestamp,
});
export type KeptDeadLetter = z.infer<typeof keptDeadLetter>;

export const deadLetterQuery = pageQuery.extend({ sessionId: uuid.optional() });
export type DeadLetterQuery = z.infer<typeof deadLetterQuery>;

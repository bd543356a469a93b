/**
 * Frames of the browser's live socket. Frames are flat; only the last frame of a commit carries `cursor`, so that a
 * connection cut half way repeats the commit, and the receiver drops by id what it has.
 */
import { z } from "zod";
import { count, timestamp, uuid } from "./common.ts";
import { message, messageRole, toolMetadata } from "./message.ts";
import { node } from "./node.ts";
import { permissionRequest } from "./permission.ts";
import { prompt, session } from "./session.ts";
import { task } from "./task.ts";
import { workspace } from "./workspace.ts";

const cursor = z.string().optional();

export const serverFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("hello"), cursor: z.string(), protocol: z.int() }),
  z.object({ type: z.literal("message.new"), sessionId: uuid, message, cursor }),
  z.object({ type: z.literal("message.updated"), sessionId: uuid, message, cursor }),
  z.object({
    type: z.literal("message.live"),
    sessionId: uuid,
    messageId: uuid,
    role: messageRole,
    rev: count,
    at: count,
    text: z.string(),
    toolMetadata: toolMetadata.nullable().optional(),
  }),
  z.object({ type: z.literal("session.created"), session, cursor }),
  z.object({ type: z.literal("session.updated"), session, cursor }),
  z.object({ type: z.literal("session.stopped"), sessionId: uuid, endedAt: timestamp, cursor }),
  /** `description` is cut to the length that lists show. */
  z.object({ type: z.literal("task.updated"), task, cursor }),
  z.object({ type: z.literal("task.deleted"), taskId: uuid, sessionId: uuid, cursor }),
  z.object({ type: z.literal("workspace.updated"), workspace, cursor }),
  z.object({ type: z.literal("node.updated"), node, cursor }),
  z.object({ type: z.literal("permission.requested"), sessionId: uuid, request: permissionRequest, cursor }),
  z.object({
    type: z.literal("permission.resolved"),
    sessionId: uuid,
    requestId: uuid,
    outcome: z.string(),
    by: z.string().nullable(),
    cursor,
  }),
  z.object({ type: z.literal("prompt.updated"), sessionId: uuid, prompt, cursor }),
  /** Nothing to show, but the cursor moves: an entry whose objects are gone. */
  z.object({ type: z.literal("cursor"), cursor: z.string() }),
  /** The cursor is too old: read the state anew, then go on from this cursor. */
  z.object({ type: z.literal("resync"), reason: z.string(), cursor: z.string() }),
  z.object({ type: z.literal("ping") }),
]);
export type ServerFrame = z.infer<typeof serverFrame>;

/**
 * How a socket begins: `after` is the last cursor taken in; `session` is followed from the first frame on, so that its
 * messages are among what was missed.
 */
export const followQuery = z.object({ after: z.string().max(200).optional(), session: uuid.optional() });

export const browserFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("subscribe"), sessionId: uuid }),
  z.object({ type: z.literal("pong") }),
]);
export type BrowserFrame = z.infer<typeof browserFrame>;

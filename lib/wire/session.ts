/** The conversation record on the edge and its waiting prompts. */
import { z } from "zod";
import { count, pageQuery, text, timestamp, uuid } from "./common.ts";
import { PROMPT_MAX } from "./limits.ts";
import { taskStatus } from "./task.ts";
import { workspaceStatus } from "./workspace.ts";

export const sessionStatus = z.enum(["pending", "active", "stopped", "error"]);
export type SessionStatus = z.infer<typeof sessionStatus>;
export const sessionTurn = z.enum(["idle", "running", "finalizing"]);

export const taskSummary = z.object({ id: uuid, title: z.string(), status: taskStatus, priority: z.int() });
export const workspaceSummary = z.object({ id: uuid, status: workspaceStatus, keptUntil: timestamp.nullable() });

export const session = z.object({
  id: uuid,
  projectId: uuid,
  taskId: uuid.nullable(),
  workspaceId: uuid.nullable(),
  topic: z.string().nullable(),
  status: sessionStatus,
  turn: sessionTurn,
  /** A waiting prompt can be sent into the turn that runs. */
  steering: z.literal(true).optional(),
  /** Permission requests that wait for a person. */
  pendingPermissions: count,
  messageCount: count,
  lastSeq: count,
  createdAt: timestamp,
  updatedAt: timestamp,
  endedAt: timestamp.nullable(),
  task: taskSummary.nullable(),
  workspace: workspaceSummary.nullable(),
});
export type Session = z.infer<typeof session>;

export const sessionListQuery = pageQuery.extend({
  taskId: uuid.optional(),
  status: sessionStatus.optional(),
  q: z.string().trim().max(200).optional(),
});
export type SessionListQuery = z.infer<typeof sessionListQuery>;

export const promptState = z.enum(["queued", "sent", "running", "done", "failed", "cancelled"]);
export type PromptState = z.infer<typeof promptState>;

export const prompt = z.object({
  messageId: uuid,
  sessionId: uuid,
  text: z.string(),
  state: promptState,
  createdAt: timestamp,
});
export type Prompt = z.infer<typeof prompt>;
export const createPrompt = z.strictObject({
  messageId: uuid,
  text: text(PROMPT_MAX),
});
export const patchPrompt = z.strictObject({ text: text(PROMPT_MAX) });

/** A checkout on a node in which a coding agent runs, and the calls by which the agent reports on it. */
import { z } from "zod";
import { branchName, money, text, timestamp, tokens, uuid, vmSize } from "./common.ts";
import { gitCredential } from "./credential.ts";
import { ERROR_MAX, PROMPT_MAX, REASON_MAX, URL_MAX } from "./limits.ts";
import { permissionMode, permissionPolicy, profileId } from "./project.ts";
import { executionStep } from "./task.ts";

export const workspaceStatus = z.enum(["creating", "ready", "running", "stopping", "stopped", "error"]);

export const workspace = z.object({
  id: uuid,
  projectId: uuid.nullable(),
  taskId: uuid.nullable(),
  run: z.int().nullable(),
  nodeId: uuid,
  sessionId: uuid.nullable(),
  ownerId: uuid,
  repositoryUrl: z.string(),
  branch: z.string(),
  vmSize,
  status: workspaceStatus,
  errorMessage: z.string().nullable(),
  keptUntil: timestamp.nullable(),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Workspace = z.infer<typeof workspace>;

export const createWorkspace = z.strictObject({
  projectId: uuid.optional(),
  repositoryUrl: text(URL_MAX).optional(),
  nodeId: uuid.optional(),
  branch: branchName.optional(),
  vmSize: vmSize.optional(),
  codingAgent: profileId.optional(),
}).refine((value) => (value.projectId === undefined) !== (value.repositoryUrl === undefined), {
  message: "name either projectId or repositoryUrl",
});
export type CreateWorkspace = z.infer<typeof createWorkspace>;

/**
 * What the agent must know to run a workspace; read again after each restart. `wanted` says what the edge wants now:
 * `run` the coding agent, `keep` the files without processes, or `stop` and remove everything.
 */
export const runtime = z.object({
  workspaceId: uuid,
  nodeId: uuid,
  projectId: uuid.nullable(),
  taskId: uuid.nullable(),
  run: z.int().nullable(),
  chatSessionId: uuid.nullable(),
  title: z.string().nullable(),
  repositoryUrl: z.string(),
  baseBranch: z.string(),
  /** Where the base branch is gone from the remote: the one to start from instead. */
  fallbackBranch: z.string().nullable().default(null),
  /** The task's branch; a manual workspace works on the base branch itself and has null here. */
  branch: z.string().nullable(),
  outputCommit: z.string().nullable(),
  codingAgent: z.string(),
  permissionMode,
  permissionPolicy: permissionPolicy.default({ reads: true, edits: true }),
  /** How long the edge lets a permission request wait. */
  permissionTimeoutMs: z.int().min(1).default(3_600_000),
  prompt: z.object({ messageId: uuid, text: z.string() }).nullable(),
  /** What the coding agent is told before the first prompt: what was said in the task that this one goes on from. */
  recap: z.string().nullable().default(null),
  limits: z.object({
    maxCostUsd: z.number().nullable(),
    maxMinutes: z.number().nullable(),
    maxTurns: z.number().nullable().default(null),
  }),
  /** Environment for the coding agent: model keys of the owner. Held in memory only. */
  credentials: z.record(z.string(), z.string()),
  /** The owner's, where it is for the repository's host; for the agent's own git alone. Held in memory only. */
  gitCredential: gitCredential.nullable().default(null),
  wanted: z.enum(["run", "keep", "stop"]),
});
export type Runtime = z.infer<typeof runtime>;

/** Absent fields stay as they are; cost and tokens only grow; each new step stamps the task's timings. */
export const workspaceReport = z.object({
  status: z.enum(["ready", "running", "stopped", "error"]).optional(),
  executionStep: executionStep.optional(),
  branch: branchName.optional(),
  costUsd: money.optional(),
  tokens: tokens.optional(),
  reason: text(ERROR_MAX).optional(),
});
export type WorkspaceReport = z.infer<typeof workspaceReport>;

export const stopReason = z.enum(["end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled"]);
export const turnReport = z.object({
  promptId: uuid,
  /** `steered`: what became of a prompt that was to be added to the turn of `into`. */
  event: z.enum(["accepted", "steered", "ended"]),
  /** With `accepted`: prompts can be added to this turn. */
  steering: z.boolean().optional(),
  into: uuid.optional(),
  /** With `steered`: it is part of that turn, or was not taken in and waits as before. */
  outcome: z.enum(["injected", "returned"]).optional(),
  stopReason: stopReason.optional(),
  /** The coding agent failed, in words for a person. */
  error: text(ERROR_MAX).optional(),
  /** The turn was cut by a crash or a restart of the agent, and may be gone on with. */
  interrupted: z.boolean().optional(),
  resumable: z.boolean().optional(),
  reason: text(REASON_MAX).optional(),
  costUsd: money.optional(),
  tokens: tokens.optional(),
});
export type TurnReport = z.infer<typeof turnReport>;

/** `ok` answers `accepted` and `steered`; the others say what comes after a turn that ended. */
export const turnAnswer = z.union([
  z.strictObject({ ok: z.literal(true) }),
  z.strictObject({ next: z.object({ messageId: uuid, text: z.string().max(PROMPT_MAX) }) }),
  z.strictObject({ finalize: z.literal(true) }),
  z.strictObject({ wait: z.literal(true) }),
  z.strictObject({ stop: z.literal(true) }),
]);
export type TurnAnswer = z.infer<typeof turnAnswer>;

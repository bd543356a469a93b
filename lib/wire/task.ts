/** A unit of work somebody submitted, its states, and every call that changes it. */
import { z } from "zod";
import { branchName, finite, money, pageQuery, text, timestamp, tokens, uuid, vmSize } from "./common.ts";
import { DEPENDENCIES_MAX, ERROR_MAX, PROMPT_MAX, REASON_MAX, SUMMARY_MAX, TITLE_MAX, URL_MAX } from "./limits.ts";
import { profileId } from "./project.ts";

export const taskStatus = z.enum([
  "draft",
  "ready",
  "queued",
  "delegated",
  "in_progress",
  "completed",
  "failed",
  "cancelled",
]);
export type TaskStatus = z.infer<typeof taskStatus>;

/** The states in which a run is under way: not editable, not deletable, watched by the sweeps. */
export const LIVE_STATUSES: readonly TaskStatus[] = ["queued", "delegated", "in_progress"];
export const EDITABLE_STATUSES: readonly TaskStatus[] = ["draft", "ready", "failed", "cancelled"];

export const executionStep = z.enum([
  "waiting_for_node",
  "selecting_node",
  "provisioning_node",
  "creating_workspace",
  "starting_agent",
  "running",
  "awaiting_prompt",
  "finalizing",
]);
export type ExecutionStep = z.infer<typeof executionStep>;

export const task = z.object({
  id: uuid,
  projectId: uuid,
  ownerId: uuid,
  sessionId: uuid,
  title: z.string(),
  description: z.string(),
  status: taskStatus,
  priority: z.int(),
  parentTaskId: uuid.nullable(),
  dependsOn: z.array(uuid),
  agentHint: z.string().nullable(),
  vmSize: vmSize.nullable(),
  run: z.int(),
  executionStep: executionStep.nullable(),
  timings: z.partialRecord(executionStep, timestamp),
  nodeId: uuid.nullable(),
  workspaceId: uuid.nullable(),
  outputBranch: z.string().nullable(),
  outputCommit: z.string().nullable(),
  outputPrUrl: z.string().nullable(),
  outputSummary: z.string().nullable(),
  warning: z.string().nullable(),
  errorMessage: z.string().nullable(),
  costUsd: z.number().nullable(),
  tokens: tokens.nullable(),
  createdAt: timestamp,
  startedAt: timestamp.nullable(),
  completedAt: timestamp.nullable(),
  updatedAt: timestamp,
});
export type Task = z.infer<typeof task>;

const priority = z.number().int().min(-1000).max(1000);
const dependsOn = z.array(uuid).max(DEPENDENCIES_MAX).transform((ids) => [...new Set(ids)]);

export const createTask = z.strictObject({
  title: text(TITLE_MAX).optional(),
  description: text(PROMPT_MAX),
  priority: priority.default(0),
  dependsOn: dependsOn.default([]),
  parentTaskId: uuid.nullable().default(null),
  agentHint: profileId.nullable().default(null),
  vmSize: vmSize.nullable().default(null),
});
export type CreateTask = z.infer<typeof createTask>;

/** A new task that starts from a completed one's branch; its coding agent too, unless another is named. */
export const continueTask = createTask.omit({ parentTaskId: true });
export type ContinueTask = z.infer<typeof continueTask>;

export const submittedTask = z.object({
  taskId: uuid,
  sessionId: uuid,
  status: z.literal("queued"),
  branchName: z.string(),
});

export const patchTask = z.strictObject({
  title: text(TITLE_MAX),
  description: text(PROMPT_MAX),
  priority,
  agentHint: profileId.nullable(),
  vmSize: vmSize.nullable(),
  dependsOn,
}).partial().refine((value) => Object.keys(value).length > 0, { message: "must name at least one field to change" });
export type PatchTask = z.infer<typeof patchTask>;

export const runTask = z.strictObject({
  vmSize: vmSize.optional(),
  vmLocation: z.string().trim().min(1).max(40).optional(),
  nodeId: uuid.optional(),
  branch: branchName.optional(),
});
export type RunTask = z.infer<typeof runTask>;

export const setTaskStatus = z.strictObject({
  toStatus: taskStatus,
  reason: text(REASON_MAX).optional(),
});

const secureUrl = text(URL_MAX).regex(/^https:\/\/[^\s]+$/, "must be an https address");

/** What the agent reports of a run. Text from a node is untrusted: sizes and patterns are checked here. */
export const taskCallback = z.object({
  toStatus: z.enum(["in_progress", "completed", "failed", "cancelled"]),
  reason: text(REASON_MAX).optional(),
  outputSummary: text(SUMMARY_MAX).optional(),
  outputBranch: branchName.optional(),
  outputCommit: z.string().regex(/^[0-9a-f]{40,64}$/, "must be a commit id").optional(),
  outputPrUrl: secureUrl.optional(),
  warning: text(ERROR_MAX).optional(),
  errorMessage: text(ERROR_MAX).optional(),
  costUsd: money.optional(),
  tokens: tokens.optional(),
});
export type TaskCallback = z.infer<typeof taskCallback>;
export const taskCallbackAnswer = z.object({ status: taskStatus.optional(), noop: z.boolean().optional() });

export const taskEvent = z.object({
  n: z.int(),
  from: taskStatus.nullable(),
  to: taskStatus,
  actor: z.enum(["user", "system", "agent"]),
  reason: z.string().nullable(),
  at: timestamp,
});
export type TaskEvent = z.infer<typeof taskEvent>;

export const taskListQuery = pageQuery.extend({
  status: taskStatus.optional(),
  minPriority: z.coerce.number().int().optional(),
  sort: z.enum(["createdAtDesc", "updatedAtDesc", "priorityDesc"]).default("createdAtDesc"),
});
export type TaskListQuery = z.infer<typeof taskListQuery>;

export const dependencyBody = z.strictObject({ dependsOnTaskId: uuid });
export const keepBody = z.strictObject({ hours: finite.min(0.1).max(24).default(2) });

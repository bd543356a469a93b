/** The agent's report on a task: it is checked in a fixed order, and a repeated one has no effect. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import type { WorkspaceRecord } from "../store/workspaces.ts";
import { readTask, type TaskRecord } from "../store/tasks.ts";
import type { TaskCallback, TaskStatus } from "../wire/task.ts";
import { finishTask, type Outcome } from "./finish.ts";
import { invalidTransition } from "./state.ts";
import { reportTurn } from "./turn.ts";

/**
 * Takes in a callback. A workspace without a task: `{noop: true}`. Throws `forbidden` when it is not the task's current
 * workspace, `invalid_transition` when the task cannot become that.
 */
export async function reportTask(
  edge: Edge,
  workspace: WorkspaceRecord,
  call: { taskId: string; body: TaskCallback },
): Promise<{ status?: TaskStatus; noop?: boolean }> {
  if (!workspace.taskId || !workspace.projectId) return { noop: true };
  const task = await readTask(edge.store, workspace.projectId, call.taskId);
  if (task?.workspaceId !== workspace.id) {
    throw new AppError("forbidden", "This workspace does not run that task now.");
  }
  if (task.status === call.body.toStatus) return { status: task.status };
  if (call.body.toStatus === "in_progress") return await reportProgress(edge, workspace, task);
  const finished = await finishTask(
    edge,
    { projectId: task.projectId, taskId: task.id, workspaceId: workspace.id },
    outcomeOf(call.body),
  );
  if (finished?.kind === "conflict") throw invalidTransition(finished.task.status, call.body.toStatus);
  return { status: call.body.toStatus };
}

async function reportProgress(
  edge: Edge,
  workspace: WorkspaceRecord,
  task: TaskRecord,
): Promise<{ status: TaskStatus }> {
  if (task.status !== "delegated") throw invalidTransition(task.status, "in_progress");
  await reportTurn(edge, workspace, { promptId: task.promptId, event: "accepted" });
  return { status: (await readTask(edge.store, task.projectId, task.id))?.status ?? task.status };
}

/** A clean end removes the checkout; whatever did not end clean is kept for a look. */
function outcomeOf(body: TaskCallback): Outcome {
  const to = body.toStatus as Outcome["to"];
  return {
    to,
    actor: "agent",
    reason: to === "failed" ? body.errorMessage ?? body.reason ?? "The coding agent failed." : body.reason ?? null,
    keep: to !== "completed" || body.warning !== undefined,
    outputs: outputsOf(body),
    costUsd: body.costUsd,
    tokens: body.tokens,
  };
}

/** What the report leaves out stays as the task has it. */
function outputsOf({ outputBranch, outputCommit, outputPrUrl, outputSummary, warning }: TaskCallback) {
  const named = Object.entries({ outputBranch, outputCommit, outputPrUrl, outputSummary, warning });
  return Object.fromEntries(named.filter(([, value]) => value !== undefined)) satisfies Outcome["outputs"];
}

/** Ending a run by hand, and what a person may do with the workspace that it leaves. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { change } from "../store/change.ts";
import { workspaceKey } from "../store/keys.ts";
import type { TaskRecord } from "../store/tasks.ts";
import { putWorkspace, readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { finishTask, keepWorkspace } from "./finish.ts";
import { discardWorkspace } from "./release.ts";
import { isTerminal } from "./state.ts";

/** No checkout is kept longer than this from now, however often it is asked for. */
const KEEP_MAX_MS = 24 * 3_600_000;

/** Cancels a task: at once, the workspace kept. A task that has ended stays as it is. */
export async function cancelTask(
  edge: Edge,
  task: TaskRecord,
  reason: string | null,
): Promise<{ task: TaskRecord; done: boolean }> {
  if (isTerminal(task.status)) return { task, done: false };
  const ref = { projectId: task.projectId, taskId: task.id };
  const finished = await finishTask(edge, ref, { to: "cancelled", actor: "user", reason, keep: true });
  return { task: finished?.task ?? task, done: finished?.kind === "finished" };
}

/** Keeps a kept workspace longer. Throws `conflict` when there is none. */
export async function keepLonger(edge: Edge, task: TaskRecord, hours: number): Promise<WorkspaceRecord> {
  const kept = await requireKept(edge, task);
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(kept.id));
    if (!entry.value || entry.value.keptUntil === null) throw notKept();
    const until = Math.min(entry.value.keptUntil + hours * 3_600_000, tx.now + KEEP_MAX_MS);
    const next = keepWorkspace(tx, entry.value, { until, failed: entry.value.status === "error" });
    return putWorkspace(tx, entry, next);
  }, edge.clock);
}

/** Removes a kept workspace now; one that is gone already stays gone. */
export async function discard(edge: Edge, task: TaskRecord): Promise<WorkspaceRecord> {
  const workspace = task.workspaceId ? await readWorkspace(edge.store, task.workspaceId) : null;
  if (workspace?.status === "stopped" || workspace?.status === "stopping") return workspace;
  const kept = await requireKept(edge, task);
  return await discardWorkspace(edge, kept.id) ?? kept;
}

async function requireKept(edge: Edge, task: TaskRecord): Promise<WorkspaceRecord> {
  const workspace = task.workspaceId ? await readWorkspace(edge.store, task.workspaceId) : null;
  if (!workspace || workspace.keptUntil === null) throw notKept();
  return workspace;
}

function notKept(): AppError {
  return new AppError(
    "conflict",
    "The task has no kept workspace. Only a run that failed, was cancelled or could not push leaves one.",
  );
}

/**
 * Live tasks whose due keys were lost: a queued one goes on, one past its deadline ends, and so does one whose workspace
 * is gone.
 */
import type { Edge } from "../../edge.ts";
import { isLive, listLiveTasks, readTask, type TaskRecord } from "../../store/tasks.ts";
import { readWorkspace } from "../../store/workspaces.ts";
import { advanceTask } from "../../tasks/advance.ts";
import { finishTask } from "../../tasks/finish.ts";
import { endOverdue } from "../../tasks/overdue.ts";
import { mendEach } from "../mend_each.ts";

/** A due key is given this long to be handled in the ordinary way. */
const GRACE_MS = 90_000;

export async function sweepTasks(edge: Edge): Promise<number> {
  return await mendEach(edge, listLiveTasks(edge.store), {
    idOf: ({ taskId }) => taskId,
    mend: (ref) => sweepTask(edge, ref),
  });
}

async function sweepTask(edge: Edge, ref: { projectId: string; taskId: string }): Promise<boolean> {
  const isOverdue = (task: TaskRecord) => edge.clock() >= deadlineOf(edge, task) + GRACE_MS;
  if (await endOverdue(edge, ref, isOverdue)) return true;
  const task = await readTask(edge.store, ref.projectId, ref.taskId);
  if (!task || !isLive(task)) return false;
  if (task.workspaceId) return await endWithoutWorkspace(edge, task);
  await advanceTask(edge, ref);
  return false;
}

function deadlineOf(edge: Edge, task: TaskRecord): number {
  return task.dues["task.deadline"]?.at ?? task.updatedAt + edge.config.TASK_MAX_RUN_MS;
}

async function endWithoutWorkspace(edge: Edge, task: TaskRecord): Promise<boolean> {
  const { projectId, id: taskId, workspaceId } = task;
  const workspace = await readWorkspace(edge.store, workspaceId!);
  if (workspace && workspace.status !== "stopped") return false;
  const finished = await finishTask(edge, { projectId, taskId, workspaceId: workspaceId! }, {
    to: "failed",
    actor: "system",
    reason: "The workspace ended before its run did.",
    keep: false,
    lost: true,
  });
  return finished?.kind === "finished";
}

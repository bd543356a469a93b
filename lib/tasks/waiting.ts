/** Tasks that wait for a node, in order of priority and age. */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { listLiveTasks, readTask, type TaskRecord } from "../store/tasks.ts";

/** How many are woken at once: the others look for themselves every minute. */
const WAKE_MAX = 20;

/** The owner's waiting tasks, the most urgent and oldest first. */
export async function listWaiting(edge: Edge, ownerId: string): Promise<TaskRecord[]> {
  const waiting: TaskRecord[] = [];
  for await (const ref of listLiveTasks(edge.store)) {
    const task = await readTask(edge.store, ref.projectId, ref.taskId);
    if (task?.ownerId === ownerId && task.executionStep === "waiting_for_node") waiting.push(task);
  }
  return waiting.sort(byUrgency);
}

/** Whether `a` comes before `b`: below zero. */
export function byUrgency(a: TaskRecord, b: TaskRecord): number {
  return b.priority - a.priority || (a.queuedAt ?? 0) - (b.queuedAt ?? 0) || (a.id < b.id ? -1 : 1);
}

/** Makes the owner's waiting tasks due now. A hint: when it fails they look for themselves within a minute. */
export async function wakeWaiting(edge: Edge, ownerId: string): Promise<void> {
  try {
    await wake(edge, (await listWaiting(edge, ownerId)).slice(0, WAKE_MAX));
  } catch (error) {
    edge.log.warn("waiting_not_woken", { ownerId, reason: messageOf(error) });
  }
}

/** Makes these tasks due now. Who of them comes first is decided when each chooses its node. */
export async function wake(edge: Edge, tasks: TaskRecord[]): Promise<void> {
  if (tasks.length === 0) return;
  await change(edge.store, (tx) => {
    tasks.forEach(({ projectId, id }) =>
      scheduleLoose(tx, { kind: "task.advance", id: `${projectId}/${id}`, at: tx.now })
    );
    return Promise.resolve();
  }, edge.clock);
}

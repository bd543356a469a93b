/** Tasks that wait for a node, in order of priority and age. */
import type { Edge } from "../edge.ts";
import { change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { listLiveTasks, readTask, type TaskRecord } from "../store/tasks.ts";

/** Makes the owner's waiting tasks due now, the most urgent and oldest first. */
export async function wakeWaiting(edge: Edge, ownerId: string): Promise<void> {
  const waiting: TaskRecord[] = [];
  for await (const ref of listLiveTasks(edge.store)) {
    const task = await readTask(edge.store, ref.projectId, ref.taskId);
    if (task?.ownerId === ownerId && task.executionStep === "waiting_for_node") waiting.push(task);
  }
  if (waiting.length === 0) return;
  waiting.sort((a, b) => b.priority - a.priority || (a.queuedAt ?? 0) - (b.queuedAt ?? 0));
  await change(edge.store, (tx) => {
    waiting.slice(0, 20).forEach((task, i) =>
      scheduleLoose(tx, { kind: "task.advance", id: `${task.projectId}/${task.id}`, at: tx.now + i })
    );
    return Promise.resolve();
  }, edge.clock);
}

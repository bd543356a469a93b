/** Live tasks whose due keys were lost: a queued one goes on, one past its deadline ends. */
import type { Edge } from "../../edge.ts";
import { listLiveTasks, readTask } from "../../store/tasks.ts";
import { advanceTask } from "../../tasks/advance.ts";
import { outcomeOfDeadline } from "../../tasks/deadlines.ts";
import { finishTask } from "../../tasks/finish.ts";

/** A due key is given this long to be handled in the ordinary way. */
const GRACE_MS = 90_000;

export async function sweepTasks(edge: Edge): Promise<number> {
  let mended = 0;
  for await (const ref of listLiveTasks(edge.store)) {
    const task = await readTask(edge.store, ref.projectId, ref.taskId);
    if (!task) continue;
    if (task.status === "queued") await advanceTask(edge, ref);
    const deadline = task.dues["task.deadline"]?.at ?? task.updatedAt + edge.config.TASK_MAX_RUN_MS;
    if (edge.clock() < deadline + GRACE_MS) continue;
    await finishTask(edge, ref, { ...outcomeOfDeadline(task, edge.config), actor: "system", keep: true });
    mended++;
  }
  return mended;
}

/** Going on from a completed task: a new task that starts from its branch, with its conversation at hand. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import type { IdempotentCall } from "../store/idempotency.ts";
import type { ProjectRecord } from "../store/projects.ts";
import type { TaskRecord } from "../store/tasks.ts";
import type { ContinueTask } from "../wire/task.ts";
import { invalidTransition } from "./state.ts";
import { submitTask } from "./submit.ts";

/** Creates and queues it. Throws `invalid_transition`, `conflict` where there is no work, and what a submission throws. */
export async function continueTask(
  edge: Edge,
  project: ProjectRecord,
  before: TaskRecord,
  call: { body: ContinueTask; userId: string; idempotency: IdempotentCall | null },
): Promise<TaskRecord> {
  if (before.status !== "completed") throw notCompleted(before);
  if (before.outputBranch === null && before.warning !== null) {
    throw new AppError("conflict", "The work of this task was not pushed, so no other task can start from it.");
  }
  const { body, userId, idempotency } = call;
  const agentHint = body.agentHint ?? before.agentHint;
  return await submitTask(edge, project, { ...body, agentHint, parentTaskId: before.id }, {
    userId,
    idempotency,
    continues: before,
  });
}

function notCompleted(task: TaskRecord): AppError {
  const { message, details } = invalidTransition(task.status, "queued");
  const way = "Only a completed task is continued. Send a prompt while it runs, or use POST …/run to start it again.";
  return new AppError("invalid_transition", `${message} ${way}`, { details });
}

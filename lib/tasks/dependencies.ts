/** What a task waits for: edges within one project, without cycles; met when the other task is completed. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { type Change, change, type Versioned } from "../store/change.ts";
import { dependentKey, POINTER, taskEdgesKey, taskKey } from "../store/keys.ts";
import { putTask, readTasks, type TaskRecord } from "../store/tasks.ts";
import { DEPENDENCIES_MAX } from "../wire/limits.ts";
import { EDITABLE_STATUSES } from "../wire/task.ts";

/** Tasks looked at while a cycle is searched for: a graph beyond that is refused. */
const WALK_MAX = 2_000;

interface EdgesVersion extends Versioned {
  version: number;
}

export interface BlockedBy {
  taskId: string;
  title: string;
  status: string;
}

/** The dependencies that are not completed, in the order given. */
export async function findUnmet(edge: Edge, projectId: string, dependsOn: string[]): Promise<BlockedBy[]> {
  const tasks = await readTasks(edge.store, projectId, dependsOn);
  return dependsOn.flatMap((taskId, i) => {
    const task = tasks[i];
    if (task?.status === "completed") return [];
    return [{ taskId, title: task?.title ?? "a deleted task", status: task?.status ?? "deleted" }];
  });
}

/** Throws `task_blocked` with the list of unmet dependencies. */
export async function requireMet(edge: Edge, projectId: string, dependsOn: string[]): Promise<void> {
  const blockedBy = await findUnmet(edge, projectId, dependsOn);
  if (blockedBy.length === 0) return;
  const names = blockedBy.slice(0, 3).map((task) => `"${task.title}"`).join(", ");
  throw new AppError(
    "task_blocked",
    `This task waits for ${blockedBy.length} other task(s) that are not completed: ${names}. ` +
      "Keep it in the backlog, and run it when they are.",
    {
      details: { blockedBy },
    },
  );
}

/** Checks the dependencies of a task that is being written and notes the edges in the same commit. */
export async function putEdges(
  tx: Change,
  edge: Edge,
  task: { id: string; projectId: string; before: string[]; after: string[] },
): Promise<void> {
  const added = task.after.filter((id) => !task.before.includes(id));
  const removed = task.before.filter((id) => !task.after.includes(id));
  if (added.length + removed.length === 0) return;
  if (task.after.includes(task.id)) throw new AppError("invalid_request", "A task cannot depend on itself.");
  const version = await tx.get<EdgesVersion>(taskEdgesKey(task.projectId));
  tx.put(version, { v: 1, version: (version.value?.version ?? 0) + 1 });
  const found = await readTasks(edge.store, task.projectId, added);
  const missing = added.filter((_, i) => !found[i]);
  if (missing.length > 0) {
    throw new AppError(
      "invalid_request",
      `dependsOn names ${missing.length} task(s) that this project does not have.`,
      {
        details: { missing },
      },
    );
  }
  await refuseCycle(edge, task);
  added.forEach((id) => tx.set(dependentKey(id, task.id), POINTER));
  removed.forEach((id) => tx.delete(dependentKey(id, task.id)));
}

/** Adds or removes one edge of a task that may be edited. Throws `not_editable`, `dependency_cycle`, `invalid_request`. */
export async function changeDependency(
  edge: Edge,
  task: TaskRecord,
  how: { dependsOnTaskId: string; add: boolean },
): Promise<TaskRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(task.projectId, task.id));
    if (!entry.value) throw new AppError("not_found", "This task was deleted meanwhile.");
    if (!EDITABLE_STATUSES.includes(entry.value.status)) {
      throw new AppError("not_editable", `A task that is ${entry.value.status} cannot be edited.`);
    }
    const before = entry.value.dependsOn;
    const others = before.filter((id) => id !== how.dependsOnTaskId);
    const after = how.add ? [...others, how.dependsOnTaskId] : others;
    if (after.length > DEPENDENCIES_MAX) {
      throw new AppError("limit_reached", `A task may wait for at most ${DEPENDENCIES_MAX} others.`);
    }
    if (after.length === before.length) return entry.value;
    await putEdges(tx, edge, { id: task.id, projectId: task.projectId, before, after });
    return putTask(tx, entry, { ...entry.value, dependsOn: after });
  }, edge.clock);
}

async function refuseCycle(edge: Edge, task: { id: string; projectId: string; after: string[] }): Promise<void> {
  const seen = new Set<string>();
  let level = task.after;
  while (level.length > 0) {
    if (level.includes(task.id)) {
      throw new AppError("dependency_cycle", "These dependencies would make the task wait for itself.");
    }
    level.forEach((id) => seen.add(id));
    if (seen.size > WALK_MAX) throw new AppError("limit_reached", "The graph of dependencies is too large to check.");
    const tasks = await readTasks(edge.store, task.projectId, level);
    level = [...new Set(tasks.flatMap((each) => each?.dependsOn ?? []))].filter((id) => !seen.has(id));
  }
}

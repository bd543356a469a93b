/** The states of a task: which transitions there are, and which of them a person may make by hand. Pure. */
import { AppError } from "../errors.ts";
import type { TaskEventInput, TaskRecord } from "../store/tasks.ts";
import type { TaskStatus } from "../wire/task.ts";

const TRANSITIONS: Record<TaskStatus, readonly TaskStatus[]> = {
  draft: ["ready", "cancelled"],
  ready: ["queued", "cancelled"],
  queued: ["delegated", "failed", "cancelled"],
  delegated: ["in_progress", "failed", "cancelled"],
  in_progress: ["completed", "failed", "cancelled"],
  failed: ["ready", "cancelled"],
  cancelled: ["ready"],
  completed: [],
};

const BY_HAND: Partial<Record<TaskStatus, readonly TaskStatus[]>> = {
  draft: ["ready", "cancelled"],
  ready: ["cancelled"],
  failed: ["ready"],
  cancelled: ["ready"],
};

/** What leads to a state that is not set by hand. */
const WAY_TO: Partial<Record<TaskStatus, string>> = {
  queued: "Use POST …/run to start it.",
  delegated: "Use POST …/run to start it.",
  in_progress: "Use POST …/run to start it.",
  cancelled: "Use POST …/cancel while it runs.",
  ready: "Use POST …/cancel first.",
  completed: "Only its agent reports that, with POST …/status/callback.",
  failed: "Only its agent reports that, with POST …/status/callback.",
};

export type Actor = TaskEventInput["actor"];

export function canTransition(from: TaskStatus, to: TaskStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Whether a run can be started from here. */
export function isStartable(status: TaskStatus): boolean {
  return ["draft", "ready", "failed", "cancelled"].includes(status);
}

/** Whether there is no way on but a new run. */
export function isTerminal(status: TaskStatus): boolean {
  return ["completed", "failed", "cancelled"].includes(status);
}

/** The event of one allowed transition. Throws `invalid_transition` for any other. */
export function transition(
  task: Pick<TaskRecord, "status">,
  to: TaskStatus,
  by: { actor: Actor; reason?: string | null },
): TaskEventInput {
  if (!canTransition(task.status, to)) throw invalidTransition(task.status, to);
  return { from: task.status, to, actor: by.actor, reason: by.reason ?? null };
}

/** Throws `invalid_transition`, naming the call to use, unless a person may set this state by hand. */
export function checkByHand(from: TaskStatus, to: TaskStatus): void {
  if (BY_HAND[from]?.includes(to)) return;
  const way = from === "completed" ? "Create a new task." : WAY_TO[to] ?? "";
  throw new AppError("invalid_transition", `A task that is ${from} cannot be set to ${to} by hand. ${way}`.trim(), {
    details: { from, to },
  });
}

/** The events on the way from a startable state to queued: each step is in the trail. */
export function eventsToQueued(from: TaskStatus, by: { actor: Actor; reason?: string | null }): TaskEventInput[] {
  const events: TaskEventInput[] = [];
  if (from !== "ready") events.push(transition({ status: from }, "ready", by));
  return [...events, transition({ status: "ready" }, "queued", by)];
}

export function invalidTransition(from: TaskStatus, to: TaskStatus): AppError {
  return new AppError("invalid_transition", `A task that is ${from} cannot become ${to}.`, { details: { from, to } });
}

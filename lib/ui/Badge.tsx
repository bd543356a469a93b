/** States as small marks: a task's status in words, a session's status as a dot. Colour never carries it alone. */
import type { Session } from "../wire/session.ts";
import type { Task, TaskStatus } from "../wire/task.ts";
import { plural, SESSION_STATUS, TASK_STATUS } from "./labels.ts";

export function StatusBadge({ status }: { status: TaskStatus }) {
  const passing = status === "queued" || status === "delegated";
  return (
    <span class={`badge badge-${status}`}>
      {passing || status === "in_progress" ? <span class="spinner" aria-hidden="true" /> : null}
      {TASK_STATUS[status]}
    </span>
  );
}

/** The coding agent waits for somebody's answer. */
export function AsksBadge({ count }: { count: number }) {
  if (count === 0) return null;
  return <span class="badge badge-asks" title={`${plural(count, "question")} for you`}>Asks you</span>;
}

/** Pulses while the session is live; tells its state to those who do not see it. */
export function SessionDot({ session }: { session: Pick<Session, "status"> }) {
  const live = session.status === "active";
  return (
    <span class={`dot dot-${session.status}${live ? " pulse" : ""}`} title={SESSION_STATUS[session.status]}>
      <span class="sr-only">{SESSION_STATUS[session.status]}</span>
    </span>
  );
}

export function Priority({ task }: { task: Pick<Task, "priority"> }) {
  if (task.priority === 0) return null;
  const sign = task.priority > 0 ? "+" : "−";
  return <span class="priority" title={`Priority ${task.priority}`}>{`${sign}${Math.abs(task.priority)}`}</span>;
}

/** The audit trail of a task: every change of its state, by whom and why. */
import type { TaskEvent } from "../wire/task.ts";
import { ACTOR, TASK_STATUS } from "./labels.ts";
import { Empty, Notice, Skeleton } from "./Notice.tsx";
import { Time } from "./Time.tsx";

export interface HistoryProps {
  /** Null while they are being read. */
  events: TaskEvent[] | null;
  error: string | null;
  onRetry: () => void;
}

export function History({ events, error, onRetry }: HistoryProps) {
  if (error) {
    const retry = <button type="button" class="button" onClick={onRetry}>Retry</button>;
    return <Notice kind="error" title="The history could not be loaded" action={retry}>{error}</Notice>;
  }
  if (!events) return <Skeleton lines={5} />;
  if (events.length === 0) return <Empty title="Nothing has happened yet" />;
  return (
    <ol class="history">
      {events.map((event) => (
        <li key={event.n}>
          <span class={`badge badge-${event.to}`}>{TASK_STATUS[event.to]}</span>
          <span class="history-text">
            {ACTOR[event.actor]}
            {event.reason ? ` · ${event.reason}` : ""}
          </span>
          <Time at={event.at} />
        </li>
      ))}
    </ol>
  );
}

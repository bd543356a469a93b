/** The sessions of a project, newest activity first: topic, live dot, task, time, and a mark when the machine is gone. */
import type { Session } from "../wire/session.ts";
import { AsksBadge, SessionDot, StatusBadge } from "./Badge.tsx";
import { Icon } from "./Icon.tsx";
import { Empty, Skeleton } from "./Notice.tsx";
import { Time } from "./Time.tsx";
import { isArchived } from "./views.ts";

export interface SessionListProps {
  sessions: Session[];
  selectedId: string | null;
  hrefOf: (sessionId: string) => string;
  onSelect: (sessionId: string) => void;
  more?: { busy: boolean; onMore: () => void } | null;
  /** The list is what a search has found. */
  search?: { busy: boolean; onClear: () => void } | null;
}

export function SessionList({ sessions, selectedId, hrefOf, onSelect, more, search }: SessionListProps) {
  if (sessions.length === 0 && search) {
    if (search.busy) return <Skeleton lines={3} />;
    const clear = <button type="button" class="button small" onClick={search.onClear}>Clear the search</button>;
    return <Empty title="No session fits" action={clear}>Topics and titles of tasks are searched.</Empty>;
  }
  if (sessions.length === 0) {
    return <Empty title="No sessions yet">Describe a task below and press Run Now to start the first one.</Empty>;
  }
  return (
    <>
      <ul class="session-list">
        {sessions.map((session) => (
          <li key={session.id}>
            <SessionLink
              session={session}
              selected={session.id === selectedId}
              href={hrefOf(session.id)}
              onSelect={onSelect}
            />
          </li>
        ))}
      </ul>
      {more?.busy ? <Skeleton lines={3} /> : null}
      {more && !more.busy
        ? <button type="button" class="button quiet wide" onClick={more.onMore}>Show older sessions</button>
        : null}
    </>
  );
}

interface SessionLinkProps {
  session: Session;
  selected: boolean;
  href: string;
  onSelect: (sessionId: string) => void;
}

function SessionLink({ session, selected, href, onSelect }: SessionLinkProps) {
  const topic = session.topic ?? session.task?.title ?? "Untitled session";
  return (
    <a
      class={selected ? "session-link selected" : "session-link"}
      href={href}
      aria-current={selected ? "page" : undefined}
      data-session={session.id}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        onSelect(session.id);
      }}
    >
      <SessionDot session={session} />
      <span class="session-topic">{topic}</span>
      <span class="session-meta">
        <AsksBadge count={session.pendingPermissions} />
        {session.task
          ? (
            <span class="session-task" title={session.task.title}>
              <StatusBadge status={session.task.status} />
              {session.task.title !== topic ? <span class="session-task-title">{session.task.title}</span> : null}
            </span>
          )
          : null}
        {isArchived(session)
          ? (
            <span class="archived" title="The workspace is gone">
              <Icon name="archive" />
              <span class="sr-only">Archived: the workspace is gone</span>
            </span>
          )
          : null}
        <Time at={session.updatedAt} />
      </span>
    </a>
  );
}

/** The sessions, with their state, last activity and number of messages; begins new ones and ends old ones. */
import { useSignal } from "@preact/signals";
import { ConfirmButton } from "../../../lib/ui/ConfirmButton.tsx";
import { Icon } from "../../../lib/ui/Icon.tsx";
import { plural } from "../../../lib/ui/labels.ts";
import { Empty } from "../../../lib/ui/Notice.tsx";
import { Time } from "../../../lib/ui/Time.tsx";
import type { SessionSummary } from "../../../lib/wire/chat_engine.ts";
import { createSession, destroySession, switchSession } from "./actions.ts";
import { activeId, isCreating, sessions } from "./state.ts";

const STATUS: Record<SessionSummary["status"], string> = {
  creating: "Starting",
  active: "Active",
  idle: "Idle",
  terminated: "Ended",
};

export function Sidebar() {
  const isOpen = useSignal(false);
  return (
    <nav class={isOpen.value ? "engine-side open" : "engine-side"} aria-label="Sessions">
      <div class="engine-side-head">
        <button
          type="button"
          class="icon-button engine-menu"
          aria-label="Show the sessions"
          aria-expanded={isOpen.value ? "true" : "false"}
          onClick={() => (isOpen.value = !isOpen.value)}
        >
          <Icon name="menu" />
        </button>
        <h1>Sessions</h1>
        <button type="button" class="button primary small" disabled={isCreating.value} onClick={createSession}>
          {isCreating.value ? <span class="spinner" aria-hidden="true" /> : <Icon name="plus" />}
          {isCreating.value ? "Creating…" : "New Session"}
        </button>
      </div>
      <div class="engine-side-list">
        {isCreating.value ? <p class="engine-creating" role="status">Creating a session…</p> : null}
        {sessions.value.length === 0 && !isCreating.value
          ? <Empty title="No sessions yet">Press New Session to begin one.</Empty>
          : null}
        <ul class="session-list">
          {sessions.value.map((session) => (
            <li key={session.session_id}>
              <SessionRow session={session} onSelect={() => (isOpen.value = false)} />
            </li>
          ))}
        </ul>
      </div>
    </nav>
  );
}

function SessionRow({ session, onSelect }: { session: SessionSummary; onSelect: () => void }) {
  const { session_id: id, status, last_active_at, message_count } = session;
  const selected = id === activeId.value;
  return (
    <div class={selected ? "engine-row selected" : "engine-row"}>
      <button
        type="button"
        class="engine-session"
        data-session={id}
        aria-current={selected ? "true" : undefined}
        onClick={() => {
          onSelect();
          switchSession(id);
        }}
      >
        <span class="engine-session-id">{`Session ${id.slice(-6)}`}</span>
        <span class="engine-session-meta">
          <span class="engine-session-status">{STATUS[status]}</span>
          <Time at={last_active_at} />
          <span>{plural(message_count, "message")}</span>
        </span>
      </button>
      {selected
        ? (
          <ConfirmButton class="button quiet small" question="End?" onConfirm={() => destroySession(id)}>
            End
          </ConfirmButton>
        )
        : null}
    </div>
  );
}

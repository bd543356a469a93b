/** The session that is shown: its messages, what there is to say about it, and the field to write in. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Composer } from "../../../lib/ui/Composer.tsx";
import { Empty, Notice } from "../../../lib/ui/Notice.tsx";
import { duration } from "../../../lib/ui/time.ts";
import { Transcript } from "../../../lib/ui/Transcript.tsx";
import {
  createSession,
  editWaiting,
  interrupt,
  loadOlder,
  removeWaiting,
  resumeSession,
  say,
  useHere,
} from "./actions.ts";
import { activeId, activeView, connection, isElsewhere, loadingOlder, refusal, setView } from "./state.ts";
import { emptyView, type SessionView } from "./view.ts";

export function ChatPanel({ now }: { now: number }) {
  const id = activeId.value;
  const text = useSignal("");
  useInterruptKey();
  if (isElsewhere.value) return <Elsewhere />;
  if (id === null) {
    return (
      <div class="engine-empty">
        <Refusal />
        <Empty title="No session is open">Press New Session to begin one, or choose one from the list.</Empty>
      </div>
    );
  }
  const view = activeView() ?? emptyView();
  return (
    <section class="engine-chat" aria-label="Conversation">
      <Transcript
        sessionId={id}
        transcript={view}
        running={view.running}
        loadError={null}
        loadingOlder={loadingOlder.value}
        emptyHint="Write a message below. With the demo coding agent, try: say hello"
        onReload={() => {}}
        onOlder={() => void loadOlder(id)}
        onWhole={() => Promise.resolve()}
      />
      <div class="engine-dock">
        <Refusal />
        <Notices id={id} view={view} now={now} />
        <Composer
          state={{ show: true, enabled: true, hint: view.running ? "Queue a message…" : "Write a message…" }}
          text={text}
          waiting={view.waiting.map((waiting, at) => ({
            messageId: String(at),
            sessionId: id,
            text: waiting,
            state: "queued",
            createdAt: "",
          }))}
          running={view.running}
          onSend={(prompt) => Promise.resolve(say(id, prompt))}
          onInterrupt={() => interrupt(id)}
          onRemove={({ messageId }) => removeWaiting(id, Number(messageId))}
          onEdit={({ messageId }, changed) => {
            editWaiting(id, { index: Number(messageId), text: changed });
            return Promise.resolve(true);
          }}
        />
      </div>
    </section>
  );
}

function Notices({ id, view, now }: { id: string; view: SessionView; now: number }) {
  const { warning, failure, ended, notice } = view;
  const again = () => {
    const last = view.messages.findLast(({ role }) => role === "user");
    if (last) say(id, last.content);
  };
  const clear = () => setView(id, (each) => ({ ...each, failure: null }));
  return (
    <>
      {warning && warning.untilMs > now
        ? <Notice kind="warning">{`${duration(warning.untilMs - now)} left. ${warning.text}`}</Notice>
        : null}
      {notice ? <Notice kind="info">{notice}</Notice> : null}
      {failure
        ? (
          <Notice
            kind="error"
            action={<FailureAction action={failure.action} onRetry={again} onClear={clear} id={id} />}
          >
            {failure.text}
          </Notice>
        )
        : null}
      {ended
        ? (
          <Notice
            kind="warning"
            title="The session ended"
            action={
              <span class="engine-actions">
                {ended.reason === "user_requested"
                  ? null
                  : <button type="button" class="button" onClick={() => void resumeSession(id)}>Resume</button>}
                <button type="button" class="button" onClick={createSession}>Start New Session</button>
              </span>
            }
          >
            {ended.text}
          </Notice>
        )
        : null}
    </>
  );
}

interface FailureActionProps {
  action: NonNullable<SessionView["failure"]>["action"];
  id: string;
  onRetry: () => void;
  onClear: () => void;
}

function FailureAction({ action, id, onRetry, onClear }: FailureActionProps) {
  switch (action) {
    case "retry":
      return <button type="button" class="button" onClick={onRetry}>Retry</button>;
    case "resume":
      return <button type="button" class="button" onClick={() => void resumeSession(id)}>Resume</button>;
    case "new_session":
      return <NewSession />;
    default:
      return <button type="button" class="button" onClick={onClear}>Dismiss</button>;
  }
}

function NewSession() {
  return <button type="button" class="button" onClick={createSession}>Start New Session</button>;
}

function Refusal() {
  return refusal.value === null ? null : <Notice kind="error">{refusal.value}</Notice>;
}

function Elsewhere() {
  return (
    <div class="engine-empty">
      <Empty
        title="Open in another window"
        action={<button type="button" class="button primary" onClick={useHere}>Use here</button>}
      >
        This session was opened in another window.
      </Empty>
    </div>
  );
}

/** Ctrl+Shift+X ends the turn, wherever the focus is. */
function useInterruptKey(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.ctrlKey || !event.shiftKey || event.key.toLowerCase() !== "x") return;
      event.preventDefault();
      const id = activeId.value;
      if (id !== null && connection.value === "connected") interrupt(id);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

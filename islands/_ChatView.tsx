/** The selected session: what it is about, its messages, and the field for follow-ups while it is live. */
import { Permissions } from "./_Permissions.tsx";
import { Composer } from "../lib/ui/Composer.tsx";
import { Empty } from "../lib/ui/Notice.tsx";
import { SessionHeader } from "../lib/ui/SessionHeader.tsx";
import { Transcript } from "../lib/ui/Transcript.tsx";
import { composerOf, waitingPrompts } from "../lib/ui/views.ts";
import type { Session } from "../lib/wire/session.ts";
import { useProjectPage } from "./_page.ts";

const CONTINUE = { show: true, enabled: true, hint: "Continue from this branch with a new task…" } as const;

export function ChatView() {
  const { store } = useProjectPage();
  const session = store.selected.value;
  const selectedId = store.state.value.selectedId;
  if (!session && selectedId && !store.loadErrors.value[selectedId]) return <Messages sessionId={selectedId} />;
  if (!session) {
    return (
      <div class="transcript-frame centred">
        {store.sessions.value.length === 0
          ? (
            <Empty title="Nothing has run here yet">
              Describe a task below and press Run Now. The coding agent works on its own branch; you can watch, answer,
              or close the page.
            </Empty>
          )
          : (
            <Empty title="This session cannot be shown">
              {store.loadErrors.value[selectedId ?? ""] ?? "Pick another one from the list."}
            </Empty>
          )}
      </div>
    );
  }
  return (
    <>
      <Head session={session} />
      <Messages sessionId={session.id} session={session} />
      <FollowUp session={session} />
    </>
  );
}

function Head({ session }: { session: Session }) {
  const { project, store, actions, dialog } = useProjectPage();
  const task = session.taskId ? store.state.value.tasks[session.taskId] ?? null : null;
  const taskId = session.taskId ?? "";
  return (
    <SessionHeader
      session={session}
      task={task}
      node={store.state.value.nodes[task?.nodeId ?? ""] ?? null}
      userId={store.userId}
      settings={project.settings}
      busy={actions.busy.value.has(taskId)}
      onRun={() => void actions.run(taskId)}
      onCancel={() => void actions.cancel(taskId)}
      onKeep={() => void actions.keep(taskId)}
      onDiscard={() => void actions.discard(taskId)}
      onHistory={() => (dialog.value = { kind: "history", taskId })}
    />
  );
}

function Messages({ sessionId, session }: { sessionId: string; session?: Session }) {
  const { store, actions } = useProjectPage();
  const asks = (session?.pendingPermissions ?? 0) + (store.state.value.permissions[sessionId]?.length ?? 0);
  return (
    <Transcript
      sessionId={sessionId}
      transcript={store.transcript.value}
      running={session?.status === "active" && session.turn === "running"}
      loadError={store.loadErrors.value[sessionId] ?? null}
      loadingOlder={store.loadingOlder.value}
      emptyHint={session?.status === "pending"
        ? "This task has not run yet. Start it with Run."
        : "Messages appear here as the coding agent works."}
      onReload={() => void store.loadMessages(sessionId)}
      onOlder={() => void store.loadOlder()}
      onWhole={(seq) => actions.loadWhole(sessionId, seq)}
      tail={asks > 0 && session ? <Permissions session={session} /> : null}
    />
  );
}

function FollowUp({ session }: { session: Session }) {
  const { store, actions, prompts } = useProjectPage();
  const state = composerOf(session);
  if (!state.show && session.task?.status === "completed") return <GoOn session={session} taskId={session.task.id} />;
  if (!state.show) return null;
  const shown = new Set(store.transcript.value.messages.slice(-200).map((message) => message.messageId));
  return (
    <Composer
      key={session.id}
      state={state}
      text={prompts.textOf(session.id)}
      waiting={waitingPrompts(store.state.value.prompts[session.id], shown)}
      running={session.turn === "running"}
      onSend={(text) => actions.prompt(session.id, text)}
      onInterrupt={() => void actions.interrupt(session.id)}
      onRemove={(prompt) => void actions.removePrompt(prompt)}
      onSteer={session.steering && ((prompt) => void actions.steerPrompt(prompt))}
      onEdit={(prompt, text) => actions.editPrompt(prompt, text)}
    />
  );
}

/** Under a completed task: what is sent becomes a new task, from its branch and with its conversation at hand. */
function GoOn({ session, taskId }: { session: Session; taskId: string }) {
  const { actions, navigation, prompts, store } = useProjectPage();
  const send = async (text: string) => {
    const taken = await actions.continue(taskId, text);
    const { selectedId } = store.state.peek();
    if (taken && selectedId) navigation.showSession(selectedId);
    return taken;
  };
  return (
    <Composer
      key={`${session.id}-continue`}
      label="Continue with a new task"
      state={CONTINUE}
      text={prompts.textOf(session.id)}
      waiting={[]}
      running={false}
      onSend={send}
      onInterrupt={() => {}}
      onRemove={() => {}}
      onEdit={() => Promise.resolve(false)}
    />
  );
}

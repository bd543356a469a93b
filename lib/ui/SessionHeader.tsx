/** What the selected session is about and how it goes: title, state, step, outcome, and what can be done now. */
import { useContext } from "preact/hooks";
import type { Node } from "../wire/node.ts";
import type { Project } from "../wire/project.ts";
import type { Session } from "../wire/session.ts";
import type { Task } from "../wire/task.ts";
import { SessionDot, StatusBadge } from "./Badge.tsx";
import { ClockContext } from "./clock.ts";
import { ConfirmButton } from "./ConfirmButton.tsx";
import { Icon } from "./Icon.tsx";
import { STEP } from "./labels.ts";
import { Notice } from "./Notice.tsx";
import { RunFacts } from "./RunFacts.tsx";
import { SessionMenu } from "./SessionMenu.tsx";
import { remaining } from "./time.ts";
import { canOpen, isArchived, isLive, runLabel } from "./views.ts";

export interface SessionHeaderProps {
  session: Session;
  /** The whole task where the page has it; the session carries its summary. */
  task: Task | null;
  /** The machine of the task's run, where it is known. */
  node: Node | null;
  /** Who reads this. */
  userId: string;
  /** The project's settings. */
  settings: Project["settings"];
  busy: boolean;
  onRun: () => void;
  onCancel: () => void;
  onKeep: () => void;
  onDiscard: () => void;
  onHistory: () => void;
}

export function SessionHeader(props: SessionHeaderProps) {
  const { session, task, node, userId } = props;
  const title = task?.title ?? session.task?.title ?? session.topic ?? "Untitled session";
  const status = task?.status ?? session.task?.status;
  return (
    <header class="session-header">
      <div class="session-title-row">
        <SessionDot session={session} />
        <h2 class="session-title" title={title}>{title}</h2>
        <Actions {...props} />
        <WorkspaceLink session={session} />
        <SessionMenu session={session} node={node} userId={userId} onHistory={props.onHistory} />
      </div>
      <div class="facts">
        {status ? <StatusBadge status={status} /> : null}
        {task && isLive(task) && task.executionStep
          ? <span class="step">{STEP[task.executionStep]}{task.executionStep === "running" ? "…" : ""}</span>
          : null}
        {task ? <RunFacts task={task} node={node} settings={props.settings} /> : null}
        {isArchived(session)
          ? (
            <span class="archived">
              <Icon name="archive" />
              Workspace is gone
            </span>
          )
          : null}
      </div>
      {task ? <Trouble {...props} task={task} /> : null}
      {task && !isLive(task) && session.workspace?.keptUntil
        ? <Kept {...props} until={session.workspace.keptUntil} />
        : null}
    </header>
  );
}

/** To the files, the changes and a terminal, as long as they are there. */
function WorkspaceLink({ session: { workspace } }: { session: Session }) {
  if (!workspace || !canOpen(workspace)) return null;
  return (
    <a class="button open-workspace" href={`/workspaces/${workspace.id}`}>
      <Icon name="folder" />
      Open workspace
    </a>
  );
}

function Actions({ task, busy, onRun, onCancel }: SessionHeaderProps) {
  if (!task) return null;
  if (isLive(task)) {
    return (
      <button type="button" class="button" disabled={busy} onClick={onCancel}>
        <Icon name="stop" />
        Cancel
      </button>
    );
  }
  const label = runLabel(task.status);
  // Retry of a failed run stands beside its reason.
  if (!label || task.status === "failed") return null;
  return (
    <button type="button" class="button" disabled={busy} onClick={onRun}>
      <Icon name={label === "Run" ? "play" : "retry"} />
      {label}
    </button>
  );
}

function Trouble({ task, busy, onRun }: SessionHeaderProps & { task: Task }) {
  const retry = (
    <button type="button" class="button" disabled={busy} onClick={onRun}>
      <Icon name="retry" />
      Retry
    </button>
  );
  return (
    <>
      {task.status === "failed"
        ? (
          <Notice kind="error" title="This run failed" action={retry}>
            {task.errorMessage ?? "The agent gave no reason."}
          </Notice>
        )
        : null}
      {task.warning ? <Notice kind="warning" title="Finished with a warning">{task.warning}</Notice> : null}
    </>
  );
}

/** The checkout of a run that has ended is still on its machine, for a while. */
function Kept({ busy, until, onKeep, onDiscard }: SessionHeaderProps & { until: string }) {
  const clock = useContext(ClockContext);
  const left = clock ? remaining(until, clock.value.now) : "";
  return (
    <div class="kept" role="group" aria-label="Kept workspace">
      <Icon name="folder" />
      <span>{left ? `The workspace is kept for ${left}.` : "The workspace is being removed."}</span>
      <span class="kept-actions">
        <button type="button" class="button small" disabled={busy} onClick={onKeep}>Keep 2 h longer</button>
        <ConfirmButton
          class="button small quiet"
          question="Discard its files for good?"
          disabled={busy}
          onConfirm={onDiscard}
        >
          Discard workspace
        </ConfirmButton>
      </span>
    </div>
  );
}

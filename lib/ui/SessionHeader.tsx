/** What the selected session is about and how it goes: title, state, step, branch, cost, and what can be done now. */
import type { Session } from "../wire/session.ts";
import type { Task } from "../wire/task.ts";
import { SessionDot, StatusBadge } from "./Badge.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { Icon } from "./Icon.tsx";
import { cost, STEP } from "./labels.ts";
import { Notice } from "./Notice.tsx";
import { isArchived, isLive, runLabel } from "./views.ts";

export interface SessionHeaderProps {
  session: Session;
  /** The whole task where the page has it; the session carries its summary. */
  task: Task | null;
  busy: boolean;
  onRun: () => void;
  onCancel: () => void;
}

export function SessionHeader(props: SessionHeaderProps) {
  const { session, task } = props;
  const title = task?.title ?? session.task?.title ?? session.topic ?? "Untitled session";
  const status = task?.status ?? session.task?.status;
  return (
    <header class="session-header">
      <div class="session-title-row">
        <SessionDot session={session} />
        <h2 class="session-title" title={title}>{title}</h2>
        <Actions {...props} />
      </div>
      <div class="facts">
        {status ? <StatusBadge status={status} /> : null}
        {task && isLive(task) && task.executionStep
          ? <span class="step">{STEP[task.executionStep]}{task.executionStep === "running" ? "…" : ""}</span>
          : null}
        {task ? <Outcome task={task} /> : null}
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
    </header>
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

function Outcome({ task }: { task: Task }) {
  const spent = cost(task.costUsd);
  return (
    <>
      {spent ? <span title="Cost of this run">{spent}</span> : null}
      {task.run > 1 ? <span>{`Run ${task.run}`}</span> : null}
      {task.outputBranch
        ? (
          <span class="branch">
            <Icon name="branch" />
            <code>{task.outputBranch}</code>
            <CopyButton text={task.outputBranch} label="Copy the branch name" />
          </span>
        )
        : null}
      {task.outputCommit ? <code class="commit" title={task.outputCommit}>{task.outputCommit.slice(0, 8)}</code> : null}
      {task.outputPrUrl
        ? <a class="link" href={task.outputPrUrl} target="_blank" rel="noopener noreferrer">Pull request</a>
        : null}
    </>
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

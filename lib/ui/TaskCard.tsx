/** One task on the board: title, state, whether it is live, what it cost, and what can be done with it now. */
import { useSignal } from "@preact/signals";
import type { Options } from "../wire/account.ts";
import type { Project } from "../wire/project.ts";
import { EDITABLE_STATUSES, type Task } from "../wire/task.ts";
import { AsksBadge, Priority, StatusBadge } from "./Badge.tsx";
import { ConfirmButton } from "./ConfirmButton.tsx";
import { cost, plural, STEP } from "./labels.ts";
import { lazy } from "./lazy.ts";
import type { TaskDraft } from "./task_draft.ts";
import { Time } from "./Time.tsx";
import { isLive, runLabel } from "./views.ts";

export interface TaskCardActions {
  onOpen: (task: Task) => void;
  onRun: (task: Task) => void;
  onCancel: (task: Task) => void;
  onDelete: (task: Task) => void;
  /** The whole description: lists carry only its beginning. */
  onRead: (task: Task) => Promise<Task | null>;
  onSave: (task: Task, draft: TaskDraft) => Promise<boolean>;
}

export interface TaskCardProps extends TaskCardActions {
  task: Task;
  href: string;
  selected: boolean;
  busy: boolean;
  /** Requests of its coding agent that wait for an answer. */
  asks?: number;
  project: Project;
  options: Options;
  /** All of the project's that the page knows. */
  tasks: () => readonly Task[];
  /** Titles of the tasks that this one waits for. */
  waitsFor: readonly string[];
}

const CardEditor = lazy(() => import("./CardEditor.tsx").then((loaded) => loaded.CardEditor));

export function TaskCard(props: TaskCardProps) {
  const { task, href, selected, busy } = props;
  const editing = useSignal<Task | null>(null);
  if (editing.value && EDITABLE_STATUSES.includes(task.status)) {
    return <CardEditor {...props} task={editing.value} onClose={() => (editing.value = null)} />;
  }
  const edit = async () => {
    editing.value = await props.onRead(task);
  };
  const run = runLabel(task.status);
  return (
    <div class={selected ? "card selected" : "card"} data-task={task.id}>
      <a
        class="card-link"
        href={href}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
          event.preventDefault();
          props.onOpen(task);
        }}
      >
        {task.title}
      </a>
      <div class="card-meta">
        <StatusBadge status={task.status} />
        <AsksBadge count={props.asks ?? 0} />
        <Priority task={task} />
        {cost(task.costUsd) ? <span>{cost(task.costUsd)}</span> : null}
        <Time at={task.updatedAt} />
      </div>
      {isLive(task) && task.executionStep ? <p class="card-note">{STEP[task.executionStep]}</p> : null}
      <Waiting titles={isLive(task) || task.status === "completed" ? [] : props.waitsFor} />
      {task.status === "failed" && task.errorMessage ? <p class="card-note failed">{task.errorMessage}</p> : null}
      {task.warning ? <p class="card-note warned">{task.warning}</p> : null}
      <div class="card-actions">
        {run
          ? (
            <button type="button" class="button small" disabled={busy} onClick={() => props.onRun(task)}>
              {run}
            </button>
          )
          : null}
        {isLive(task)
          ? (
            <button type="button" class="button small" disabled={busy} onClick={() => props.onCancel(task)}>
              Cancel
            </button>
          )
          : null}
        {task.status === "draft" || task.status === "ready"
          ? <button type="button" class="button small quiet" disabled={busy} onClick={() => void edit()}>Edit</button>
          : null}
        {isLive(task) ? null : (
          <ConfirmButton
            class="button small quiet"
            question="Delete for good?"
            disabled={busy}
            onConfirm={() => props.onDelete(task)}
          >
            Delete
          </ConfirmButton>
        )}
      </div>
    </div>
  );
}

function Waiting({ titles }: { titles: readonly string[] }) {
  if (titles.length === 0) return null;
  const what = titles.length === 1 ? titles[0] : plural(titles.length, "task");
  return <p class="card-note" title={titles.join("\n")}>{`Waits for ${what}`}</p>;
}

/**
 * The form for a new task, at the foot of every project page. Run Now starts it at once, the menu saves it to the
 * backlog. While it is being sent nothing can be pressed twice; success clears the text, a failure keeps it.
 */
import { type Signal, useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useRef } from "preact/hooks";
import type { Options } from "../wire/account.ts";
import type { Project } from "../wire/project.ts";
import type { Task } from "../wire/task.ts";
import { useAutoGrow } from "./auto_grow.ts";
import { Icon } from "./Icon.tsx";
import { lazy } from "./lazy.ts";
import { SplitButton } from "./SplitButton.tsx";
import { checkDraft, type DraftProblem, NEW_DRAFT, type TaskDraft } from "./task_draft.ts";

export type SubmitKind = "run" | "backlog";

/** Why a task was not taken, and where to go about it. */
export interface SubmitFailure {
  message: string;
  link?: { href: string; label: string };
}

export interface TaskFormProps {
  project: Project;
  options: Options;
  draft: Signal<TaskDraft>;
  /** The project's tasks, for what a new one may wait for. */
  tasks: () => readonly Task[];
  onSubmit: (kind: SubmitKind, draft: TaskDraft) => Promise<SubmitFailure | null>;
}

const TaskFields = lazy(() => import("./TaskFields.tsx").then((loaded) => loaded.TaskFields));

export function TaskForm({ project, options, draft, tasks, onSubmit }: TaskFormProps) {
  const busy = useSignal(false);
  const problem = useSignal<DraftProblem | null>(null);
  const failure = useSignal<SubmitFailure | null>(null);
  const advanced = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useAutoGrow(field, draft.value.description);

  const submit = async (kind: SubmitKind) => {
    if (busy.value) return;
    failure.value = null;
    problem.value = checkDraft(draft.value);
    if (problem.value) {
      if (problem.value.field === "priority") advanced.value = true;
      else field.current?.focus();
      return;
    }
    busy.value = true;
    failure.value = await onSubmit(kind, draft.value);
    busy.value = false;
    if (!failure.value) draft.value = NEW_DRAFT;
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      void submit("run");
    }
  };
  const wrong = problem.value?.field === "description" ? problem.value.message : null;

  return (
    <form
      class="task-form"
      aria-label="New task"
      onSubmit={(event) => {
        event.preventDefault();
        void submit("run");
      }}
    >
      {failure.value ? <Failure failure={failure.value} /> : null}
      <div class="task-form-box">
        <textarea
          ref={field}
          id="task-text"
          class="field grow"
          rows={1}
          aria-label="New task"
          placeholder="New task…"
          value={draft.value.description}
          readOnly={busy.value}
          aria-invalid={wrong ? "true" : undefined}
          aria-describedby={wrong ? "task-text-error" : undefined}
          onInput={(event) => {
            draft.value = { ...draft.value, description: event.currentTarget.value };
            if (problem.value?.field === "description") problem.value = null;
          }}
          onKeyDown={onKeyDown}
        />
        <div class="task-form-actions">
          <button
            type="button"
            class="button quiet"
            aria-expanded={advanced.value ? "true" : "false"}
            aria-controls="task-advanced"
            onClick={() => (advanced.value = !advanced.value)}
          >
            <Icon name="settings" />
            <span class="wide-only">Options</span>
            <span class="sr-only narrow-only">Options</span>
          </button>
          <SplitButton
            label="Run Now"
            menuLabel="More ways to save"
            busy={busy.value}
            disabled={busy.value}
            onPrimary={() => void submit("run")}
            options={[{
              label: "Save to Backlog",
              hint: "Keep it as a draft, run it whenever",
              onSelect: () => void submit("backlog"),
            }]}
          />
        </div>
      </div>
      {wrong ? <p class="field-error" id="task-text-error" role="alert">{wrong}</p> : null}
      <div id="task-advanced" hidden={!advanced.value}>
        {advanced.value
          ? (
            <TaskFields
              idPrefix="new-task"
              draft={draft}
              problem={problem.value}
              project={project}
              options={options}
              disabled={busy.value}
              tasks={tasks}
            />
          )
          : null}
      </div>
    </form>
  );
}

function Failure({ failure }: { failure: SubmitFailure }) {
  return (
    <p class="form-failure" role="alert">
      <Icon name="warning" />
      <span>
        {failure.message} {failure.link ? <a class="link" href={failure.link.href}>{failure.link.label}</a> : null}
      </span>
    </p>
  );
}

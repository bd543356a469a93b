/** The fields that a new task and an edited one share: priority, what it waits for, coding agent, size of the machine. */
import type { Signal } from "@preact/signals";
import type { Options } from "../wire/account.ts";
import type { Project } from "../wire/project.ts";
import type { Task } from "../wire/task.ts";
import { Icon } from "./Icon.tsx";
import { VM_SIZE } from "./labels.ts";
import { agentLabel, candidatesFor, type DraftProblem, type TaskDraft } from "./task_draft.ts";

export interface TaskFieldsProps {
  idPrefix: string;
  draft: Signal<TaskDraft>;
  problem: DraftProblem | null;
  project: Project;
  options: Options;
  disabled: boolean;
  /** The project's tasks, to choose from which ones this one waits for. */
  tasks: () => readonly Task[];
  /** The task that is edited. */
  taskId?: string;
}

export function TaskFields(props: TaskFieldsProps) {
  const { idPrefix, draft, problem, project, options, disabled } = props;
  const change = (part: Partial<TaskDraft>) => (draft.value = { ...draft.value, ...part });
  const wrong = problem?.field === "priority" ? problem.message : null;
  return (
    <div class="task-fields">
      <label class="labelled">
        <span>Priority</span>
        <input
          class="field"
          inputMode="numeric"
          placeholder="0"
          value={draft.value.priority}
          disabled={disabled}
          aria-invalid={wrong ? "true" : undefined}
          aria-describedby={wrong ? `${idPrefix}-priority-error` : undefined}
          onInput={(event) => change({ priority: event.currentTarget.value })}
        />
        {wrong ? <span class="field-error" id={`${idPrefix}-priority-error`} role="alert">{wrong}</span> : null}
      </label>
      <label class="labelled">
        <span>Coding agent</span>
        <select
          class="field"
          disabled={disabled}
          onChange={(event) => change({ agentHint: event.currentTarget.value })}
        >
          <option value="" selected={draft.value.agentHint === ""}>
            {`Default (${agentLabel(options, project.codingAgent)})`}
          </option>
          {options.codingAgents.map((agent) => (
            <option key={agent.id} value={agent.id} selected={draft.value.agentHint === agent.id}>{agent.label}</option>
          ))}
        </select>
      </label>
      <label class="labelled">
        <span>VM size</span>
        <select
          class="field"
          disabled={disabled}
          onChange={(event) => {
            const size = options.vmSizes.find((each) => each === event.currentTarget.value);
            change({ vmSize: size ?? "" });
          }}
        >
          <option value="" selected={draft.value.vmSize === ""}>
            {`Default (${VM_SIZE[project.defaultVmSize ?? "small"]})`}
          </option>
          {options.vmSizes.map((size) => (
            <option key={size} value={size} selected={draft.value.vmSize === size}>{VM_SIZE[size]}</option>
          ))}
        </select>
      </label>
      <Dependencies {...props} />
    </div>
  );
}

/** What the task waits for: each with a way to take it off, and a choice of further ones. */
function Dependencies({ idPrefix, draft, disabled, tasks, taskId = "" }: TaskFieldsProps) {
  const all = tasks();
  const chosen = draft.value.dependsOn;
  const change = (dependsOn: string[]) => (draft.value = { ...draft.value, dependsOn });
  const candidates = candidatesFor(draft.value, all, taskId);
  const titleOf = (id: string) => all.find((task) => task.id === id)?.title ?? "A task that is not shown";
  if (candidates.length === 0 && chosen.length === 0) return null;
  return (
    <div class="labelled task-dependencies">
      <label for={`${idPrefix}-depends`}>Waits for</label>
      {chosen.length > 0
        ? (
          <ul class="chips">
            {chosen.map((id) => (
              <li class="chip" key={id}>
                <span class="clip">{titleOf(id)}</span>
                <button
                  type="button"
                  class="chip-remove"
                  aria-label={`Do not wait for ${titleOf(id)}`}
                  disabled={disabled}
                  onClick={() => change(chosen.filter((each) => each !== id))}
                >
                  <Icon name="close" />
                </button>
              </li>
            ))}
          </ul>
        )
        : null}
      <select
        id={`${idPrefix}-depends`}
        class="field"
        disabled={disabled || candidates.length === 0}
        value=""
        onChange={(event) => {
          if (event.currentTarget.value) change([...chosen, event.currentTarget.value]);
          event.currentTarget.value = "";
        }}
      >
        <option value="">{chosen.length ? "Add another task…" : "No other task"}</option>
        {candidates.map((task) => <option key={task.id} value={task.id}>{task.title}</option>)}
      </select>
    </div>
  );
}

/** The fields that a new task and an edited one share: priority, coding agent, size of the machine. */
import type { Signal } from "@preact/signals";
import type { Options } from "../wire/account.ts";
import type { Project } from "../wire/project.ts";
import { VM_SIZE } from "./labels.ts";
import { agentLabel, type DraftProblem, type TaskDraft } from "./task_draft.ts";

export interface TaskFieldsProps {
  idPrefix: string;
  draft: Signal<TaskDraft>;
  problem: DraftProblem | null;
  project: Project;
  options: Options;
  disabled: boolean;
}

export function TaskFields({ idPrefix, draft, problem, project, options, disabled }: TaskFieldsProps) {
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
    </div>
  );
}

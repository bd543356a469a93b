/** A draft edited in place of its card. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TaskCardProps } from "./TaskCard.tsx";
import { checkDraft, draftOf, type DraftProblem } from "./task_draft.ts";
import { TaskFields } from "./TaskFields.tsx";

export function CardEditor(props: TaskCardProps & { onClose: () => void }) {
  const { task, tasks, project, options, onSave, onClose } = props;
  const draft = useSignal(draftOf(task));
  const problem = useSignal<DraftProblem | null>(null);
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = async () => {
    problem.value = checkDraft(draft.value);
    if (problem.value) return;
    busy.value = true;
    const saved = await onSave(task, draft.value);
    busy.value = false;
    if (saved) onClose();
  };
  const wrongAt = (field: DraftProblem["field"]) => problem.value?.field === field ? problem.value.message : null;
  return (
    <form
      class="card editing"
      aria-label={`Edit ${task.title}`}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <input
        class="field"
        aria-label="Title"
        aria-invalid={wrongAt("title") ? "true" : undefined}
        value={draft.value.title ?? ""}
        ref={field}
        onInput={(event) => (draft.value = { ...draft.value, title: event.currentTarget.value })}
      />
      <Wrong message={wrongAt("title")} />
      <textarea
        class="field"
        rows={5}
        aria-label="Description"
        aria-invalid={wrongAt("description") ? "true" : undefined}
        value={draft.value.description}
        onInput={(event) => (draft.value = { ...draft.value, description: event.currentTarget.value })}
      />
      <Wrong message={wrongAt("description")} />
      <TaskFields
        idPrefix={`task-${task.id}`}
        draft={draft}
        problem={problem.value}
        project={project}
        options={options}
        disabled={busy.value}
        tasks={tasks}
        taskId={task.id}
      />
      <div class="card-actions">
        <button type="submit" class="button small primary" disabled={busy.value}>Save</button>
        <button type="button" class="button small quiet" onClick={onClose}>Close</button>
      </div>
    </form>
  );
}

function Wrong({ message }: { message: string | null }) {
  return message ? <p class="field-error" role="alert">{message}</p> : null;
}

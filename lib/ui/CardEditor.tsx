/** A draft edited in place of its card. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TaskCardProps } from "./TaskCard.tsx";
import { checkDraft, draftOf, type DraftProblem } from "./task_draft.ts";
import { TaskFields } from "./TaskFields.tsx";

export function CardEditor({ task, project, options, onSave, onClose }: TaskCardProps & { onClose: () => void }) {
  const draft = useSignal(draftOf(task));
  const problem = useSignal<DraftProblem | null>(null);
  const busy = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = async () => {
    problem.value = checkDraft(draft.value);
    if (problem.value) return;
    busy.value = true;
    const saved = await onSave(task, draft.value);
    busy.value = false;
    if (saved) onClose();
  };
  const wrong = problem.value?.field === "description" ? problem.value.message : null;
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
      <textarea
        class="field"
        rows={5}
        aria-label="Description"
        aria-invalid={wrong ? "true" : undefined}
        value={draft.value.description}
        ref={field}
        onInput={(event) => (draft.value = { ...draft.value, description: event.currentTarget.value })}
      />
      {wrong ? <p class="field-error" role="alert">{wrong}</p> : null}
      <TaskFields
        idPrefix={`task-${task.id}`}
        draft={draft}
        problem={problem.value}
        project={project}
        options={options}
        disabled={busy.value}
      />
      <div class="card-actions">
        <button type="submit" class="button small primary" disabled={busy.value}>Save</button>
        <button type="button" class="button small quiet" onClick={onClose}>Close</button>
      </div>
    </form>
  );
}

/** What cannot be taken back: the end of a project. */
import { useSignal } from "@preact/signals";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import type { Project } from "../lib/wire/project.ts";
import { call, sentenceOf } from "./_api.ts";

export function DangerZone({ project }: { project: Project }) {
  const failure = useSignal<string | null>(null);
  const busy = useSignal(false);
  const remove = async () => {
    [busy.value, failure.value] = [true, null];
    try {
      await call(`/api/projects/${project.id}`, { method: "DELETE" });
      location.assign("/projects");
    } catch (error) {
      failure.value = sentenceOf(error);
      busy.value = false;
    }
  };
  return (
    <section class="panel danger-zone stack" aria-labelledby="danger">
      <h2 id="danger">Danger zone</h2>
      {failure.value ? <Notice kind="error" title="The project was not deleted">{failure.value}</Notice> : null}
      <p>
        Deletes the project with all its tasks and conversations. Branches that were pushed stay in the repository.
      </p>
      <div class="row">
        <ConfirmButton
          question={`Delete ${project.name} for good?`}
          disabled={busy.value}
          onConfirm={() => void remove()}
        >
          Delete project
        </ConfirmButton>
      </div>
    </section>
  );
}

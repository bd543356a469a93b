/** Stops everything of the person at once, after a second press; says what it has stopped. */
import { useSignal } from "@preact/signals";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { plural } from "../lib/ui/labels.ts";
import { Notice } from "../lib/ui/Notice.tsx";
import { stopped } from "../lib/wire/account.ts";
import { call, sentenceOf } from "./_api.ts";

export default function StopEverything() {
  const said = useSignal<{ failed: boolean; text: string } | null>(null);
  const busy = useSignal(false);
  const stop = async () => {
    busy.value = true;
    try {
      const { tasks, workspaces, nodes } = await call("/api/me/stop", { method: "POST", body: {}, answer: stopped });
      const text = `${plural(tasks, "task")} cancelled, ${plural(workspaces, "workspace")} closed, ${
        plural(nodes, "machine")
      } shutting down when empty.`;
      said.value = { failed: false, text };
    } catch (error) {
      said.value = { failed: true, text: sentenceOf(error) };
    }
    busy.value = false;
  };
  return (
    <section class="panel stack" aria-labelledby="stop-everything">
      <h2 id="stop-everything">Stop everything</h2>
      <p class="muted">
        Cancels every task that you started, in all projects, closes what you opened by hand, and lets your machines go
        as they become empty. Checkouts of cancelled tasks are kept for a while, so you can still look at them.
      </p>
      <div class="row">
        <ConfirmButton question="Stop everything now?" disabled={busy.value} onConfirm={() => void stop()}>
          Stop everything
        </ConfirmButton>
      </div>
      <div role="status">
        {said.value && !said.value.failed ? <p>{said.value.text}</p> : null}
      </div>
      {said.value?.failed ? <Notice kind="error" title="Not everything was stopped">{said.value.text}</Notice> : null}
    </section>
  );
}

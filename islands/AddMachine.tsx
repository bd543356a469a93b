/** Adds a machine of a person's own: shows, this once, the command to run there. */
import { useSignal } from "@preact/signals";
import { CopyButton } from "../lib/ui/CopyButton.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import { createdNode } from "../lib/wire/node.ts";
import { call, sentenceOf } from "./_api.ts";

export default function AddMachine() {
  const command = useSignal<string | null>(null);
  const failure = useSignal<string | null>(null);
  const busy = useSignal(false);
  const add = async () => {
    [busy.value, failure.value] = [true, null];
    try {
      command.value = (await call("/api/nodes", { method: "POST", body: {}, answer: createdNode })).command;
    } catch (error) {
      failure.value = sentenceOf(error);
    }
    busy.value = false;
  };
  return (
    <section class="panel stack" aria-labelledby="add-machine">
      <h2 id="add-machine">A machine of your own</h2>
      <p class="muted">
        Any Debian machine with Node 20 in its packages can run your tasks. It dials out to this server; nothing has to
        reach it.
      </p>
      {failure.value ? <Notice kind="error" title="No machine was added">{failure.value}</Notice> : null}
      {command.value
        ? (
          <>
            <p>
              Run this there within 30 minutes. It holds a token that works once, and is not shown again.
              <CopyButton text={command.value} label="Copy the command" />
            </p>
            <pre class="install-line" tabIndex={0} aria-label="The command"><code>{command.value}</code></pre>
          </>
        )
        : null}
      <div class="row">
        <button type="button" class="button" disabled={busy.value} onClick={() => void add()}>Add a machine</button>
      </div>
    </section>
  );
}

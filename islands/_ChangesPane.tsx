/**
 * What git says of the workspace, read when the pane is looked at, when the conversation goes on, again after a failure,
 * and on demand; never more often than a machine should be asked.
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { GitView } from "../lib/ui/GitView.tsx";
import { Icon } from "../lib/ui/Icon.tsx";
import { Notice, Skeleton } from "../lib/ui/Notice.tsx";
import { type GitAnswer, gitAnswer } from "../lib/wire/git_state.ts";
import { call, sentenceOf } from "./_api.ts";

/** After something happened, and at least between two readings that nobody asked for. */
const PATIENCE_MS = 4_000;

export interface ChangesPaneProps {
  workspaceId: string;
  shown: boolean;
  /** The files are there. */
  ready: boolean;
  /** Why there is nothing to read (any more); null: there is. */
  ended: string | null;
  /** Another value: something may have changed. */
  news: number;
}

export function ChangesPane({ workspaceId, shown, ready, ended, news }: ChangesPaneProps) {
  const git = useSignal<GitAnswer | null>(null);
  const failure = useSignal<string | null>(null);
  /** Counts them, so that each is followed by another try. */
  const failures = useSignal(0);
  const busy = useSignal(false);
  const read = async () => {
    if (busy.peek()) return;
    busy.value = true;
    try {
      git.value = await call(`/api/workspaces/${workspaceId}/git`, { answer: gitAnswer });
      failure.value = null;
    } catch (error) {
      failure.value = sentenceOf(error);
      failures.value++;
    }
    busy.value = false;
  };
  useEffect(() => {
    if (!shown || !ready || ended) return;
    if (!git.peek() && !failure.peek()) return void read();
    const timer = setTimeout(read, PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [shown, ready, news, ended, failures.value]);

  return (
    <div class="changes-pane" tabIndex={0} role="region" aria-label="Changes">
      <div class="pane-bar">
        <h2>Changes</h2>
        <button
          type="button"
          class="button small"
          disabled={busy.value || !ready || ended !== null}
          onClick={() => void read()}
        >
          {busy.value ? <span class="spinner" aria-hidden="true" /> : <Icon name="retry" />}
          Refresh
        </button>
      </div>
      {ended ? <Notice kind="info" title="No more changes">{ended}</Notice> : failure.value
        ? (
          <Notice
            kind="error"
            title="The changes could not be read"
            action={<button type="button" class="button" onClick={() => void read()}>Retry</button>}
          >
            {failure.value}
          </Notice>
        )
        : null}
      {git.value ? <GitView git={git.value} /> : ended || failure.value ? null : <Skeleton lines={8} />}
    </div>
  );
}

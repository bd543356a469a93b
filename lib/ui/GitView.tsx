/** What git says of a workspace: the branch, what is not committed yet, and every change since the run began. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { GitAnswer, GitFileStatus } from "../wire/git_state.ts";
import { ChangeCount } from "./ChangeCount.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { Diff } from "./Diff.tsx";
import { type DiffFile, diffFiles } from "./diff_files.ts";
import { Icon } from "./Icon.tsx";
import { plural } from "./labels.ts";
import { Empty } from "./Notice.tsx";
import { Time } from "./Time.tsx";

/** Changes are open from the start as long as there are no more lines than these; the rest on demand. */
const OPEN_LINES = 400;

const LETTER: Record<GitFileStatus, string> = {
  added: "A",
  modified: "M",
  deleted: "D",
  renamed: "R",
  untracked: "?",
  conflicted: "!",
};

export function GitView({ git }: { git: GitAnswer }) {
  const files = useMemo(() => diffFiles(git.diff), [git.diff]);
  let lines = 0;
  return (
    <div class="git">
      <div class="git-head">
        <span class="branch">
          <Icon name="branch" />
          <code title={git.branch ?? undefined}>{git.branch ?? "no branch"}</code>
          {git.branch ? <CopyButton text={git.branch} label="Copy the branch name" /> : null}
        </span>
        {git.head ? <code class="commit" title={git.head}>{git.head.slice(0, 8)}</code> : null}
        <span>{plural(git.ahead, "new commit", "new commits")}</span>
        <Time at={git.at} />
      </div>
      <section aria-labelledby="git-uncommitted">
        <h3 id="git-uncommitted">Not committed</h3>
        {git.files.length === 0 ? <p class="muted">Nothing: the working tree is clean.</p> : (
          <ul class="git-files">
            {git.files.map((file) => (
              <li key={file.path}>
                <span
                  class={`git-letter git-${file.status}`}
                  role="img"
                  title={file.status}
                  aria-label={file.status}
                >
                  {LETTER[file.status]}
                </span>
                <code>{file.from ? `${file.from} → ${file.path}` : file.path}</code>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section aria-labelledby="git-changes">
        <h3 id="git-changes">Changes since the start</h3>
        {files.length === 0
          ? <Empty title="No changes yet">What is changed in the workspace shows here, committed or not.</Empty>
          : files.map((file) => (
            <FileChanges
              file={file}
              open={(lines += file.length) <= OPEN_LINES}
              key={file.path}
            />
          ))}
        {git.truncated
          ? <p class="muted">There is more than is shown here. Look at the rest in the terminal.</p>
          : null}
      </section>
    </div>
  );
}

/** The lines of a closed file are not in the document. */
function FileChanges({ file, open }: { file: DiffFile; open: boolean }) {
  const shown = useSignal(open);
  return (
    <details class="git-file" open={shown.value} onToggle={(event) => (shown.value = event.currentTarget.open)}>
      <summary>
        <code>{file.path}</code>
        <ChangeCount added={file.added} removed={file.removed} />
      </summary>
      {shown.value ? <Diff text={file.text} named /> : null}
    </details>
  );
}

/** Commits what a coding agent left uncommitted. No secret is in reach of what the checkout's filters may run. */
import type { AgentConfig } from "../config.ts";
import { git, type GitOptions, gitSays } from "./git.ts";

const TIMEOUT_MS = 5 * 60_000;

export interface LeftoverOptions {
  config: Pick<AgentConfig, "childEnvironment" | "gitAuthorName" | "gitAuthorEmail">;
  title: string;
  taskId: string;
  signal?: AbortSignal;
}

/** Does nothing where nothing was changed. Throws a GitError with git's last lines. */
export async function commitLeftovers(path: string, options: LeftoverOptions): Promise<void> {
  const { config, taskId, signal } = options;
  const environment = {
    ...config.childEnvironment,
    GIT_AUTHOR_NAME: config.gitAuthorName,
    GIT_AUTHOR_EMAIL: config.gitAuthorEmail,
    GIT_COMMITTER_NAME: config.gitAuthorName,
    GIT_COMMITTER_EMAIL: config.gitAuthorEmail,
  };
  const inside: GitOptions = { cwd: path, signal, environment, protocols: "file", timeoutMs: TIMEOUT_MS };
  // The coding agent is idle now: a lock that is still there belongs to a git that was killed.
  await Deno.remove(`${path}/.git/index.lock`).catch(() => {});
  await git(["add", "--all"], inside);
  if (await gitSays(["diff", "--cached", "--quiet"], inside)) return;
  const title = options.title.replaceAll(/[\s\p{Cc}]+/gu, " ").trim() || "Work of the coding agent";
  await git(["commit", "--quiet", "--no-verify", `--message=${title}`, `--message=Hearth-Task: ${taskId}`], inside);
}

/** Commits what a coding agent left uncommitted. No secret is in reach of what the checkout's filters may run. */
import type { AgentConfig } from "../config.ts";
import { type ProcessUser, spawnChild } from "../process/spawn.ts";
import { git, type GitOptions, gitSays } from "./git.ts";

const TIMEOUT_MS = 5 * 60_000;

export interface LeftoverOptions {
  config: Pick<AgentConfig, "childEnvironment" | "gitAuthorName" | "gitAuthorEmail">;
  title: string;
  taskId: string;
  /** Whose the checkout is, where it is not ours. */
  user?: ProcessUser;
  signal?: AbortSignal;
}

/** Does nothing where nothing was changed. Throws a GitError with git's last lines. */
export async function commitLeftovers(path: string, options: LeftoverOptions): Promise<void> {
  const { config, taskId, user, signal } = options;
  const environment = {
    ...config.childEnvironment,
    GIT_AUTHOR_NAME: config.gitAuthorName,
    GIT_AUTHOR_EMAIL: config.gitAuthorEmail,
    GIT_COMMITTER_NAME: config.gitAuthorName,
    GIT_COMMITTER_EMAIL: config.gitAuthorEmail,
  };
  const inside: GitOptions = { cwd: path, user, signal, environment, protocols: "file", timeoutMs: TIMEOUT_MS };
  // The coding agent is idle now: a lock that is still there belongs to a git that was killed.
  await removeAs(user, `${path}/.git/index.lock`, environment);
  await git(["add", "--all"], inside);
  if (await gitSays(["diff", "--cached", "--quiet"], inside)) return;
  const title = options.title.replaceAll(/[\s\p{Cc}]+/gu, " ").trim() || "Work of the coding agent";
  await git(["commit", "--quiet", "--no-verify", `--message=${title}`, `--message=Hearth-Task: ${taskId}`], inside);
}

/** What leads to it may be a link that the coding agent made: only its own user follows it. */
async function removeAs(user: ProcessUser | undefined, path: string, env: Record<string, string>): Promise<void> {
  if (!user) return void await Deno.remove(path).catch(() => {});
  const { process } = await spawnChild("rm", { args: ["-f", "--", path], cwd: "/", env, user, stdin: "null" });
  await process.output();
}

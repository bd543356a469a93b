/** The end of a run's work: what was left is committed, and what was done is pushed. */
import { messageOf } from "../../lib/errors.ts";
import type { GitCredential } from "../../lib/wire/credential.ts";
import type { TaskCallback } from "../../lib/wire/task.ts";
import type { RuntimeFacts, WorkspaceRow } from "../store/workspaces.ts";
import { commitLeftovers } from "./leftovers.ts";
import { openPullRequest } from "./pull_request.ts";
import { sentence } from "./tell.ts";
import { checkoutOf, type WorkspaceParts } from "./workspace_parts.ts";

export type Outputs = Pick<TaskCallback, "outputBranch" | "outputCommit" | "outputPrUrl" | "warning">;

export interface PushWorkOptions {
  row: WorkspaceRow;
  credential: GitCredential | null;
  signal: AbortSignal;
}

/** What fails here is a warning: the work is done, and the checkout is kept. Throws only when `signal` aborts. */
export async function pushWork(parts: WorkspaceParts, options: PushWorkOptions): Promise<Outputs> {
  const { row, credential, signal } = options;
  const { config, db, mirrors, users } = parts;
  const { facts, branch, workspaceId } = row;
  if (!facts?.taskId || branch === null) return {};
  const path = checkoutOf(db, workspaceId);
  const base = typeof facts.base === "string" ? facts.base : null;
  try {
    const user = await users.find(workspaceId);
    const childEnvironment = users.environmentOf(workspaceId, config.childEnvironment);
    const { title, taskId } = facts;
    const theirs = { config: { ...config, childEnvironment }, title: title ?? "", taskId, user, signal };
    await commitLeftovers(path, theirs);
    const { repositoryUrl } = facts;
    const pushed = await mirrors.push({ workspaceId, repositoryUrl, path, branch, base, user, credential, signal });
    if ("warning" in pushed) return { warning: sentence(pushed.warning) };
    if ("commit" in pushed) {
      const pullRequest = { repositoryUrl, branch, base: facts.baseBranch, credential, ...describe(facts) };
      const outputPrUrl = await openPullRequest(pullRequest, parts.log);
      return { outputBranch: branch, outputCommit: pushed.commit, ...outputPrUrl !== null && { outputPrUrl } };
    }
    // Nothing new: what an earlier run pushed is still what this task has to show.
    return base !== null && base === facts.outputCommit ? { outputBranch: branch, outputCommit: base } : {};
  } catch (error) {
    signal.throwIfAborted();
    return { warning: sentence(`The work could not be committed and pushed: ${messageOf(error)}`) };
  }
}

function describe({ title, taskId }: RuntimeFacts): { title: string; body: string } {
  return { title: title || "Work of the coding agent", body: `Hearth-Task: ${taskId}` };
}

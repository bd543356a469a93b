/** The first steps of a workspace: its checkout, and a coding agent that waits in it. Safe to be done again. */
import type { Runtime } from "../../lib/wire/workspace.ts";
import { requireSpace } from "./disk.ts";
import { checkoutOf, folderOf, removeFolder } from "./workspace_parts.ts";
import type { Look, WorkspaceState } from "./workspace_state.ts";

/** Brings the workspace to `ready`, with the run's prompt handed to it where there is one. */
export async function beginWorkspace(state: WorkspaceState, { row, signal }: Look): Promise<void> {
  const needed = await state.need(signal);
  if (!needed) return;
  const { runtime, recorder } = needed;
  const checkout = row.branch === null ? await checkOut(state, { runtime, signal }) : null;
  if (checkout) {
    await state.tell.status({ status: "ready", branch: checkout.branch, executionStep: "starting_agent" });
  }
  const { session } = await state.agent.open(runtime, { resume: row.acpSessionId, recorder });
  await state.change((now) => {
    if (now.phase !== "starting") return null;
    const isFirst = now.promptState === "none" && runtime.prompt !== null;
    const first = { promptId: runtime.prompt?.messageId, promptText: runtime.prompt?.text };
    const handed = isFirst ? { ...first, promptState: "handed" as const } : {};
    return { phase: "ready", acpSessionId: session.sessionId, ...handed };
  });
}

async function checkOut(
  state: WorkspaceState,
  { runtime, signal }: { runtime: Runtime; signal: AbortSignal },
): Promise<{ branch: string }> {
  const { mirrors, users, db, evictMirrors } = state.parts;
  await requireSpace(db.dataDir, evictMirrors);
  const path = checkoutOf(db, state.id);
  await removeFolder(path);
  await Deno.mkdir(folderOf(db, state.id), { recursive: true, mode: 0o700 });
  const { repositoryUrl, baseBranch, fallbackBranch, branch, outputCommit, gitCredential: credential } = runtime;
  const wanted = { repositoryUrl, baseBranch, fallbackBranch, branch, outputCommit, path, signal };
  const checkout = await mirrors.checkOut({ ...wanted, credential });
  await users.settle(state.id, checkout.mirror);
  await state.change((now) => now.facts && { branch: checkout.branch, facts: { ...now.facts, base: checkout.base } });
  return checkout;
}

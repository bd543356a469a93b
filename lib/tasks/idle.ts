/**
 * The end of a workspace opened by hand in which nothing has happened for a long time: it holds a place on a machine
 * that costs money. Whether nothing happened is decided on the records that its end is written on.
 */
import type { EdgeConfig } from "../config.ts";
import type { Edge } from "../edge.ts";
import { spanOf } from "../span.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { sessionKey, workspaceKey } from "../store/keys.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { isWorking, putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { endSession } from "./end_session.ts";
import { stopWorkspace } from "./finish.ts";

/** Ends the workspace, and its session with it, if nobody has used it for `WORKSPACE_IDLE_TIMEOUT_MS`. */
export async function endIdleWorkspace(edge: Edge, workspaceId: string): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
    const workspace = entry.value;
    if (!workspace) return false;
    const session = await readOwnSession(tx, workspace);
    if (!isIdleTooLong(workspace, session?.value ?? null, { now: tx.now, config: edge.config })) return false;
    if (session) await endSession(tx, session, { failed: false });
    const errorMessage = `Nothing happened in it for ${spanOf(edge.config.WORKSPACE_IDLE_TIMEOUT_MS)}.`;
    putWorkspace(tx, entry, { ...stopWorkspace(tx, workspace, edge), errorMessage });
    await addCommands(tx, workspace.nodeId, [{ kind: "workspace.stop", workspaceId, run: workspace.run, keep: false }]);
    return true;
  }, edge.clock);
}

/** A task's workspace ends with its run, a kept one at its time, and one with a prompt under way is in use. */
export function isIdleTooLong(
  workspace: WorkspaceRecord,
  session: SessionRecord | null,
  at: { now: number; config: Pick<EdgeConfig, "WORKSPACE_IDLE_TIMEOUT_MS"> },
): boolean {
  if (workspace.taskId !== null || !isWorking(workspace) || (session?.handedOut ?? null) !== null) return false;
  const usedAt = Math.max(workspace.updatedAt, session?.updatedAt ?? 0);
  return at.now - usedAt >= at.config.WORKSPACE_IDLE_TIMEOUT_MS;
}

async function readOwnSession(
  tx: Change,
  workspace: WorkspaceRecord,
): Promise<Deno.KvEntryMaybe<SessionRecord> | null> {
  const { projectId, sessionId } = workspace;
  return projectId && sessionId ? await tx.get<SessionRecord>(sessionKey(projectId, sessionId)) : null;
}

/**
 * The second half of a run's end: the workspace is gone, so its claim ends and the node becomes free. Its failure never
 * changes the task; its due key repeats it.
 */
import type { Edge } from "../edge.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { sessionKey, workspaceKey } from "../store/keys.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { endSession } from "./end_session.ts";
import { endClaimOf, stopWorkspace } from "./finish.ts";
import { wakeWaiting } from "./waiting.ts";

/** Asked about the very record that is written: whether this is still to be done. */
type Condition = (workspace: WorkspaceRecord) => boolean;

/** Records that a workspace is gone and ends its claim; again without effect. Then those who wait for a node are woken. */
export async function releaseWorkspace(edge: Edge, workspaceId: string, onlyIf: Condition = () => true): Promise<void> {
  const ownerId = await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
    const workspace = entry.value;
    if (!workspace || workspace.status === "stopped" || !onlyIf(workspace)) return null;
    const calm = tx.schedule(workspace.dues, { kind: "workspace.release", id: workspaceId, at: null });
    const dues = tx.schedule(calm, { kind: "workspace.keptUntil", id: workspaceId, at: null });
    putWorkspace(tx, entry, { ...workspace, status: "stopped", keptUntil: null, dues });
    if (!workspace.taskId) await endOwnSession(tx, workspace);
    await endClaimOf(tx, edge, { nodeId: workspace.nodeId, token: workspace.claimToken });
    return workspace.ownerId;
  }, edge.clock);
  if (ownerId) await wakeWaiting(edge, ownerId);
}

/** The session of a workspace opened by hand lives no longer than that. */
async function endOwnSession(tx: Change, workspace: WorkspaceRecord): Promise<void> {
  if (!workspace.projectId || !workspace.sessionId) return;
  const entry = await tx.get<SessionRecord>(sessionKey(workspace.projectId, workspace.sessionId));
  await endSession(tx, entry, { failed: workspace.status !== "stopping" });
}

/** The end of a kept workspace, at its time or on discard: the node is told to remove the files. */
export async function discardWorkspace(
  edge: Edge,
  workspaceId: string,
  onlyIf: Condition = () => true,
): Promise<WorkspaceRecord | null> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
    const workspace = entry.value;
    if (!workspace || ["stopping", "stopped"].includes(workspace.status) || !onlyIf(workspace)) return workspace;
    const next = putWorkspace(tx, entry, stopWorkspace(tx, workspace, edge));
    const command = { kind: "workspace.stop" as const, workspaceId, run: workspace.run, keep: false };
    await addCommands(tx, workspace.nodeId, [command]);
    return next;
  }, edge.clock);
}

/**
 * Workspaces past their time: those opened by hand that nobody uses end; kept ones are discarded and stopping ones count
 * as stopped where their due keys were lost.
 */
import type { Edge } from "../../edge.ts";
import { listLiveWorkspaces, readWorkspace, type WorkspaceRecord } from "../../store/workspaces.ts";
import { endIdleWorkspace } from "../../tasks/idle.ts";
import { discardWorkspace, releaseWorkspace } from "../../tasks/release.ts";
import { mendEach } from "../mend_each.ts";

const GRACE_MS = 90_000;

export async function sweepWorkspaces(edge: Edge): Promise<number> {
  return await mendEach(edge, listLiveWorkspaces(edge.store), {
    idOf: (workspaceId) => workspaceId,
    mend: (workspaceId) => sweepWorkspace(edge, workspaceId),
  });
}

async function sweepWorkspace(edge: Edge, workspaceId: string): Promise<boolean> {
  const past = edge.clock() - GRACE_MS;
  const isKeptTooLong = ({ keptUntil }: WorkspaceRecord) => keptUntil !== null && keptUntil < past;
  const isStoppingTooLong = ({ status, updatedAt }: WorkspaceRecord) =>
    status === "stopping" && updatedAt + edge.config.WORKSPACE_STOP_TIMEOUT_MS < past;
  const workspace = await readWorkspace(edge.store, workspaceId);
  if (workspace && isKeptTooLong(workspace)) await discardWorkspace(edge, workspaceId, isKeptTooLong);
  else if (workspace && isStoppingTooLong(workspace)) await releaseWorkspace(edge, workspaceId, isStoppingTooLong);
  else return await endIdleWorkspace(edge, workspaceId);
  return true;
}

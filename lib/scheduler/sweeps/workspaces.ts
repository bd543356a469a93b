/** Workspaces past their time whose due keys were lost: kept ones are discarded, stopping ones count as stopped. */
import type { Edge } from "../../edge.ts";
import { listLiveWorkspaces, readWorkspace } from "../../store/workspaces.ts";
import { discardWorkspace, releaseWorkspace } from "../../tasks/release.ts";

const GRACE_MS = 90_000;

export async function sweepWorkspaces(edge: Edge): Promise<number> {
  let mended = 0;
  const past = edge.clock() - GRACE_MS;
  for await (const id of listLiveWorkspaces(edge.store)) {
    const workspace = await readWorkspace(edge.store, id);
    if (!workspace) continue;
    if (workspace.keptUntil !== null && workspace.keptUntil < past) await discardWorkspace(edge, id);
    else if (workspace.status === "stopping" && workspace.updatedAt + edge.config.WORKSPACE_STOP_TIMEOUT_MS < past) {
      await releaseWorkspace(edge, id);
    } else continue;
    mended++;
  }
  return mended;
}

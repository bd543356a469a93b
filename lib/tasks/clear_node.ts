/**
 * Everything that uses a node ends, because the node goes: its runs fail, its workspaces count as gone, its claims end.
 * The caller has seen to it that the node takes no new work.
 */
import type { Edge } from "../edge.ts";
import { change } from "../store/change.ts";
import { type Claim, readNode } from "../store/nodes.ts";
import { endClaimOf, finishTask } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";
import type { Actor } from "./state.ts";

/** A claim that was made at the last moment is found by one more look. */
const LOOKS_MAX = 3;

export async function clearNode(edge: Edge, nodeId: string, why: { actor: Actor; reason: string }): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const claims = (await readNode(edge.store, nodeId))?.claims ?? [];
    if (claims.length === 0) return;
    for (const claim of claims) await endUse(edge, nodeId, { claim, ...why });
  }
}

async function endUse(
  edge: Edge,
  nodeId: string,
  use: { claim: Claim; actor: Actor; reason: string },
): Promise<void> {
  const { claim: { taskId, projectId, workspaceId, token }, actor, reason } = use;
  if (taskId && projectId) {
    // The task may be in another run by now, on another node, and only its kept workspace be here.
    const ref = { projectId, taskId, onlyIf: (task: { claimToken: string | null }) => task.claimToken === token };
    await finishTask(edge, ref, { to: "failed", actor, reason, keep: false, lost: true });
  }
  if (workspaceId) await releaseWorkspace(edge, workspaceId);
  await change(edge.store, (tx) => endClaimOf(tx, edge, { nodeId, token }), edge.clock);
}

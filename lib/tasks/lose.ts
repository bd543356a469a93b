/** A node that is given up: its runs fail, it is fenced by a new generation, and its machine is deleted. */
import type { Edge } from "../edge.ts";
import { putDestroying } from "../nodes/state.ts";
import { change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import { type NodeRecord, putNode, readNode } from "../store/nodes.ts";
import { finishTask } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";

/** Declares a node lost. First its runs end, then its claims, then it goes. Returns whether there was anything to do. */
export async function loseNode(edge: Edge, nodeId: string): Promise<boolean> {
  const node = await readNode(edge.store, nodeId);
  if (!node || ["destroying", "destroyed"].includes(node.status)) return false;
  edge.log.warn("node_lost", { nodeId, claims: node.claims.length });
  for (const { taskId, projectId, workspaceId } of node.claims) {
    if (taskId && projectId) {
      await finishTask(edge, { projectId, taskId, workspaceId: workspaceId ?? undefined }, {
        to: "failed",
        actor: "system",
        reason: "The node was lost: it sent no sign of life for too long.",
        keep: false,
        lost: true,
      });
    }
    if (workspaceId) await releaseWorkspace(edge, workspaceId);
  }
  return await giveUp(edge, nodeId);
}

/** A machine of the user's own is never destroyed by us: it is fenced and may enrol again. */
async function giveUp(edge: Edge, nodeId: string): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value || ["destroying", "destroyed"].includes(entry.value.status)) return false;
    const node = { ...entry.value, claims: [], health: "unreachable" as const };
    const reason = "No sign of life for too long.";
    if (node.autoProvisioned) putDestroying(tx, entry as Deno.KvEntry<NodeRecord>, node, reason);
    else putNode(tx, entry, { ...node, generation: node.generation + 1, errorMessage: reason });
    return true;
  }, edge.clock);
}

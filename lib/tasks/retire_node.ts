/** Ending a node by hand: drain it, or destroy it, failing first what runs on it. */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { putAfterClaims, putDestroying } from "../nodes/state.ts";
import { change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { nodeKey } from "../store/keys.ts";
import type { NodeRecord } from "../store/nodes.ts";
import { finishTask } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";

/** No new work; an empty auto-provisioned node is destroyed at once, another when its last workspace is gone. */
export async function drainNode(edge: Edge, nodeId: string): Promise<NodeRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value) throw notFound("node");
    if (entry.value.draining || ["destroying", "destroyed"].includes(entry.value.status)) return entry.value;
    await addCommands(tx, nodeId, [{ kind: "node.drain" }]);
    return putAfterClaims(tx, entry as Deno.KvEntry<NodeRecord>, { ...entry.value, draining: true }, edge.config);
  }, edge.clock);
}

/** Destroys a node. Throws `node_busy` when it has claims and `force` is not set. */
export async function destroyNode(edge: Edge, node: NodeRecord, how: { force: boolean }): Promise<NodeRecord> {
  if (node.claims.length > 0 && !how.force) {
    throw new AppError(
      "node_busy",
      `${node.claims.length} workspace(s) are on this node. Cancel their tasks, or use force.`,
    );
  }
  for (const { taskId, projectId, workspaceId } of node.claims) {
    if (taskId && projectId) {
      const reason = "The node was destroyed by hand.";
      await finishTask(edge, { projectId, taskId, workspaceId: workspaceId ?? undefined }, {
        to: "failed",
        actor: "user",
        reason,
        keep: false,
        lost: true,
      });
    }
    if (workspaceId) await releaseWorkspace(edge, workspaceId);
  }
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(node.id));
    if (!entry.value) throw notFound("node");
    if (["destroying", "destroyed"].includes(entry.value.status)) return entry.value;
    if (entry.value.claims.length > 0) {
      throw new AppError("node_busy", "New work came to this node meanwhile. Try again.");
    }
    return putDestroying(tx, entry as Deno.KvEntry<NodeRecord>, entry.value, null);
  }, edge.clock);
}

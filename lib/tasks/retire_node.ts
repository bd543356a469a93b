/** Ending a node by hand: drain it, or destroy it, failing first what runs on it. */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { putAfterClaims, putDestroying } from "../nodes/state.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { nodeKey } from "../store/keys.ts";
import type { NodeRecord } from "../store/nodes.ts";
import { clearNode } from "./clear_node.ts";
import type { Actor } from "./state.ts";

/** No new work; an empty auto-provisioned node is destroyed at once, another when its last workspace is gone. */
export async function drainNode(edge: Edge, nodeId: string): Promise<NodeRecord> {
  return await changeStanding(edge, nodeId, async (tx, entry) => {
    if (entry.value.draining) return entry.value;
    await addCommands(tx, nodeId, [{ kind: "node.drain" }]);
    return putAfterClaims(tx, entry, { ...entry.value, draining: true }, edge.config);
  });
}

export interface DestroyOptions {
  /** End first what runs on it. */
  force: boolean;
  /** By whom and why, where it is not a person's own wish. */
  actor?: Actor;
  reason?: string;
}

/** Destroys a node. Throws `node_busy` when it has claims and `force` is not set. */
export async function destroyNode(edge: Edge, node: NodeRecord, how: DestroyOptions): Promise<NodeRecord> {
  const { actor = "user", reason = "The node was destroyed by hand." } = how;
  if (how.force) {
    // New work would come as soon as the old has ended.
    await drainNode(edge, node.id);
    await clearNode(edge, node.id, { actor, reason });
  }
  return await changeStanding(edge, node.id, (tx, entry) => {
    const { claims } = entry.value;
    if (claims.length === 0) return Promise.resolve(putDestroying(tx, entry, entry.value, how.reason ?? null));
    throw new AppError(
      "node_busy",
      `${claims.length} workspace(s) are on this node. Cancel their tasks, or use force.`,
    );
  });
}

/** A change of a node that is not on its way out; one that is stays as it is. */
async function changeStanding(
  edge: Edge,
  nodeId: string,
  write: (tx: Change, entry: Deno.KvEntry<NodeRecord>) => Promise<NodeRecord>,
): Promise<NodeRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value) throw notFound("node");
    if (["destroying", "destroyed"].includes(entry.value.status)) return entry.value;
    return await write(tx, entry as Deno.KvEntry<NodeRecord>);
  }, edge.clock);
}

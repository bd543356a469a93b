/** A node that is given up: its runs fail, it is fenced by a new generation, and its machine is deleted. */
import type { Edge } from "../edge.ts";
import { putDestroying } from "../nodes/state.ts";
import { change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import { type NodeRecord, pokeNode, putNode } from "../store/nodes.ts";
import { clearNode } from "./clear_node.ts";

const SILENT = "No sign of life for too long.";

/**
 * Declares a node lost. First it takes no new work, then its runs and claims end, then it goes. Returns whether there
 * was anything to do.
 */
export async function loseNode(edge: Edge, nodeId: string, reason = SILENT): Promise<boolean> {
  if (!await closeNode(edge, nodeId, reason)) return false;
  edge.log.warn("node_lost", { nodeId, reason });
  const told = reason === SILENT ? "it sent no sign of life for too long." : reason;
  await clearNode(edge, nodeId, { actor: "system", reason: `The node was lost: ${told}` });
  await giveUp(edge, nodeId, reason);
  return true;
}

async function closeNode(edge: Edge, nodeId: string, reason: string): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value || isEnding(entry.value) || entry.value.lost) return false;
    const draining = entry.value.draining || entry.value.autoProvisioned;
    putNode(tx, entry, { ...entry.value, draining, health: "unreachable", errorMessage: reason });
    return true;
  }, edge.clock);
}

/** A machine of the user's own is never destroyed by us: it is fenced and may enrol again. */
async function giveUp(edge: Edge, nodeId: string, reason: string): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId)) as Deno.KvEntry<NodeRecord>;
    // With the end of its last claim an automatic node goes by itself.
    if (!entry.value || isEnding(entry.value) || entry.value.claims.length > 0) return;
    if (entry.value.autoProvisioned) putDestroying(tx, entry, entry.value, reason);
    else {
      putNode(tx, entry, { ...entry.value, lost: true, generation: entry.value.generation + 1 });
      pokeNode(tx, nodeId, 0);
    }
  }, edge.clock);
}

function isEnding(node: NodeRecord): boolean {
  return ["destroying", "destroyed"].includes(node.status);
}

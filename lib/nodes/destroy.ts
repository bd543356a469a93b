/**
 * The end of a node: the machine is deleted at the provider, and only when the provider confirmed it the node is
 * recorded as destroyed. A failure is tried again with growing delays and never given up.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import { type NodeRecord, putFleet, putNode, readBeat, readFleet, readNode } from "../store/nodes.ts";

const RETRY_MS = [60_000, 120_000, 300_000, 600_000, 1_200_000, 1_800_000];
/** How long a machine whose agent still holds undelivered rows is spared. */
const RESCUE_MS = 7_200_000;
const RESCUE_LOOK_MS = 15_000;

/** Deletes the machine of a node that is `destroying`; anything else is left alone. */
export async function deleteMachine(edge: Edge, nodeId: string): Promise<void> {
  const node = await readNode(edge.store, nodeId);
  if (node?.status !== "destroying") return;
  if (await holdsRows(edge, node)) return await postpone(edge, nodeId, { afterMs: RESCUE_LOOK_MS, failed: false });
  try {
    await edge.provider.destroy(node.providerRef ?? node.id);
  } catch (error) {
    const level = node.destroyTries >= RETRY_MS.length ? "critical" : "warn";
    edge.log[level]("node_delete_failed", { nodeId, tries: node.destroyTries + 1, reason: messageOf(error) });
    const afterMs = RETRY_MS[Math.min(node.destroyTries, RETRY_MS.length - 1)]!;
    return await postpone(edge, nodeId, { afterMs, failed: true });
  }
  await recordDestroyed(edge, node);
}

/** Undelivered messages are the one thing for which a machine lives on, for a bounded time. */
async function holdsRows(edge: Edge, node: NodeRecord): Promise<boolean> {
  const beat = await readBeat(edge.store, node.id);
  if (!beat || beat.outboxDepth + beat.deadLetters === 0) return false;
  const now = edge.clock();
  return now - node.updatedAt < RESCUE_MS && now - beat.at < edge.config.HEARTBEAT_STALE_MS;
}

async function postpone(edge: Edge, nodeId: string, how: { afterMs: number; failed: boolean }): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (entry.value?.status !== "destroying") return;
    const dues = tx.schedule(entry.value.dues, { kind: "node.delete", id: nodeId, at: tx.now + how.afterMs });
    // The record keeps the time at which it began to go: it bounds the rescue.
    const destroyTries = entry.value.destroyTries + (how.failed ? 1 : 0);
    tx.put(entry, { ...entry.value, dues, destroyTries });
  }, edge.clock);
}

/** A machine whose making ended while this one looked for it is not gone: it is looked for once more. */
async function recordDestroyed(edge: Edge, node: NodeRecord): Promise<void> {
  const nodeId = node.id;
  const isDestroyed = await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (entry.value?.status !== "destroying") return false;
    const isGone = entry.value.providerRef === node.providerRef;
    const dues = tx.schedule(entry.value.dues, { kind: "node.delete", id: nodeId, at: isGone ? null : tx.now });
    if (!isGone) {
      tx.put(entry, { ...entry.value, dues });
      return false;
    }
    putNode(tx, entry, { ...entry.value, status: "destroyed", claims: [], secretHash: null, dues });
    const fleet = await readFleet(tx, entry.value.ownerId);
    putFleet(tx, fleet, (fleet.value?.nodeIds ?? []).filter((id) => id !== nodeId));
    return true;
  }, edge.clock);
  if (isDestroyed) edge.log.info("node_destroyed", { nodeId });
}

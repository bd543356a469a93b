/**
 * The end of a node: the machine is deleted at the provider, and only when the provider confirmed it the node is
 * recorded as destroyed. A failure is tried again with growing delays and never given up.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { type Change, change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { nodeKey } from "../store/keys.ts";
import { type BeatRecord, type NodeRecord, putFleet, putNode, readBeat, readFleet, readNode } from "../store/nodes.ts";
import { accessOf, providerOf } from "./accounts.ts";

const RETRY_MS = [60_000, 120_000, 300_000, 600_000, 1_200_000, 1_800_000];
/** A machine that still holds something is looked at again this soon: its next heartbeat may say that it does not. */
const RESCUE_LOOK_MS = 15_000;

/**
 * Deletes the machine of a node that is `destroying`; anything else is left alone. A machine that holds undelivered rows
 * or dead letters is spared until they came, or `NODE_RESCUE_MS` or its hard lifetime are over: then `onLoss` is called with what its last
 * heartbeat told, before the machine goes; it may be called again.
 */
export async function deleteMachine(
  edge: Edge,
  nodeId: string,
  onLoss: (node: NodeRecord, held: BeatRecord) => Promise<void>,
): Promise<void> {
  const node = await readNode(edge.store, nodeId);
  if (node?.status !== "destroying") return;
  const held = await readHeld(edge, node);
  if (held && mayWait(node, edge.clock(), edge.config)) {
    return await postpone(edge, nodeId, { afterMs: RESCUE_LOOK_MS, failed: false });
  }
  if (held) await onLoss(node, held);
  try {
    await providerOf(edge, node.provider).destroy(node.providerRef ?? node.id, await accessOf(edge, node));
  } catch (error) {
    const level = node.destroyTries >= RETRY_MS.length ? "critical" : "warn";
    edge.log[level]("node_delete_failed", { nodeId, tries: node.destroyTries + 1, reason: messageOf(error) });
    const afterMs = RETRY_MS[Math.min(node.destroyTries, RETRY_MS.length - 1)]!;
    return await postpone(edge, nodeId, { afterMs, failed: true });
  }
  await recordDestroyed(edge, node);
}

function mayWait(node: NodeRecord, now: number, config: Edge["config"]): boolean {
  // Of what happens to a node on its way out, nothing but its own retries writes its record.
  const sinceMs = now - node.updatedAt;
  const isOld = node.autoProvisioned && now - node.createdAt > config.NODE_HARD_LIFETIME_MS;
  return sinceMs < config.NODE_RESCUE_MS && !isOld;
}

/** A machine that waited only for its messages to come goes as soon as its heartbeat says that they did. */
export async function hurryDeletion(tx: Change, nodeId: string, told: Told): Promise<void> {
  const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
  if (entry.value?.status !== "destroying" || entry.value.destroyTries > 0 || isHolding(told)) return;
  const dues = tx.schedule(entry.value.dues, { kind: "node.delete", id: nodeId, at: tx.now });
  tx.put(entry, { ...entry.value, dues });
}

type Told = Pick<BeatRecord, "outboxDepth" | "deadLetters" | "workspaces">;

/** Undelivered messages are the one thing for which a machine lives on; what still works may yet say some. */
function isHolding({ outboxDepth, deadLetters, workspaces = 0 }: Told): boolean {
  return outboxDepth + deadLetters + workspaces > 0;
}

/** The last heartbeat, if it told of something that is still to come. The workspaces of a silent machine say nothing. */
async function readHeld(edge: Edge, node: NodeRecord): Promise<BeatRecord | null> {
  const beat = await readBeat(edge.store, node.id);
  if (!beat) return null;
  const isSilent = edge.clock() - beat.at > edge.config.HEARTBEAT_STALE_MS;
  return isHolding(isSilent ? { ...beat, workspaces: 0 } : beat) ? beat : null;
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
    scheduleLoose(tx, { kind: "purge", id: `node/${nodeId}`, at: tx.now });
    return true;
  }, edge.clock);
  if (isDestroyed) edge.log.info("node_destroyed", { nodeId });
}

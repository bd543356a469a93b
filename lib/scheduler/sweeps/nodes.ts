/**
 * Nodes: those that fell silent are shown as unreachable and, after a long silence, given up as lost with their runs;
 * warm ones past their expiry and destroying ones whose due keys were lost go on.
 */
import type { Edge } from "../../edge.ts";
import { deleteMachine } from "../../nodes/destroy.ts";
import { expireWarm } from "../../nodes/lifecycle.ts";
import { change } from "../../store/change.ts";
import { nodeKey } from "../../store/keys.ts";
import { listLiveNodes, type NodeRecord, putNode, readBeat } from "../../store/nodes.ts";
import { loseNode } from "../../tasks/lose.ts";

const GRACE_MS = 90_000;

export async function sweepNodes(edge: Edge): Promise<number> {
  let mended = 0;
  for await (const node of listLiveNodes(edge.store)) if (await sweepNode(edge, node)) mended++;
  return mended;
}

async function sweepNode(edge: Edge, node: NodeRecord): Promise<boolean> {
  const now = edge.clock();
  if (node.status === "destroying") {
    if ((node.dues["node.delete"]?.at ?? 0) + GRACE_MS > now) return false;
    await deleteMachine(edge, node.id);
    return true;
  }
  if (node.status === "warm" && node.warmUntil! + GRACE_MS < now) return await expireWarm(edge, node.id);
  if (node.status === "provisioning") return await sweepProvisioning(edge, node);
  const silentMs = now - ((await readBeat(edge.store, node.id))?.at ?? node.registeredAt ?? node.createdAt);
  if (silentMs > edge.config.NODE_LOST_AFTER_MS) return await loseNode(edge, node.id);
  if (silentMs > edge.config.HEARTBEAT_STALE_MS && node.health === "ok") return await markUnreachable(edge, node.id);
  return false;
}

async function sweepProvisioning(edge: Edge, node: NodeRecord): Promise<boolean> {
  if (edge.clock() - node.createdAt < edge.config.NODE_AGENT_READY_TIMEOUT_MS + GRACE_MS) return false;
  return await loseNode(edge, node.id);
}

async function markUnreachable(edge: Edge, nodeId: string): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value || entry.value.health !== "ok") return false;
    putNode(tx, entry, { ...entry.value, health: "unreachable" });
    return true;
  }, edge.clock);
}

/**
 * Nodes: those that fell silent are shown as unreachable and, after a long silence, given up as lost with their runs;
 * warm ones past their expiry and destroying ones whose due keys were lost go on; claims that nothing holds any more end.
 */
import type { Edge } from "../../edge.ts";
import { expireWarm } from "../../nodes/lifecycle.ts";
import { abandonNode, BOOTSTRAP_LIFE_MS } from "../../nodes/provision.ts";
import { putAfterClaims } from "../../nodes/state.ts";
import { change } from "../../store/change.ts";
import { nodeKey } from "../../store/keys.ts";
import { type Claim, listLiveNodes, type NodeRecord, putNode, readBeat } from "../../store/nodes.ts";
import { isLive, readTask } from "../../store/tasks.ts";
import { readWorkspace } from "../../store/workspaces.ts";
import { endClaimOf } from "../../tasks/finish.ts";
import { deleteNode } from "../../tasks/delete_node.ts";
import { loseNode } from "../../tasks/lose.ts";
import { mendEach } from "../mend_each.ts";
import { decideLifetime } from "./lifetimes.ts";

const GRACE_MS = 90_000;

export async function sweepNodes(edge: Edge): Promise<number> {
  return await mendEach(edge, listLiveNodes(edge.store), {
    idOf: (node) => node.id,
    mend: (node) => sweepNode(edge, node),
  });
}

async function sweepNode(edge: Edge, node: NodeRecord): Promise<boolean> {
  const now = edge.clock();
  if (node.status === "destroying") {
    if ((node.dues["node.delete"]?.at ?? 0) + GRACE_MS > now) return false;
    await deleteNode(edge, node.id);
    return true;
  }
  if (decideLifetime(node, now, edge.config) === "expire") return await expireWarm(edge, node.id);
  if (await endDeadClaims(edge, node)) return true;
  if (node.status === "provisioning") return await sweepProvisioning(edge, node);
  return await sweepSilent(edge, node) || await sweepIdle(edge, node);
}

async function sweepProvisioning(edge: Edge, node: NodeRecord): Promise<boolean> {
  if (!node.autoProvisioned) return await forgetUnused(edge, node);
  if (edge.clock() - node.createdAt < edge.config.NODE_AGENT_READY_TIMEOUT_MS + GRACE_MS) return false;
  return await loseNode(edge, node.id);
}

/** A machine of a person's own whose command was not run while its token was good. */
async function forgetUnused(edge: Edge, node: NodeRecord): Promise<boolean> {
  if (edge.clock() - node.createdAt < BOOTSTRAP_LIFE_MS + GRACE_MS) return false;
  await abandonNode(edge, node.id, "Its command was not run in time.");
  return true;
}

/**
 * No node is lost at first sight: when the edge itself was away every node seems silent, and gets the time to show that
 * it lives.
 */
async function sweepSilent(edge: Edge, node: NodeRecord): Promise<boolean> {
  const { NODE_LOST_AFTER_MS, HEARTBEAT_STALE_MS } = edge.config;
  const now = edge.clock();
  const silentMs = now - ((await readBeat(edge.store, node.id))?.at ?? node.registeredAt ?? node.createdAt);
  if (silentMs <= HEARTBEAT_STALE_MS) return false;
  if (node.health === "ok") return await markUnreachable(edge, node.id);
  if (silentMs <= NODE_LOST_AFTER_MS || now - node.updatedAt < HEARTBEAT_STALE_MS) return false;
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

/** An automatic node that nothing uses costs money: it becomes warm, or goes when it drains. */
async function sweepIdle(edge: Edge, node: NodeRecord): Promise<boolean> {
  const isIdle = (now: NodeRecord) => now.status === "active" && now.autoProvisioned && now.claims.length === 0;
  if (!isIdle(node) || edge.clock() - node.updatedAt < GRACE_MS) return false;
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(node.id)) as Deno.KvEntry<NodeRecord>;
    if (!entry.value || !isIdle(entry.value)) return false;
    putAfterClaims(tx, entry, entry.value, edge.config);
    return true;
  }, edge.clock);
}

async function endDeadClaims(edge: Edge, node: NodeRecord): Promise<boolean> {
  let ended = false;
  for (const claim of node.claims) {
    if (edge.clock() - claim.at < GRACE_MS || await isHeld(edge, claim)) continue;
    edge.log.warn("claim_without_holder", { nodeId: node.id, taskId: claim.taskId, workspaceId: claim.workspaceId });
    // Handed over since the look, it belongs to a workspace that was not asked about.
    const onlyIf = (now: Claim) => now.workspaceId === claim.workspaceId;
    const ending = { nodeId: node.id, token: claim.token, onlyIf };
    await change(edge.store, (tx) => endClaimOf(tx, edge, ending), edge.clock);
    ended = true;
  }
  return ended;
}

/** Before it is handed over a claim belongs to its task, then to the workspace; both end it in their own commit. */
async function isHeld(edge: Edge, { projectId, taskId, workspaceId, token }: Claim): Promise<boolean> {
  if (workspaceId) return ((await readWorkspace(edge.store, workspaceId))?.status ?? "stopped") !== "stopped";
  const task = projectId && taskId ? await readTask(edge.store, projectId, taskId) : null;
  return task !== null && isLive(task) && task.claimToken === token;
}

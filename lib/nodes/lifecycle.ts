/**
 * The warm pool's verbs on one node: mark idle, mark active, claim, and what happens at the expiry. Each is one commit
 * under a check on the node's record.
 */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { type Change, change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import type { NodeRecord } from "../store/nodes.ts";
import { putNode, readNode } from "../store/nodes.ts";
import { putAfterClaims, putClaim, putDestroying } from "./state.ts";

/** Makes an active node without claims warm; a warm one gets a new expiry. Throws `node_lifecycle_conflict`. */
export async function markIdle(edge: Edge, nodeId: string): Promise<NodeRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await requireEntry(tx, nodeId);
    const { status, claims } = entry.value;
    if (!["active", "warm"].includes(status) || claims.length > 0) throw conflict(entry.value, "marked idle");
    return putAfterClaims(tx, entry, entry.value, edge.config);
  }, edge.clock);
}

/** Takes a node out of the warm pool without a task. Throws `node_lifecycle_conflict`. */
export async function markActive(edge: Edge, nodeId: string): Promise<NodeRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await requireEntry(tx, nodeId);
    if (!["active", "warm"].includes(entry.value.status)) throw conflict(entry.value, "marked active");
    const node: NodeRecord = {
      ...entry.value,
      status: "active",
      warmSince: null,
      warmUntil: null,
      claimedByTask: null,
    };
    const dues = tx.schedule(node.dues, { kind: "node.warmExpiry", id: nodeId, at: null });
    return putNode(tx, entry, { ...node, dues });
  }, edge.clock);
}

/** Takes a warm node for a task. False, without any effect, when it is not warm or somebody else was first. */
export async function tryClaim(
  edge: Edge,
  nodeId: string,
  claim: { taskId: string; projectId: string; token: string },
): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await requireEntry(tx, nodeId);
    if (entry.value.claims.some(({ token }) => token === claim.token)) return true;
    const held = { ...claim, workspaceId: null, at: tx.now };
    return putClaim(tx, entry, { claim: held, config: edge.config, onlyWarm: true }) !== null;
  }, edge.clock);
}

/** What the pool knows of a node. Throws `not_found`. */
export async function getStatus(
  edge: Edge,
  nodeId: string,
): Promise<Pick<NodeRecord, "id" | "status" | "warmSince" | "warmUntil" | "claimedByTask">> {
  const node = await readNode(edge.store, nodeId);
  if (!node) throw notFound("node");
  const { id, status, warmSince, warmUntil, claimedByTask } = node;
  return { id, status, warmSince, warmUntil, claimedByTask };
}

/** The expiry of a warm node: nothing when it was claimed or got a later expiry meanwhile. */
export async function expireWarm(edge: Edge, nodeId: string): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (entry.value?.status !== "warm" || entry.value.claims.length > 0) return false;
    if (entry.value.warmUntil! > tx.now) return false;
    putDestroying(tx, entry as Deno.KvEntry<NodeRecord>, entry.value, null);
    return true;
  }, edge.clock);
}

async function requireEntry(tx: Change, nodeId: string): Promise<Deno.KvEntry<NodeRecord>> {
  const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
  if (entry.value === null) throw notFound("node");
  return entry as Deno.KvEntry<NodeRecord>;
}

function conflict(node: NodeRecord, wanted: string): AppError {
  return new AppError(
    "node_lifecycle_conflict",
    `A node that is ${node.status} with ${node.claims.length} claim(s) cannot be ${wanted}.`,
  );
}

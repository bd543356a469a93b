/** Writing a node after a decision: its expiry and deletion are due keys in the same commit. Who claims, claims here. */
import type { EdgeConfig } from "../config.ts";
import type { Change } from "../store/change.ts";
import { type Claim, type NodeRecord, pokeNode, putNode } from "../store/nodes.ts";
import { addClaim, canClaim, decideIdle, toDestroying, toWarm } from "./claims.ts";

interface Claiming {
  claim: Claim;
  config: Pick<EdgeConfig, "NODE_WARM_TIMEOUT_MS" | "MAX_WORKSPACES_PER_NODE">;
  /** A node with room that others use is no good: it must wait in the warm pool. */
  onlyWarm?: boolean;
}

/** Puts a claim on a node. Answers the node as it was before; null, without any effect, when it cannot be claimed. */
export function putClaim(tx: Change, entry: Deno.KvEntryMaybe<NodeRecord>, how: Claiming): NodeRecord | null {
  const { claim, config, onlyWarm = false } = how;
  if (entry.value === null || !canClaim(entry.value, config.MAX_WORKSPACES_PER_NODE)) return null;
  if (onlyWarm && entry.value.status !== "warm") return null;
  putAfterClaims(tx, entry, addClaim(entry.value, claim), config);
  return entry.value;
}

/** Writes a node whose claims changed: it stays, becomes warm with an expiry, or goes. */
export function putAfterClaims(
  tx: Change,
  entry: Deno.KvEntry<NodeRecord>,
  next: NodeRecord,
  config: Pick<EdgeConfig, "NODE_WARM_TIMEOUT_MS">,
): NodeRecord {
  const decision = decideIdle(next);
  if (decision === "destroy") return putDestroying(tx, entry, next, null);
  const node = decision === "warm" ? toWarm(next, tx.now, config) : next;
  const dues = tx.schedule(node.dues, { kind: "node.warmExpiry", id: node.id, at: node.warmUntil });
  return putNode(tx, entry, { ...node, dues });
}

/** Writes a node as destroying; its deletion at the provider is due at once. */
export function putDestroying(
  tx: Change,
  entry: Deno.KvEntry<NodeRecord>,
  next: NodeRecord,
  reason: string | null,
): NodeRecord {
  const node = toDestroying(next, reason);
  // Its control link sees that it is fenced.
  pokeNode(tx, node.id, 0);
  const calm = tx.schedule(node.dues, { kind: "node.warmExpiry", id: node.id, at: null });
  const dues = tx.schedule(calm, { kind: "node.delete", id: node.id, at: tx.now });
  return putNode(tx, entry, { ...node, dues });
}

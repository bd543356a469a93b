/** Writing a node after a decision: its expiry and deletion are due keys in the same commit. */
import type { EdgeConfig } from "../config.ts";
import type { Change } from "../store/change.ts";
import { type NodeRecord, pokeNode, putNode } from "../store/nodes.ts";
import { decideIdle, toDestroying, toWarm } from "./claims.ts";

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

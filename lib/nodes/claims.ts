/**
 * Who uses a node: pure decisions on the node's record. The claims in it are the only truth; whoever changes what is on
 * a node writes the record in the same commit, so warm, claim and expiry are decisions on one checked record.
 */
import type { EdgeConfig } from "../config.ts";
import type { Claim, NodeRecord } from "../store/nodes.ts";

/** Whether work may be put on it now. */
export function canClaim(node: NodeRecord, maxClaims: number): boolean {
  return ["active", "warm"].includes(node.status) && !node.draining && node.health === "ok" &&
    node.claims.length < maxClaims;
}

/** The node with one more claim: active, and no longer waiting for its expiry. */
export function addClaim(node: NodeRecord, claim: Claim): NodeRecord {
  const status = node.status === "warm" ? "active" : node.status;
  return {
    ...node,
    status,
    claims: [...node.claims, claim],
    claimedByTask: node.claimedByTask ?? claim.taskId,
    warmSince: null,
    warmUntil: null,
  };
}

/** The node without the claim of that token; a token that is not there changes nothing. */
export function endClaim(node: NodeRecord, token: string): NodeRecord {
  const claims = node.claims.filter((claim) => claim.token !== token);
  return { ...node, claims, claimedByTask: claims[0]?.taskId ?? null };
}

/** What becomes of a node whose claims changed: warm when it is empty and ours to keep, destroyed when it drains. */
export type IdleDecision = "keep" | "warm" | "destroy";

export function decideIdle(node: NodeRecord): IdleDecision {
  if (node.claims.length > 0 || !["active", "warm"].includes(node.status)) return "keep";
  if (!node.autoProvisioned) return "keep";
  return node.draining ? "destroy" : "warm";
}

/** An empty node kept for reuse until its expiry; on a warm one the expiry begins anew. */
export function toWarm(node: NodeRecord, now: number, config: Pick<EdgeConfig, "NODE_WARM_TIMEOUT_MS">): NodeRecord {
  const warmSince = node.status === "warm" ? node.warmSince : now;
  return { ...node, status: "warm", warmSince, warmUntil: now + config.NODE_WARM_TIMEOUT_MS, claimedByTask: null };
}

/** A node on its way out: what it sends from now on carries an old generation. */
export function toDestroying(node: NodeRecord, reason: string | null): NodeRecord {
  return {
    ...node,
    status: "destroying",
    generation: node.generation + 1,
    warmSince: null,
    warmUntil: null,
    errorMessage: reason ?? node.errorMessage,
  };
}

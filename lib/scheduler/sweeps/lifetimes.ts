/**
 * Machines that have lived too long: a warm one past its expiry and the grace goes, one over the automatic lifetime gets
 * no new work and goes when it is empty, and one over the hard lifetime goes whatever is on it, its tasks failing first.
 */
import type { Edge } from "../../edge.ts";
import { expireWarm } from "../../nodes/lifecycle.ts";
import { listLiveNodes, type NodeRecord } from "../../store/nodes.ts";
import { destroyNode, drainNode } from "../../tasks/retire_node.ts";
import { mendEach } from "../mend_each.ts";

const TOO_OLD = "The machine reached the longest time that it may live.";

export type Lifetime = "keep" | "expire" | "drain" | "destroy";

export async function sweepLifetimes(edge: Edge): Promise<number> {
  return await mendEach(edge, listLiveNodes(edge.store), {
    idOf: (node) => node.id,
    mend: (node) => sweepLifetime(edge, node),
  });
}

async function sweepLifetime(edge: Edge, node: NodeRecord): Promise<boolean> {
  const decision = decideLifetime(node, edge.clock(), edge.config);
  if (decision === "expire") return await expireWarm(edge, node.id);
  if (decision === "drain") await drainNode(edge, node.id);
  if (decision === "destroy") await destroyNode(edge, node, { force: true, actor: "system", reason: TOO_OLD });
  return decision !== "keep";
}

/** What becomes of a machine by its age alone. A person's own is never ended by it. */
export function decideLifetime(
  node: NodeRecord,
  now: number,
  config: Pick<Edge["config"], "MAX_AUTO_NODE_LIFETIME_MS" | "NODE_HARD_LIFETIME_MS" | "NODE_CLEANUP_GRACE_PERIOD_MS">,
): Lifetime {
  if (!node.autoProvisioned || ["destroying", "destroyed"].includes(node.status)) return "keep";
  const ageMs = now - node.createdAt;
  if (ageMs > config.NODE_HARD_LIFETIME_MS) return "destroy";
  if (ageMs > config.MAX_AUTO_NODE_LIFETIME_MS && !node.draining) return "drain";
  if (node.status !== "warm" || node.claims.length > 0) return "keep";
  const due = Math.max(node.warmUntil ?? 0, (node.warmSince ?? 0) + config.NODE_CLEANUP_GRACE_PERIOD_MS);
  return now > due ? "expire" : "keep";
}

/**
 * Which node a task gets: a pure function over the owner's nodes. Warm nodes first, the longest-warm before the others;
 * then an active one with room and little load; else a new machine, as long as the owner may have one more.
 */
import type { BeatRecord, NodeRecord } from "../store/nodes.ts";
import type { VmSize } from "../wire/common.ts";
import { canClaim } from "./claims.ts";

/** Load per core above which an active node gets no further work. */
const LOAD_MAX = 2;
const SIZES: readonly VmSize[] = ["small", "medium", "large"];

export interface Wanted {
  nodeId: string | null;
  vmSize: VmSize;
  /** Null: any. */
  location: string | null;
  codingAgent: string;
}

/** A node with its last heartbeat. */
export interface Candidate {
  node: NodeRecord;
  beat: BeatRecord | null;
}

export type Choice =
  /** Try these in order; who loses one claim tries the next. */
  | { kind: "claim"; nodeIds: string[] }
  /** `last`: the owner may have no machine beside it. */
  | { kind: "provision"; last: boolean }
  | { kind: "wait"; reason: string };

/** `nodes`: the owner's. */
export function selectNode(
  nodes: Candidate[],
  wanted: Wanted,
  limits: { maxClaims: number; maxNodes: number; protocolMin: number },
): Choice {
  const fitting = nodes.filter(({ node }) => fits(node, wanted, limits));
  if (wanted.nodeId) {
    const named = fitting.find(({ node }) => node.id === wanted.nodeId);
    return named
      ? { kind: "claim", nodeIds: [named.node.id] }
      : { kind: "wait", reason: "The chosen node has no room now." };
  }
  const warm = fitting.filter(({ node }) => node.status === "warm").sort((a, b) =>
    a.node.warmSince! - b.node.warmSince!
  );
  const active = fitting.filter(({ node, beat }) => node.status === "active" && (beat?.load ?? 0) < LOAD_MAX)
    .sort((a, b) => a.node.claims.length - b.node.claims.length);
  const nodeIds = [...warm, ...active].map(({ node }) => node.id);
  if (nodeIds.length > 0) return { kind: "claim", nodeIds };
  const owned = nodes.filter(({ node }) => node.status !== "destroyed").length;
  if (owned < limits.maxNodes) return { kind: "provision", last: owned + 1 === limits.maxNodes };
  return { kind: "wait", reason: `All ${limits.maxNodes} nodes that you may have are in use.` };
}

function fits(node: NodeRecord, wanted: Wanted, limits: { maxClaims: number; protocolMin: number }): boolean {
  return canClaim(node, limits.maxClaims) &&
    SIZES.indexOf(node.vmSize) >= SIZES.indexOf(wanted.vmSize) &&
    (wanted.location === null || node.location === wanted.location) &&
    (node.protocol ?? 0) >= limits.protocolMin &&
    node.codingAgents.includes(wanted.codingAgent);
}

/**
 * A new machine. The record is written before the provider is asked, so that no machine is ever without one; the
 * one-time token is made anew for each try, because only its hash is kept.
 */
import { sha256 } from "../auth/hash.ts";
import type { Edge } from "../edge.ts";
import { newSecret } from "../ids.ts";
import { type Change, change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import { type Claim, type NodeRecord, putEnrolment, putFleet, putNode, readFleet } from "../store/nodes.ts";
import type { VmSize } from "../wire/common.ts";
import { accessOf, providerOf, readAccount } from "./accounts.ts";
import { putDestroying } from "./state.ts";

/** How long a one-time token is good for. */
export const BOOTSTRAP_LIFE_MS = 30 * 60_000;

export interface NewNode {
  id: string;
  ownerId: string;
  vmSize: VmSize;
  location: string;
  claim: Claim;
}

/** Writes the record of a machine to be made, with its first claim, within a change. False: the owner has the most. */
export async function putProvisioning(tx: Change, edge: Edge, facts: NewNode): Promise<boolean> {
  const fleet = await readFleet(tx, facts.ownerId);
  const nodeIds = fleet.value?.nodeIds ?? [];
  if (nodeIds.length >= edge.config.MAX_NODES_PER_USER) return false;
  putFleet(tx, fleet, [...nodeIds, facts.id]);
  putNewNode(tx, await tx.get<NodeRecord>(nodeKey(facts.id)), {
    id: facts.id,
    ownerId: facts.ownerId,
    provider: edge.provider.id,
    providerRef: null,
    autoProvisioned: true,
    vmSize: facts.vmSize,
    location: facts.location,
    account: await readAccount(tx, facts.ownerId, edge.provider.id),
    claims: [facts.claim],
  });
  return true;
}

type NewNodeFacts = Pick<
  NodeRecord,
  "id" | "ownerId" | "provider" | "providerRef" | "autoProvisioned" | "vmSize" | "location" | "account" | "claims"
>;

/** Writes the record of a machine whose agent has not come yet. */
export function putNewNode(tx: Change, entry: Deno.KvEntryMaybe<NodeRecord>, facts: NewNodeFacts): void {
  putNode(tx, entry, {
    ...facts,
    v: 1,
    priceHour: null,
    agentVersion: null,
    protocol: null,
    codingAgents: [],
    status: "provisioning",
    draining: false,
    health: "ok",
    generation: 1,
    warmSince: null,
    warmUntil: null,
    claimedByTask: facts.claims[0]?.taskId ?? null,
    secretHash: null,
    errorMessage: null,
    destroyTries: 0,
    registeredAt: null,
    createdAt: tx.now,
    updatedAt: tx.now,
    dues: {},
  });
}

/**
 * Asks the provider for the node's machine; safe to repeat. A node that was given up meanwhile gets its machine
 * deleted, because its own deletion may have found none. Throws ProviderError.
 */
export async function createMachine(
  edge: Edge,
  node: NodeRecord,
  run: { projectId: string | null; sessionId: string | null },
): Promise<void> {
  const bootstrapToken = newSecret();
  const hash = await sha256(bootstrapToken);
  await change(edge.store, (tx) => {
    const expiresAt = tx.now + BOOTSTRAP_LIFE_MS;
    putEnrolment(tx, hash, { v: 1, nodeId: node.id, expiresAt, nonceHash: null });
    return Promise.resolve();
  }, edge.clock);
  const provider = providerOf(edge, node.provider);
  const access = await accessOf(edge, node);
  const ref = await provider.create({
    nodeId: node.id,
    ownerId: node.ownerId,
    installationId: edge.store.installationId,
    vmSize: node.vmSize,
    location: node.location,
    bootstrapToken,
    controlPlaneUrl: edge.config.publicUrl,
    ...run,
  }, access);
  const priceHour = await provider.priceHour?.(node, access) ?? null;
  if (!await noteMachine(edge, node.id, { ref, priceHour })) await provider.destroy(ref, access);
}

/** Whether the machine is still wanted. */
async function noteMachine(
  edge: Edge,
  nodeId: string,
  { ref, priceHour }: { ref: string; priceHour: number | null },
): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (!entry.value || entry.value.status === "destroyed") return false;
    if (entry.value.providerRef !== ref) putNode(tx, entry, { ...entry.value, providerRef: ref, priceHour });
    return true;
  }, edge.clock);
}

/** Gives up on a machine that nobody has seen yet and nobody waits for. */
export async function abandonNode(edge: Edge, nodeId: string, reason: string): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    if (entry.value?.status !== "provisioning" || entry.value.claims.length > 0) return;
    putDestroying(tx, entry as Deno.KvEntry<NodeRecord>, entry.value, reason);
  }, edge.clock);
}

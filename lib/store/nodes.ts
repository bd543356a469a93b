/**
 * Nodes: the record that holds the claims, which are the only truth about who uses a machine. Heartbeats lie apart, so
 * that one never breaks another writer's check.
 */
import type { Heartbeat, Node, NodeStatus } from "../wire/node.ts";
import type { Change, Dues, Versioned } from "./change.ts";
import {
  enrolmentKey,
  fleetKey,
  nodeBeatKey,
  nodeByOwnerKey,
  nodeKey,
  nodeLinkKey,
  nodeLiveKey,
  nodeTopic,
  POINTER,
  projectTopic,
  userTopic,
} from "./keys.ts";
import type { Store } from "./store.ts";
import { toIso, toIsoOrNull } from "./time.ts";

export interface Claim {
  taskId: string | null;
  projectId: string | null;
  workspaceId: string | null;
  token: string;
  at: number;
}

export interface NodeRecord extends Versioned {
  id: string;
  ownerId: string;
  provider: Node["provider"];
  providerRef: string | null;
  /** The account of the credential that the machine was made with; null where the provider needs none. */
  account?: string | null;
  priceHour?: number | null;
  autoProvisioned: boolean;
  vmSize: Node["vmSize"];
  location: string;
  agentVersion: string | null;
  protocol: number | null;
  codingAgents: string[];
  status: NodeStatus;
  draining: boolean;
  health: Node["health"];
  /** A machine of a person's own was given up as lost and fenced, and has not come back since. */
  lost?: boolean;
  /** Raised when the node is declared lost or destroyed: tokens of an older one are fenced. */
  generation: number;
  claims: Claim[];
  warmSince: number | null;
  warmUntil: number | null;
  claimedByTask: string | null;
  secretHash: string | null;
  errorMessage: string | null;
  /** How many dead letters it has handed over, also those that are forgotten by now. */
  deadLettersKept?: number;
  /** Failed tries to destroy the machine at the provider. */
  destroyTries: number;
  registeredAt: number | null;
  createdAt: number;
  updatedAt: number;
  dues: Dues;
}

export interface BeatRecord extends Pick<Heartbeat, "load" | "outboxDepth" | "deadLetters" | "dropped"> {
  v: 1;
  at: number;
  heldLines?: number;
  /** How many workspaces were on the node. */
  workspaces?: number;
  /** Whose rows waited on the node; absent: nobody's. */
  pending?: { workspaceId: string; rows: number }[];
}

interface Fleet extends Versioned {
  nodeIds: string[];
}

export interface EnrolmentRecord extends Versioned {
  nodeId: string;
  expiresAt: number;
  nonceHash: string | null;
}

export async function readNode(store: Store, nodeId: string): Promise<NodeRecord | null> {
  return (await store.kv.get<NodeRecord>(nodeKey(nodeId))).value;
}

/** Writes a node under a check; tells its owner's pages, the projects that use it or did until now, and its link. */
export function putNode(tx: Change, entry: Deno.KvEntryMaybe<NodeRecord>, next: NodeRecord): NodeRecord {
  const record = { ...next, updatedAt: tx.now };
  tx.put(entry, record);
  if (!entry.value) tx.set(nodeByOwnerKey(record.ownerId, record.id), POINTER).set(nodeLiveKey(record.id), POINTER);
  if (record.status === "destroyed") tx.delete(nodeLiveKey(record.id)).delete(nodeBeatKey(record.id));
  tx.announce(userTopic(record.ownerId), ["node", record.id]);
  const claims = [...entry.value?.claims ?? [], ...record.claims];
  for (const projectId of new Set(claims.flatMap((claim) => claim.projectId ?? []))) {
    tx.announce(projectTopic(projectId), ["node", record.id]);
  }
  return record;
}

/** The ids of an owner's nodes that cost money or places: not destroyed. */
export async function readFleet(tx: Change, ownerId: string): Promise<Deno.KvEntryMaybe<Fleet>> {
  return await tx.get<Fleet>(fleetKey(ownerId));
}

export function putFleet(tx: Change, entry: Deno.KvEntryMaybe<Fleet>, nodeIds: string[]): void {
  tx.put(entry, { v: 1, nodeIds });
}

/** The owner's nodes, newest first: all that exist, however old, and those that are destroyed among the last `limit`. */
export async function listNodes(store: Store, ownerId: string, limit = 200): Promise<NodeRecord[]> {
  const entries = store.kv.list({ prefix: ["nodeByOwner", ownerId] }, { reverse: true, limit });
  const last = (await Array.fromAsync(entries)).map((entry) => entry.key[2] as string);
  const ids = new Set([...last, ...await readFleetIds(store, ownerId)]);
  return await readNodes(store, [...ids].sort().reverse());
}

/** The owner's nodes that are not destroyed: all of them, however many there were before. */
export async function listFleet(store: Store, ownerId: string): Promise<NodeRecord[]> {
  const nodes = await readNodes(store, await readFleetIds(store, ownerId));
  return nodes.filter((node) => node.status !== "destroyed");
}

async function readFleetIds(store: Store, ownerId: string): Promise<string[]> {
  return (await store.kv.get<Fleet>(fleetKey(ownerId))).value?.nodeIds ?? [];
}

async function readNodes(store: Store, ids: string[]): Promise<NodeRecord[]> {
  return (await Promise.all(ids.map((id) => readNode(store, id)))).filter((node) => node !== null);
}

export async function* listLiveNodes(store: Store): AsyncGenerator<NodeRecord> {
  for await (const entry of store.kv.list({ prefix: ["nodeLive"] })) {
    const node = await readNode(store, entry.key[1] as string);
    if (node) yield node;
  }
}

export async function readBeat(store: Store, nodeId: string): Promise<BeatRecord | null> {
  return (await store.kv.get<BeatRecord>(nodeBeatKey(nodeId))).value;
}

/** Stores a heartbeat and tells the owner's pages; blind, the newest wins. */
export function setBeat(tx: Change, node: NodeRecord, beat: BeatRecord): void {
  tx.set(nodeBeatKey(node.id), beat).announce(userTopic(node.ownerId), ["node", node.id]);
}

export function putEnrolment(tx: Change, hash: string, enrolment: EnrolmentRecord): void {
  tx.set(enrolmentKey(hash), enrolment, { expireIn: Math.max(1, enrolment.expiresAt - tx.now) });
}

export async function readEnrolment(tx: Change, hash: string): Promise<Deno.KvEntryMaybe<EnrolmentRecord>> {
  return await tx.get<EnrolmentRecord>(enrolmentKey(hash));
}

/** Wakes the node's control link: there are commands, or it must look again. */
export function pokeNode(tx: Change, nodeId: string, seq: number): void {
  tx.announce(nodeTopic(nodeId), ["command", seq]);
}

/** Names the newest control link of a node; those in other processes see it and close. */
export function putLink(tx: Change, nodeId: string, link: string): void {
  tx.set(nodeLinkKey(nodeId), { link });
  pokeNode(tx, nodeId, 0);
}

/** The node's newest control link, and the generation that its agent must be of. */
export async function readLink(
  store: Store,
  nodeId: string,
): Promise<{ link: string | null; generation: number | null }> {
  const [node, newest] = await store.kv.getMany<[NodeRecord, { link: string }]>([nodeKey(nodeId), nodeLinkKey(nodeId)]);
  return { link: newest.value?.link ?? null, generation: node.value?.generation ?? null };
}

export function toNode(record: NodeRecord, beat: BeatRecord | null, now = Date.now()): Node {
  return {
    id: record.id,
    ownerId: record.ownerId,
    provider: record.provider,
    providerRef: record.providerRef,
    autoProvisioned: record.autoProvisioned,
    vmSize: record.vmSize,
    location: record.location,
    agentVersion: record.agentVersion,
    codingAgents: record.codingAgents,
    status: record.status,
    draining: record.draining,
    health: record.health,
    claims: record.claims.map(({ taskId, workspaceId, at }) => ({ taskId, workspaceId, at: toIso(at) })),
    warmSince: toIsoOrNull(record.warmSince),
    warmUntil: toIsoOrNull(record.warmUntil),
    claimedByTask: record.claimedByTask,
    priceHour: record.priceHour ?? null,
    costSoFar: costOf(record, now),
    errorMessage: record.errorMessage,
    deadLettersKept: record.deadLettersKept ?? 0,
    heartbeat: beat && {
      at: toIso(beat.at),
      load: beat.load,
      outboxDepth: beat.outboxDepth,
      deadLetters: beat.deadLetters,
      dropped: beat.dropped,
      heldLines: beat.heldLines ?? 0,
    },
    createdAt: toIso(record.createdAt),
  };
}

/** Providers bill every hour that was begun. */
function costOf({ priceHour, createdAt, status, updatedAt }: NodeRecord, now: number): number | null {
  if (priceHour === null || priceHour === undefined) return null;
  const until = status === "destroyed" ? updatedAt : now;
  const cost = priceHour * Math.max(1, Math.ceil((until - createdAt) / 3_600_000));
  return Math.round(cost * 1e6) / 1e6;
}

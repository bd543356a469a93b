/** Our record of a machine, and the calls by which its agent registers, reports and renews its tokens. */
import { z } from "zod";
import { count, finite, pageOf, timestamp, uuid, vmSize } from "./common.ts";

export const nodeStatus = z.enum(["provisioning", "active", "warm", "destroying", "destroyed", "error"]);
export type NodeStatus = z.infer<typeof nodeStatus>;

export const heartbeatView = z.object({
  at: timestamp,
  load: z.number(),
  outboxDepth: count,
  deadLetters: count,
  dropped: count,
  heldLines: count,
});

export const node = z.object({
  id: uuid,
  ownerId: uuid,
  provider: z.enum(["local", "hetzner", "manual"]),
  providerRef: z.string().nullable(),
  autoProvisioned: z.boolean(),
  vmSize,
  location: z.string(),
  agentVersion: z.string().nullable(),
  codingAgents: z.array(z.string()),
  status: nodeStatus,
  draining: z.boolean(),
  health: z.enum(["ok", "unreachable"]),
  claims: z.array(z.object({ taskId: uuid.nullable(), workspaceId: uuid.nullable(), at: timestamp })),
  warmSince: timestamp.nullable(),
  warmUntil: timestamp.nullable(),
  claimedByTask: uuid.nullable(),
  /** What an hour costs at the provider, taxes included, in the currency that it bills; null: nothing, or not known. */
  priceHour: z.number().nullable(),
  /** What the machine has cost until now or its end, each hour begun counted whole. */
  costSoFar: z.number().nullable(),
  errorMessage: z.string().nullable(),
  /** Dead letters that it has handed over; each is kept for 30 days. */
  deadLettersKept: count,
  heartbeat: heartbeatView.nullable(),
  createdAt: timestamp,
});
export type Node = z.infer<typeof node>;

/** A node as its owner sees it: with what works on it, of the projects that are open to them. */
export const ownNode = node.extend({
  tasks: z.array(z.object({ id: uuid, title: z.string(), projectId: uuid, sessionId: uuid })),
});
export type OwnNode = z.infer<typeof ownNode>;

/** A page of nodes, with what a person must know about their machines. */
export const nodePage = pageOf(ownNode).extend({ warnings: z.array(z.string()) });

export const createNode = z.strictObject({ vmSize: vmSize.default("medium") });
export const createdNode = z.object({
  node,
  /** One line for a root shell on the machine. */
  command: z.string(),
  expiresAt: timestamp,
});

const version = z.string().max(100);

export const registerNode = z.object({
  nodeId: uuid,
  bootstrapToken: z.string().min(20).max(200),
  /** Made once by the agent and kept: the same nonce may ask again, because the answer may be lost. */
  nonce: z.string().min(20).max(200),
  agentVersion: version,
  protocol: z.int().min(1).max(1_000_000),
  capabilities: z.object({
    codingAgents: z.array(z.string().max(60)).max(50),
    hostname: z.string().max(253).optional(),
    os: z.string().max(60).optional(),
    arch: z.string().max(60).optional(),
    isolated: z.boolean().optional(),
  }),
});
export type RegisterNode = z.infer<typeof registerNode>;

export const edgeLimits = z.object({
  maxMessagesPerBatch: count,
  maxBatchBytes: count,
});
export const registerAnswer = z.object({
  nodeSecret: z.string(),
  callbackToken: z.string(),
  heartbeatMs: z.number(),
  limits: edgeLimits,
});
export type RegisterAnswer = z.infer<typeof registerAnswer>;

export const nodeTokenBody = z.object({
  nodeSecret: z.string().min(20).max(200),
  workspaceIds: z.array(uuid).max(200).default([]),
});
export const nodeTokens = z.object({
  callbackToken: z.string(),
  workspaceTokens: z.record(uuid, z.string()),
});
export type NodeTokens = z.infer<typeof nodeTokens>;

export const heartbeat = z.object({
  load: finite.min(0).max(100_000),
  workspaces: z.array(z.object({
    id: uuid,
    status: z.string().max(40),
    turn: z.string().max(40),
    pendingRows: count,
  })).max(200),
  outboxDepth: count,
  deadLetters: count,
  dropped: count,
  /** Workspaces whose messages wait because the edge refuses the workspace; an older agent does not say. */
  heldLines: count.default(0),
  /** The node's clock, to show a skew. */
  clock: timestamp,
  agentVersion: version.optional(),
});
export type Heartbeat = z.infer<typeof heartbeat>;

/** `wanted`: every workspace that may be on the node; the agent ends what is not in it. */
export const heartbeatAnswer = z.object({
  callbackToken: z.string().optional(),
  workspaceTokens: z.record(uuid, z.string()).optional(),
  commandSeq: count,
  wanted: z.array(uuid),
  fenced: z.boolean().optional(),
});
export type HeartbeatAnswer = z.infer<typeof heartbeatAnswer>;

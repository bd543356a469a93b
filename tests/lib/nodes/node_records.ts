/** Records of nodes for tests of pure decisions. */
import type { Claim, NodeRecord } from "../../../lib/store/nodes.ts";

let made = 0;

/** An active node of an agent that registered; `more` says what is special about it. */
export function nodeRecord(more: Partial<NodeRecord> = {}): NodeRecord {
  made++;
  return {
    v: 1,
    id: `node-${made}`,
    ownerId: "owner",
    provider: "local",
    providerRef: `ref-${made}`,
    autoProvisioned: true,
    vmSize: "small",
    location: "nbg1",
    agentVersion: "0.1.0",
    protocol: 1,
    codingAgents: ["demo"],
    status: "active",
    draining: false,
    health: "ok",
    generation: 1,
    claims: [],
    warmSince: null,
    warmUntil: null,
    claimedByTask: null,
    secretHash: "hash",
    errorMessage: null,
    destroyTries: 0,
    registeredAt: 0,
    createdAt: 0,
    updatedAt: 0,
    dues: {},
    ...more,
  };
}

export function warmRecord(warmSince: number, more: Partial<NodeRecord> = {}): NodeRecord {
  return nodeRecord({ status: "warm", warmSince, warmUntil: warmSince + 1_000, ...more });
}

export function claimRecord(token: string, more: Partial<Claim> = {}): Claim {
  return { taskId: `task-${token}`, projectId: "project", workspaceId: null, token, at: 0, ...more };
}

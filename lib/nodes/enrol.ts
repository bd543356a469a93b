/**
 * Registration and tokens of a node. The one-time token belongs to the first nonce that shows it: the same agent may ask
 * again, because the answer may be lost; anybody else is refused, and the owner sees it.
 */
import { isSameHash, sha256 } from "../auth/hash.ts";
import { signNodeToken, signWorkspaceToken } from "../auth/tokens.ts";
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { type Change, change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { nodeKey } from "../store/keys.ts";
import { type EnrolmentRecord, type NodeRecord, readEnrolment, readNode } from "../store/nodes.ts";
import { readWorkspace } from "../store/workspaces.ts";
import type { NodeTokens, RegisterAnswer, RegisterNode } from "../wire/node.ts";
import { putAfterClaims } from "./state.ts";

/** Registers a node's agent. Throws `unauthorized`, `upgrade_required`, `node_fenced`. */
export async function registerNode(edge: Edge, body: RegisterNode): Promise<RegisterAnswer> {
  checkProtocol(edge, body.protocol);
  const nodeSecret = await deriveSecret(edge, body);
  const hashes = {
    token: await sha256(body.bootstrapToken),
    nonce: await sha256(body.nonce),
    secret: await sha256(nodeSecret),
  };
  const node = await change(edge.store, async (tx) => {
    const enrolment = await readEnrolment(tx, hashes.token);
    checkEnrolment(edge, enrolment.value, { nodeId: body.nodeId, nonceHash: hashes.nonce, now: tx.now });
    const entry = await tx.get<NodeRecord>(nodeKey(body.nodeId));
    if (!entry.value || ["destroying", "destroyed"].includes(entry.value.status)) throw gone();
    if (enrolment.value!.nonceHash === null) tx.put(enrolment, { ...enrolment.value!, nonceHash: hashes.nonce });
    return putRegistered(tx, edge, { entry: entry as Deno.KvEntry<NodeRecord>, body, secretHash: hashes.secret });
  }, edge.clock);
  return { ...await answer(edge, node), nodeSecret };
}

/** New tokens for a node that shows its secret; workspaces that are not its own are left out. */
export async function renewTokens(
  edge: Edge,
  nodeId: string,
  request: { nodeSecret: string; workspaceIds: string[] },
): Promise<NodeTokens> {
  const node = await readNode(edge.store, nodeId);
  const hash = await sha256(request.nodeSecret);
  if (!node?.secretHash || !isSameHash(node.secretHash, hash)) {
    throw new AppError(
      "unauthorized",
      "The node's secret is not valid. If the machine is still wanted, enrol it again.",
    );
  }
  const now = edge.clock();
  const callbackToken = await signNodeToken(edge.keyring, { node: nodeId, generation: node.generation }, now);
  const tokens = await Promise.all(request.workspaceIds.map((id) => workspaceToken(edge, nodeId, id)));
  return { callbackToken, workspaceTokens: Object.fromEntries(tokens.filter((each) => each !== null)) };
}

/** The token of a workspace on this node, also of one that ended: its last rows may still be under way. */
export async function workspaceToken(
  edge: Edge,
  nodeId: string,
  workspaceId: string,
): Promise<[string, string] | null> {
  const workspace = await readWorkspace(edge.store, workspaceId);
  if (workspace?.nodeId !== nodeId) return null;
  const claims = { node: nodeId, generation: workspace.generation, workspace: workspaceId, run: workspace.run };
  return [workspaceId, await signWorkspaceToken(edge.keyring, claims, edge.clock())];
}

/**
 * The secret is derived from the token and the nonce under the edge's key, so that a repeated registration whose answer
 * was lost gets the same one although only its hash is stored.
 */
async function deriveSecret(edge: Edge, body: RegisterNode): Promise<string> {
  const key = edge.keyring.keys[0]!.secret as Uint8Array<ArrayBuffer>;
  const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const text = `node-secret\0${body.nodeId}\0${body.bootstrapToken}\0${body.nonce}`;
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(text)));
  return `hn_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function checkEnrolment(
  edge: Edge,
  enrolment: EnrolmentRecord | null,
  shown: { nodeId: string; nonceHash: string; now: number },
): void {
  const valid = enrolment && enrolment.nodeId === shown.nodeId && enrolment.expiresAt > shown.now;
  if (valid && (enrolment.nonceHash === null || isSameHash(enrolment.nonceHash, shown.nonceHash))) return;
  edge.log.warn("node_register_refused", { nodeId: shown.nodeId, spent: Boolean(valid) });
  throw new AppError("unauthorized", "The one-time token is unknown, spent or too old. Ask for a new install command.");
}

function putRegistered(
  tx: Change,
  edge: Edge,
  facts: { entry: Deno.KvEntry<NodeRecord>; body: RegisterNode; secretHash: string },
): NodeRecord {
  const { entry, body } = facts;
  const status = entry.value.status === "provisioning" ? "active" : entry.value.status;
  for (const { taskId, projectId } of entry.value.claims) {
    if (taskId && projectId) scheduleLoose(tx, { kind: "task.advance", id: `${projectId}/${taskId}`, at: tx.now });
  }
  return putAfterClaims(tx, entry, {
    ...entry.value,
    lost: false,
    status,
    secretHash: facts.secretHash,
    agentVersion: body.agentVersion,
    protocol: body.protocol,
    codingAgents: body.capabilities.codingAgents,
    health: "ok",
    registeredAt: tx.now,
  }, edge.config);
}

async function answer(edge: Edge, node: NodeRecord): Promise<Omit<RegisterAnswer, "nodeSecret">> {
  return {
    callbackToken: await signNodeToken(edge.keyring, { node: node.id, generation: node.generation }, edge.clock()),
    heartbeatMs: edge.config.HEARTBEAT_INTERVAL_MS,
    limits: {
      maxMessagesPerBatch: edge.config.MAX_MESSAGES_PER_BATCH,
      maxBatchBytes: edge.config.MAX_MESSAGES_PAYLOAD_BYTES,
    },
  };
}

function checkProtocol({ protocol: spoken }: Edge, protocol: number): void {
  if (protocol >= spoken.min && protocol <= spoken.max) return;
  throw new AppError(
    "upgrade_required",
    `The agent speaks protocol ${protocol}, this edge ${spoken.min} to ${spoken.max}. Install the agent that fits the edge.`,
  );
}

function gone(): AppError {
  return new AppError(
    "node_fenced",
    "This node was removed. Stop its agent, and enrol the machine anew if you want it back.",
  );
}

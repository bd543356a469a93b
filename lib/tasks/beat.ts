/**
 * A heartbeat: the node is alive. It is stored apart from the node's record; the answer tells the agent what the edge
 * wants on the machine (commands are edges, this is the level), and workspaces that the node lost end as failed.
 */
import { type NodeClaims, signNodeToken } from "../auth/tokens.ts";
import type { Edge } from "../edge.ts";
import { workspaceToken } from "../nodes/enrol.ts";
import { hurryDeletion } from "../nodes/destroy.ts";
import { change } from "../store/change.ts";
import { lastCommandSeq } from "../store/commands.ts";
import { nodeKey, workspaceKey } from "../store/keys.ts";
import { type NodeRecord, putNode, setBeat } from "../store/nodes.ts";
import { putWorkspace, readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import type { Heartbeat, HeartbeatAnswer } from "../wire/node.ts";
import { finishTask } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";

/** A workspace this young may not have reached the node yet. */
const YOUNG_MS = 60_000;
const MISSED_MAX = 2;

/** Takes in a heartbeat of a node. A fenced one keeps delivering, and is told that nothing is wanted from it. */
export async function beat(
  edge: Edge,
  node: NodeRecord,
  call: { claims: NodeClaims; body: Heartbeat },
): Promise<HeartbeatAnswer> {
  const { body, claims } = call;
  const isFenced = claims.generation !== node.generation || ["destroying", "destroyed"].includes(node.status);
  if (node.status !== "destroyed") await storeBeat(edge, node, { body, isFenced });
  const commandSeq = await lastCommandSeq(edge.store, node.id);
  if (isFenced) return { commandSeq, wanted: [], fenced: true };
  const wanted = node.claims.flatMap((claim) => claim.workspaceId ?? []);
  await noteMissing(edge, wanted, new Set(body.workspaces.map((workspace) => workspace.id)));
  const tokens = await Promise.all(wanted.map((id) => workspaceToken(edge, node.id, id)));
  return {
    callbackToken: await signNodeToken(edge.keyring, { node: node.id, generation: node.generation }, edge.clock()),
    workspaceTokens: Object.fromEntries(tokens.filter((token) => token !== null)),
    commandSeq,
    wanted,
  };
}

/** An agent that is fenced does no work, however alive it is: its node does not count as well again. */
async function storeBeat(edge: Edge, node: NodeRecord, from: { body: Heartbeat; isFenced: boolean }): Promise<void> {
  const { load, outboxDepth, deadLetters, dropped, heldLines, workspaces } = from.body;
  const waiting = workspaces.filter(({ pendingRows }) => pendingRows > 0);
  const pending = waiting.map(({ id, pendingRows }) => ({ workspaceId: id, rows: pendingRows }));
  await change(edge.store, async (tx) => {
    const counts = { load, outboxDepth, deadLetters, dropped, heldLines, workspaces: workspaces.length };
    setBeat(tx, node, { v: 1, at: tx.now, ...counts, ...(pending.length > 0 && { pending }) });
    // One write of the record in a commit: how well a node is that goes is not asked any more.
    if (node.status === "destroying") return await hurryDeletion(tx, node.id, counts);
    if (node.health === "ok" || from.isFenced) return;
    const entry = await tx.get<NodeRecord>(nodeKey(node.id));
    if (!entry.value) return;
    const { lost, errorMessage } = entry.value;
    putNode(tx, entry, { ...entry.value, lost: false, health: "ok", errorMessage: lost ? null : errorMessage });
  }, edge.clock);
}

async function noteMissing(edge: Edge, wanted: string[], present: Set<string>): Promise<void> {
  for (const workspaceId of wanted) {
    const workspace = await readWorkspace(edge.store, workspaceId);
    if (!workspace || workspace.status === "stopped") continue;
    const missing = !present.has(workspaceId) && edge.clock() - workspace.createdAt > YOUNG_MS;
    const missed = await countMissed(edge, workspace, missing);
    if (missed >= MISSED_MAX) await endLost(edge, workspace);
  }
}

async function countMissed(edge: Edge, workspace: WorkspaceRecord, missing: boolean): Promise<number> {
  if (!missing && workspace.missed === 0) return 0;
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspace.id));
    if (!entry.value) return 0;
    const missed = missing ? entry.value.missed + 1 : 0;
    putWorkspace(tx, entry, { ...entry.value, missed });
    return missed;
  }, edge.clock);
}

async function endLost(edge: Edge, workspace: WorkspaceRecord): Promise<void> {
  const { projectId, taskId } = workspace;
  if (projectId && taskId) {
    await finishTask(edge, { projectId, taskId, workspaceId: workspace.id }, {
      to: "failed",
      actor: "system",
      reason: "The workspace was lost on the node.",
      keep: false,
      lost: true,
    });
  }
  await releaseWorkspace(edge, workspace.id);
}

/**
 * A workspace opened by hand, without a task. With a project it also gets a chat session; if the session cannot be made
 * the workspace still is. The agent is told last, so that it never sees half of it.
 */
import type { Edge } from "../edge.ts";
import { AppError, messageOf } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import { abandonNode, createMachine, putProvisioning } from "../nodes/provision.ts";
import { requireKnownCodingAgent } from "../nodes/coding_agents.ts";
import { selectNode } from "../nodes/selector.ts";
import { refuseSharedMachine } from "../nodes/shared_machine.ts";
import { putClaim } from "../nodes/state.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { type IdempotentCall, recallAnswer, rememberAnswer } from "../store/idempotency.ts";
import { nodeKey, sessionKey, workspaceKey } from "../store/keys.ts";
import { listFleet, type NodeRecord, readBeat, readNode } from "../store/nodes.ts";
import type { ProjectRecord } from "../store/projects.ts";
import { newSession, putSession } from "../store/sessions.ts";
import { isWorking, putWorkspace, readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import type { CreateWorkspace } from "../wire/workspace.ts";
import { holdProject } from "./project.ts";
import { releaseWorkspace } from "./release.ts";

interface Opening {
  userId: string;
  project: ProjectRecord | null;
  body: CreateWorkspace;
  idempotency: IdempotentCall | null;
}

/** Opens a workspace. Throws `node_busy`, `limit_reached`, `not_found`. */
export async function openWorkspace(edge: Edge, opening: Opening): Promise<WorkspaceRecord> {
  await refuseSharedMachine(edge);
  await requireKnownCodingAgent(edge, opening.userId, codingAgentOf(edge, opening));
  const nodeId = await chooseNode(edge, opening);
  const ids = { workspace: newId(), node: nodeId ?? newId(), token: newSecret(12), isNew: nodeId === null };
  const known = await putClaimed(edge, opening, ids);
  if (known) return known;
  if (opening.project) await linkSession(edge, opening.project, ids.workspace);
  await tellAgent(edge, ids.workspace);
  if (ids.isNew) await makeMachine(edge, ids.node, ids.workspace);
  return (await readWorkspace(edge.store, ids.workspace))!;
}

async function chooseNode(edge: Edge, opening: Opening): Promise<string | null> {
  const nodes = await listFleet(edge.store, opening.userId);
  const withBeats = await Promise.all(nodes.map(async (node) => ({ node, beat: await readBeat(edge.store, node.id) })));
  const choice = selectNode(withBeats, {
    nodeId: opening.body.nodeId ?? null,
    vmSize: opening.body.vmSize ?? opening.project?.defaultVmSize ?? "small",
    location: null,
    codingAgent: codingAgentOf(edge, opening),
  }, {
    maxClaims: edge.config.MAX_WORKSPACES_PER_NODE,
    maxNodes: edge.config.MAX_NODES_PER_USER,
    protocolMin: edge.protocol.min,
  });
  if (choice.kind === "wait") throw new AppError("node_busy", `${choice.reason} Try again when a workspace has ended.`);
  return choice.kind === "claim" ? choice.nodeIds[0]! : null;
}

/** Claim and row in one commit; a repeated call gets the workspace that it made before. */
async function putClaimed(
  edge: Edge,
  opening: Opening,
  ids: { workspace: string; node: string; token: string; isNew: boolean },
): Promise<WorkspaceRecord | null> {
  return await change(edge.store, async (tx) => {
    const before = await recallAnswer<{ workspaceId: string }>(tx, opening.idempotency);
    if (before) return await readWorkspace(edge.store, before.workspaceId);
    if (opening.project) await holdProject(tx, opening.project.id);
    const claim = {
      taskId: null,
      projectId: opening.project?.id ?? null,
      workspaceId: ids.workspace,
      token: ids.token,
      at: tx.now,
    };
    const generation = ids.isNew
      ? await beginNode(tx, edge, opening, { id: ids.node, claim })
      : await takeNode(tx, edge, ids.node, claim);
    const workspace = newWorkspace(edge, opening, { ...ids, generation, now: tx.now });
    // Until the agent was told, a crash must not leave the claim for ever.
    const at = tx.now + edge.config.WORKSPACE_READY_TIMEOUT_MS;
    const dues = tx.schedule({}, { kind: "workspace.release", id: ids.workspace, at });
    putWorkspace(tx, { key: workspaceKey(ids.workspace), value: null, versionstamp: null }, { ...workspace, dues });
    rememberAnswer(tx, opening.idempotency, { workspaceId: ids.workspace });
    return null;
  }, edge.clock);
}

type NewClaim = NodeRecord["claims"][number];

async function takeNode(tx: Change, edge: Edge, nodeId: string, claim: NewClaim): Promise<number> {
  const node = putClaim(tx, await tx.get<NodeRecord>(nodeKey(nodeId)), { claim, config: edge.config });
  if (!node) throw new AppError("node_busy", "The node was taken meanwhile. Try again.");
  return node.generation;
}

async function beginNode(
  tx: Change,
  edge: Edge,
  opening: Opening,
  node: { id: string; claim: NewClaim },
): Promise<number> {
  const room = await putProvisioning(tx, edge, {
    ...node,
    ownerId: opening.userId,
    vmSize: opening.body.vmSize ?? opening.project?.defaultVmSize ?? "small",
    location: edge.config.DEFAULT_VM_LOCATION,
  });
  if (!room) {
    throw new AppError("limit_reached", `You have ${edge.config.MAX_NODES_PER_USER} nodes, which is the most.`);
  }
  return 1;
}

function newWorkspace(
  edge: Edge,
  opening: Opening,
  facts: { workspace: string; node: string; token: string; generation: number; now: number },
): WorkspaceRecord {
  const { project, body } = opening;
  const baseBranch = body.branch ?? project?.defaultBranch ?? "main";
  return {
    v: 1,
    id: facts.workspace,
    projectId: project?.id ?? null,
    taskId: null,
    run: null,
    nodeId: facts.node,
    claimToken: facts.token,
    generation: facts.generation,
    sessionId: null,
    ownerId: opening.userId,
    repositoryUrl: project?.repositoryUrl ?? body.repositoryUrl!,
    baseBranch,
    branch: baseBranch,
    codingAgent: codingAgentOf(edge, opening),
    permissionMode: project?.permissionMode ?? "autonomous",
    vmSize: body.vmSize ?? project?.defaultVmSize ?? "small",
    status: "creating",
    errorMessage: null,
    keptUntil: null,
    missed: 0,
    createdAt: facts.now,
    updatedAt: facts.now,
    dues: {},
  };
}

/** Best effort: a workspace without its conversation is still a workspace. */
async function linkSession(edge: Edge, project: ProjectRecord, workspaceId: string): Promise<void> {
  const sessionId = newId();
  try {
    await change(edge.store, async (tx) => {
      const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
      // Closed meanwhile: a conversation with nobody would stay open for ever.
      if (!entry.value || entry.value.sessionId || !isWorking(entry.value)) return;
      const session = newSession({ id: sessionId, projectId: project.id, taskId: null, topic: null, now: tx.now });
      const key = sessionKey(project.id, sessionId);
      putSession(tx, { key, value: null, versionstamp: null }, { ...session, workspaceId, status: "active" });
      putWorkspace(tx, entry, { ...entry.value, sessionId });
    }, edge.clock);
  } catch (error) {
    edge.log.warn("session_not_made", { workspaceId, reason: messageOf(error) });
  }
}

async function tellAgent(edge: Edge, workspaceId: string): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
    // Closed meanwhile: its end has a due key of the same kind.
    if (!entry.value || !isWorking(entry.value)) return;
    const dues = tx.schedule(entry.value.dues, { kind: "workspace.release", id: workspaceId, at: null });
    putWorkspace(tx, entry, { ...entry.value, dues });
    await addCommands(tx, entry.value.nodeId, [{ kind: "workspace.start", workspaceId, run: null }]);
  }, edge.clock);
}

async function makeMachine(edge: Edge, nodeId: string, workspaceId: string): Promise<void> {
  const node = await readNode(edge.store, nodeId);
  if (!node) return;
  try {
    await createMachine(edge, node, { projectId: null, sessionId: null });
  } catch (error) {
    await releaseWorkspace(edge, workspaceId);
    await abandonNode(edge, nodeId, messageOf(error));
    throw new AppError("node_busy", `The machine could not be made: ${messageOf(error)}`, { cause: error });
  }
}

function codingAgentOf(edge: Edge, opening: Opening): string {
  return opening.body.codingAgent ?? opening.project?.codingAgent ?? edge.config.DEFAULT_CODING_AGENT;
}

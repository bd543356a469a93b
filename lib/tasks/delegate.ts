/**
 * Handing a claimed task to its node: workspace row, the claim's workspace, the active session and the command are one
 * write. The command carries ids only; the agent reads everything else when it needs it.
 */
import type { Edge } from "../edge.ts";
import { newId } from "../ids.ts";
import { change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { nodeKey, sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import { type NodeRecord, putNode } from "../store/nodes.ts";
import type { ProjectRecord } from "../store/projects.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { addEvents, putTask, type TaskRecord } from "../store/tasks.ts";
import { putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { wantedNode } from "./assign.ts";
import { enterStep } from "./deadlines.ts";
import { requireProjectRecord } from "./project.ts";
import { transition } from "./state.ts";
import { branchOf } from "./submit.ts";

/** Delegates a queued task that holds a claim on an active node. */
export async function delegate(edge: Edge, task: TaskRecord): Promise<"again" | "wait"> {
  const project = await requireProjectRecord(edge, task.projectId);
  const workspaceId = newId();
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(task.projectId, task.id));
    const node = await tx.get<NodeRecord>(nodeKey(task.nodeId!));
    const session = await tx.get<SessionRecord>(sessionKey(task.projectId, task.sessionId));
    const current = entry.value;
    if (current?.status !== "queued" || current.run !== task.run || current.nodeId !== task.nodeId) return "wait";
    const held = node.value?.claims.some((claim) => claim.token === current.claimToken);
    if (!held || !session.value || node.value!.status !== "active") return "again";
    const claims = node.value!.claims.map((claim) =>
      claim.token === current.claimToken ? { ...claim, workspaceId } : claim
    );
    putNode(tx, node, { ...node.value!, claims });
    const workspace = newWorkspace({ id: workspaceId, task: current, project, node: node.value!, now: tx.now });
    putWorkspace(tx, { key: workspaceKey(workspaceId), value: null, versionstamp: null }, workspace);
    putSession(tx, session, activate(session.value, workspaceId, current), { active: true });
    const eventCount = addEvents(tx, current, [transition(current, "delegated", { actor: "system" })]);
    const next: TaskRecord = { ...current, status: "delegated", workspaceId, eventCount };
    putTask(tx, entry, enterStep(tx, next, "creating_workspace", edge.config));
    await addCommands(tx, node.value!.id, [{ kind: "workspace.start", workspaceId, run: current.run }]);
    return "wait";
  }, edge.clock);
}

/** The session of a run that begins: the run's first prompt counts as handed out. */
function activate(session: SessionRecord, workspaceId: string, task: TaskRecord): SessionRecord {
  return {
    ...session,
    workspaceId,
    status: "active",
    turn: "idle",
    run: task.run,
    handedOut: task.promptId,
    lastTurn: null,
    promptsTaken: session.promptCount,
    endedAt: null,
  };
}

function newWorkspace(
  facts: { id: string; task: TaskRecord; project: ProjectRecord; node: NodeRecord; now: number },
): WorkspaceRecord {
  const { task, project, node } = facts;
  const wanted = wantedNode(task, project);
  return {
    v: 1,
    id: facts.id,
    projectId: project.id,
    taskId: task.id,
    run: task.run,
    nodeId: node.id,
    claimToken: task.claimToken!,
    generation: node.generation,
    sessionId: task.sessionId,
    ownerId: task.ownerId,
    repositoryUrl: project.repositoryUrl,
    baseBranch: task.continues?.branch ?? project.defaultBranch,
    branch: branchOf(task),
    codingAgent: wanted.codingAgent,
    permissionMode: project.permissionMode,
    vmSize: node.vmSize,
    status: "creating",
    errorMessage: null,
    keptUntil: null,
    missed: 0,
    createdAt: facts.now,
    updatedAt: facts.now,
    dues: {},
  };
}

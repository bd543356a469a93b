/**
 * A node for a queued task: a claim on one that exists, the record of a new one, or the wait for one that becomes free.
 * Task and node are checked and written in one commit, so that a node is claimed by a live task or not at all.
 */
import { requireProjectRecord } from "./project.ts";
import type { Edge } from "../edge.ts";
import { newId, newSecret } from "../ids.ts";
import { putProvisioning } from "../nodes/provision.ts";
import { type Candidate, type Choice, selectNode, type Wanted } from "../nodes/selector.ts";
import { putClaim } from "../nodes/state.ts";
import { type Change, change } from "../store/change.ts";
import { nodeKey, taskKey } from "../store/keys.ts";
import { listFleet, type NodeRecord, readBeat } from "../store/nodes.ts";
import type { ProjectRecord } from "../store/projects.ts";
import { putTask, type TaskRecord } from "../store/tasks.ts";
import type { VmSize } from "../wire/common.ts";
import { enterStep } from "./deadlines.ts";
import { endClaimOf } from "./finish.ts";
import { findMissingCredentials } from "./run_credentials.ts";
import { byUrgency, listWaiting, wake, wakeWaiting } from "./waiting.ts";

/** A waiting task looks again after this long, also when nobody wakes it. */
const LOOK_AGAIN_MS = 60_000;

/** What the run asks of a node. Precedence of sizes: this run, the task, the project, small. */
export function wantedNode(task: TaskRecord, project: ProjectRecord): Wanted & { codingAgent: string; vmSize: VmSize } {
  return {
    nodeId: task.runOptions.nodeId ?? null,
    vmSize: task.runOptions.vmSize ?? task.vmSize ?? project.defaultVmSize ?? "small",
    location: task.runOptions.vmLocation ?? null,
    codingAgent: task.agentHint ?? project.codingAgent,
  };
}

/** Claims a node, begins a new one, or lets the task wait. `failed`: there is nothing left to wait for. */
export async function assignNode(edge: Edge, task: TaskRecord): Promise<"again" | "wait" | { failed: string }> {
  const wanted = wantedNode(task, await requireProjectRecord(edge, task.projectId));
  const missing = await findMissingCredentials(edge, { userId: task.ownerId, codingAgent: wanted.codingAgent });
  if (missing) return { failed: missing.message };
  const nodes = await listCandidates(edge, task.ownerId);
  if (wanted.nodeId && !nodes.some(({ node }) => node.id === wanted.nodeId && node.status !== "destroying")) {
    return { failed: "The machine chosen for this run is gone." };
  }
  const choice = choose(edge, nodes, wanted);
  if (choice.kind === "wait" || await isOutranked(edge, task, { nodes, choice, wanted })) {
    return await waitForNode(edge, task);
  }
  if (choice.kind === "provision") return await beginNode(edge, task, wanted);
  for (const nodeId of choice.nodeIds) {
    if (!await claim(edge, task, nodeId)) continue;
    // There may be room for one more of those who wait.
    if (task.executionStep === "waiting_for_node") await wakeWaiting(edge, task.ownerId);
    return "again";
  }
  // Every candidate went to somebody else between the look and the claim: look again.
  return "again";
}

/**
 * The task stays queued; the end of a claim, or a minute, makes it try again. `abandon` says why the machine that was
 * begun for it is given up in the same commit.
 */
export async function waitForNode(
  edge: Edge,
  task: TaskRecord,
  how: { abandon: string | null } = { abandon: null },
): Promise<"wait"> {
  await changeQueued(edge, task, async (tx, entry) => {
    await endClaimOfTask(tx, edge, entry.value, how.abandon);
    const due = { kind: "task.advance" as const, id: `${task.projectId}/${task.id}`, at: tx.now + LOOK_AGAIN_MS };
    const next = { ...entry.value, nodeId: null, claimToken: null, dues: tx.schedule(entry.value.dues, due) };
    putTask(tx, entry, enterStep(tx, next, "waiting_for_node", edge.config));
    return true;
  });
  return "wait";
}

/** Gives up a node that takes no new work, before anything was started there; the task looks for another. */
export async function leaveNode(edge: Edge, task: TaskRecord): Promise<"again"> {
  await changeQueued(edge, task, async (tx, entry) => {
    await endClaimOfTask(tx, edge, entry.value, "Told to take no new work.");
    putTask(
      tx,
      entry,
      enterStep(tx, { ...entry.value, nodeId: null, claimToken: null }, "selecting_node", edge.config),
    );
    return true;
  });
  return "again";
}

async function endClaimOfTask(tx: Change, edge: Edge, task: TaskRecord, abandon: string | null): Promise<void> {
  const { nodeId, claimToken: token } = task;
  if (nodeId && token) await endClaimOf(tx, edge, { nodeId, token, abandon });
}

async function listCandidates(edge: Edge, ownerId: string): Promise<Candidate[]> {
  const nodes = await listFleet(edge.store, ownerId);
  return await Promise.all(nodes.map(async (node) => ({ node, beat: await readBeat(edge.store, node.id) })));
}

function choose(edge: Edge, nodes: Candidate[], wanted: Wanted): Choice {
  return selectNode(nodes, wanted, {
    maxClaims: edge.config.MAX_WORKSPACES_PER_NODE,
    maxNodes: edge.config.MAX_NODES_PER_USER,
    protocolMin: edge.protocol.min,
  });
}

/** Whether a more urgent task waits for what this one is about to take; then that one is woken. */
async function isOutranked(
  edge: Edge,
  task: TaskRecord,
  looked: { nodes: Candidate[]; choice: Choice; wanted: Wanted },
): Promise<boolean> {
  const before = (await listWaiting(edge, task.ownerId)).filter((other) => byUrgency(other, task) < 0);
  for (const other of before) {
    const wanted = wantedNode(other, await requireProjectRecord(edge, other.projectId));
    const theirs = { wanted, choice: choose(edge, looked.nodes, wanted) };
    if (!overlap({ wanted: looked.wanted, choice: looked.choice }, theirs)) continue;
    await wake(edge, [other]);
    return true;
  }
  return false;
}

interface Wish {
  wanted: Wanted;
  choice: Choice;
}

/** A provider may have no room for one size or place and plenty for another: who waits for that stops no other. */
function overlap(a: Wish, b: Wish): boolean {
  if (a.choice.kind === "claim" && b.choice.kind === "claim") {
    const { nodeIds } = b.choice;
    return a.choice.nodeIds.some((id) => nodeIds.includes(id));
  }
  if (a.choice.kind !== "provision" || b.choice.kind !== "provision") return false;
  return a.choice.last || (a.wanted.vmSize === b.wanted.vmSize && a.wanted.location === b.wanted.location);
}

async function claim(edge: Edge, task: TaskRecord, nodeId: string): Promise<boolean> {
  const token = newSecret(12);
  let found = "";
  const claimed = await changeQueued(edge, task, async (tx, entry) => {
    const { id: taskId, projectId } = task;
    const claim = { taskId, projectId, workspaceId: null, token, at: tx.now };
    const node = putClaim(tx, await tx.get<NodeRecord>(nodeKey(nodeId)), { claim, config: edge.config });
    if (!node) return false;
    found = node.status;
    const next = { ...entry.value, nodeId, claimToken: token };
    putTask(tx, entry, enterStep(tx, next, "selecting_node", edge.config));
    return true;
  });
  if (claimed) edge.metrics.count("hearth_node_assignments_total", { machine: found });
  return claimed;
}

async function beginNode(edge: Edge, task: TaskRecord, wanted: Wanted): Promise<"again" | "wait"> {
  const [nodeId, token] = [newId(), newSecret(12)];
  const begun = await changeQueued(edge, task, async (tx, entry) => {
    const room = await putProvisioning(tx, edge, {
      id: nodeId,
      ownerId: task.ownerId,
      vmSize: wanted.vmSize,
      location: wanted.location ?? edge.config.DEFAULT_VM_LOCATION,
      claim: { taskId: task.id, projectId: task.projectId, workspaceId: null, token, at: tx.now },
    });
    if (!room) return false;
    const next = { ...entry.value, nodeId, claimToken: token };
    putTask(tx, entry, enterStep(tx, next, "provisioning_node", edge.config));
    return true;
  });
  if (!begun) return await waitForNode(edge, task);
  edge.metrics.count("hearth_node_assignments_total", { machine: "new" });
  return "again";
}

/** A change of a task that is still queued in the same run and without a node; false when it is not. */
async function changeQueued(
  edge: Edge,
  task: TaskRecord,
  write: (tx: Change, entry: Deno.KvEntry<TaskRecord>) => Promise<boolean>,
): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(task.projectId, task.id));
    if (entry.value?.status !== "queued" || entry.value.run !== task.run) return false;
    if (entry.value.nodeId !== task.nodeId) return false;
    return await write(tx, entry as Deno.KvEntry<TaskRecord>);
  }, edge.clock);
}

/**
 * One step forward in a run, safe to call again at any time: choose or make a node, then hand the work over to it. What
 * comes after that the agent reports. Each step is one commit that reads, decides and writes again from the start.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { abandonNode, createMachine } from "../nodes/provision.ts";
import { ProviderError } from "../providers/provider.ts";
import { change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { type NodeRecord, readNode } from "../store/nodes.ts";
import { readTask, type TaskRecord } from "../store/tasks.ts";
import { assignNode, leaveNode, waitForNode, wantedNode } from "./assign.ts";
import { delegate } from "./delegate.ts";
import { findUnmet } from "./dependencies.ts";
import { finishTask } from "./finish.ts";
import { requireProjectRecord } from "./project.ts";

/** A run takes three steps from queued to delegated; more means that others interfere, so it goes on a little later. */
const STEPS_MAX = 8;
const LATER_MS = 1_000;

export interface TaskRef {
  projectId: string;
  taskId: string;
}

type Progress = "again" | "wait";

/** Brings a queued task as far as it can get now. */
export async function advanceTask(edge: Edge, ref: TaskRef): Promise<void> {
  for (let step = 0; step < STEPS_MAX; step++) {
    const task = await readTask(edge.store, ref.projectId, ref.taskId);
    if (task?.status !== "queued") return;
    if (await takeStep(edge, task) === "wait") return;
  }
  await change(edge.store, (tx) => {
    scheduleLoose(tx, { kind: "task.advance", id: `${ref.projectId}/${ref.taskId}`, at: tx.now + LATER_MS });
    return Promise.resolve();
  }, edge.clock);
}

async function takeStep(edge: Edge, task: TaskRecord): Promise<Progress> {
  const unmet = await findUnmet(edge, task.projectId, task.dependsOn);
  if (unmet.length > 0) {
    return await fail(edge, task, `It depends on "${unmet[0]!.title}", which is not completed any more.`);
  }
  if (!task.nodeId) {
    const chosen = await assignNode(edge, task);
    return typeof chosen === "string" ? chosen : await fail(edge, task, chosen.failed);
  }
  const node = await readNode(edge.store, task.nodeId);
  if (!node || !["provisioning", "active", "warm"].includes(node.status)) {
    return await fail(edge, task, node?.errorMessage ?? "The machine chosen for this run is gone.");
  }
  const isHeld = node.claims.some((claim) => claim.token === task.claimToken);
  if (!isHeld || node.draining) return await leaveNode(edge, task);
  if (node.status === "provisioning") return await provision(edge, task, node);
  return await handOver(edge, task, node);
}

async function handOver(edge: Edge, task: TaskRecord, node: NodeRecord): Promise<Progress> {
  const { codingAgent } = wantedNode(task, await requireProjectRecord(edge, task.projectId));
  if (node.codingAgents.includes(codingAgent)) return await delegate(edge, task);
  return await fail(
    edge,
    task,
    `The machine offers no coding agent "${codingAgent}". Install it there, or choose another.`,
  );
}

/** Asks for the machine once; then the registration of its agent brings the task on, or the deadline ends it. */
async function provision(edge: Edge, task: TaskRecord, node: NodeRecord): Promise<Progress> {
  if (node.providerRef !== null) return "wait";
  try {
    await createMachine(edge, node, { projectId: task.projectId, sessionId: task.sessionId });
    return "wait";
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    edge.log.warn("node_create_failed", { nodeId: node.id, reason: messageOf(error) });
    if (!error.waitable) return await fail(edge, task, `The machine could not be made: ${error.message}`);
    await waitForNode(edge, task, { abandon: error.message });
    await abandonNode(edge, node.id, error.message);
    return "wait";
  }
}

async function fail(edge: Edge, task: TaskRecord, reason: string): Promise<Progress> {
  const onlyIf = (now: TaskRecord) => now.run === task.run && now.status === "queued";
  await finishTask(edge, { projectId: task.projectId, taskId: task.id, onlyIf }, {
    to: "failed",
    actor: "system",
    reason,
    keep: true,
  });
  // Where the run was ended by somebody else meanwhile, its machine waits for an agent that will not come.
  if (task.nodeId) await abandonNode(edge, task.nodeId, reason);
  return "wait";
}

/**
 * The one end of a run. Callback, cancel, deadlines and sweeps all come here: task, session, event, workspace, claim,
 * command and due keys are one atomic write. Of two outcomes at once one wins, the other sees the state and does nothing.
 * The claim ends later, when the node confirms that the workspace stopped (`release.ts`).
 */
import type { Edge } from "../edge.ts";
import { cutText } from "../bytes.ts";
import { endClaim } from "../nodes/claims.ts";
import { putAfterClaims } from "../nodes/state.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { nodeKey, sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import type { NodeRecord } from "../store/nodes.ts";
import { putSession, type SessionRecord, type StoredAnswer } from "../store/sessions.ts";
import { addEvents, putTask, type TaskRecord } from "../store/tasks.ts";
import { putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { ERROR_MAX, REASON_MAX } from "../wire/limits.ts";
import { type Actor, canTransition, isTerminal, transition } from "./state.ts";

export interface Outcome {
  to: "completed" | "failed" | "cancelled";
  actor: Actor;
  /** For the event; for a failure also the task's error. */
  reason: string | null;
  /** Keep the checkout for inspection until its time is up. */
  keep: boolean;
  /** The machine is gone: nothing on it can confirm anything. */
  lost?: boolean;
  outputs?: Partial<Pick<TaskRecord, "outputBranch" | "outputCommit" | "outputPrUrl" | "outputSummary" | "warning">>;
  costUsd?: number | null;
  tokens?: TaskRecord["tokens"];
  /** The turn whose report ends the run, with the answer that its repetition gets. */
  turn?: { promptId: string; answer: StoredAnswer };
}

export type Finished = { kind: "finished" | "unchanged" | "conflict"; task: TaskRecord };

/**
 * Ends the current run of a task. `unchanged`: it is in that state already. `conflict`: it is in another terminal state
 * or has no run. With `workspaceId` only a run that still uses that workspace is ended.
 */
export async function finishTask(
  edge: Edge,
  ref: { projectId: string; taskId: string; workspaceId?: string },
  outcome: Outcome,
): Promise<Finished | null> {
  const finished = await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(ref.projectId, ref.taskId));
    const task = entry.value;
    if (!task) return null;
    if (task.status === outcome.to) return { kind: "unchanged" as const, task };
    if (ref.workspaceId && task.workspaceId !== ref.workspaceId) return { kind: "conflict" as const, task };
    if (!mayFinish(task, outcome)) return { kind: "conflict" as const, task };
    const next = putFinishedTask(tx, entry as Deno.KvEntry<TaskRecord>, outcome);
    await putFinishedSession(tx, task, outcome);
    if (task.workspaceId) await putFinishedWorkspace(tx, edge, task, outcome);
    else if (task.nodeId && task.claimToken) await endClaimOf(tx, edge, task.nodeId, task.claimToken);
    return { kind: "finished" as const, task: next };
  }, edge.clock);
  if (finished?.kind === "finished") {
    edge.log.info("task_finished", { taskId: ref.taskId, status: outcome.to, run: finished.task.run });
  }
  return finished;
}

/** A run may end as failed or cancelled from any of its states, as completed only when it was under way. */
function mayFinish(task: TaskRecord, outcome: Outcome): boolean {
  if (isTerminal(task.status)) return false;
  return canTransition(task.status, outcome.to);
}

function putFinishedTask(tx: Change, entry: Deno.KvEntry<TaskRecord>, outcome: Outcome): TaskRecord {
  const task = entry.value;
  const reason = outcome.reason === null ? null : cutText(outcome.reason, REASON_MAX);
  const eventCount = addEvents(tx, task, [transition(task, outcome.to, { actor: outcome.actor, reason })]);
  const advanced = tx.schedule(task.dues, { kind: "task.advance", id: `${task.projectId}/${task.id}`, at: null });
  const dues = tx.schedule(advanced, { kind: "task.deadline", id: `${task.projectId}/${task.id}`, at: null });
  return putTask(tx, entry, {
    ...task,
    ...outcome.outputs,
    status: outcome.to,
    executionStep: null,
    errorMessage: outcome.to === "failed" ? cutText(outcome.reason ?? "The run failed.", ERROR_MAX) : null,
    costUsd: atLeast(task.costUsd, outcome.costUsd),
    tokens: outcome.tokens ?? task.tokens,
    completedAt: tx.now,
    eventCount,
    dues,
  });
}

/** A session that never became active stays as it was; one whose run failed says so. */
async function putFinishedSession(tx: Change, task: TaskRecord, outcome: Outcome): Promise<void> {
  const entry = await tx.get<SessionRecord>(sessionKey(task.projectId, task.sessionId));
  if (entry.value?.status !== "active") return;
  putSession(tx, entry, {
    ...entry.value,
    status: outcome.to === "failed" ? "error" : "stopped",
    turn: "idle",
    handedOut: null,
    lastTurn: outcome.turn ?? entry.value.lastTurn,
    endedAt: tx.now,
  });
}

async function putFinishedWorkspace(tx: Change, edge: Edge, task: TaskRecord, outcome: Outcome): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(task.workspaceId!));
  if (!entry.value || entry.value.status === "stopped") return;
  if (outcome.lost) return await putLost(tx, edge, entry as Deno.KvEntry<WorkspaceRecord>, outcome);
  const workspace = outcome.keep
    ? keepWorkspace(tx, entry.value, {
      until: tx.now + edge.config.KEPT_WORKSPACE_TTL_MS,
      failed: outcome.to === "failed",
    })
    : stopWorkspace(tx, entry.value, edge);
  putWorkspace(tx, entry, { ...workspace, errorMessage: outcome.to === "failed" ? outcome.reason : null });
  const { id, run, nodeId } = entry.value;
  await addCommands(tx, nodeId, [{ kind: "workspace.stop", workspaceId: id, run, keep: outcome.keep }]);
}

async function putLost(tx: Change, edge: Edge, entry: Deno.KvEntry<WorkspaceRecord>, outcome: Outcome): Promise<void> {
  putWorkspace(tx, entry, { ...entry.value, status: "stopped", keptUntil: null, errorMessage: outcome.reason });
  await endClaimOf(tx, edge, entry.value.nodeId, entry.value.claimToken);
}

/** The workspace on its way out: the node has a minute to confirm, then it counts as stopped. */
export function stopWorkspace(tx: Change, workspace: WorkspaceRecord, edge: Edge): WorkspaceRecord {
  const calm = tx.schedule(workspace.dues, { kind: "workspace.keptUntil", id: workspace.id, at: null });
  const at = tx.now + edge.config.WORKSPACE_STOP_TIMEOUT_MS;
  const dues = tx.schedule(calm, { kind: "workspace.release", id: workspace.id, at });
  return { ...workspace, status: "stopping", keptUntil: null, dues };
}

/** The workspace kept for inspection: its processes end, its files stay until `until`. */
export function keepWorkspace(
  tx: Change,
  workspace: WorkspaceRecord,
  how: { until: number; failed: boolean },
): WorkspaceRecord {
  const dues = tx.schedule(workspace.dues, { kind: "workspace.keptUntil", id: workspace.id, at: how.until });
  return { ...workspace, status: how.failed ? "error" : "ready", keptUntil: how.until, dues };
}

/** Ends a claim on a node within a change; what the node becomes then is decided in the same commit. */
export async function endClaimOf(tx: Change, edge: Edge, nodeId: string, token: string): Promise<void> {
  const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
  if (!entry.value?.claims.some((claim) => claim.token === token)) return;
  putAfterClaims(tx, entry as Deno.KvEntry<NodeRecord>, endClaim(entry.value, token), edge.config);
}

/** Costs only grow: a report that comes late or twice never lowers them. */
export function atLeast(known: number | null, reported: number | null | undefined): number | null {
  return reported === null || reported === undefined ? known : Math.max(known ?? 0, reported);
}

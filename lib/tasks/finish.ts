/**
 * The one end of a run. Callback, cancel, deadlines and sweeps all come here: task, session, event, workspace, claim,
 * command and due keys are one atomic write. Of two outcomes at once one wins, the other sees the state and does nothing.
 * The claim ends later, when the node confirms that the workspace stopped (`release.ts`).
 */
import type { Edge } from "../edge.ts";
import { cutText } from "../bytes.ts";
import { endClaim } from "../nodes/claims.ts";
import { putAfterClaims, putDestroying } from "../nodes/state.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { nodeKey, sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import type { Claim, NodeRecord } from "../store/nodes.ts";
import type { SessionRecord, StoredAnswer } from "../store/sessions.ts";
import { addEvents, isLive, putTask, type TaskRecord } from "../store/tasks.ts";
import { putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { ERROR_MAX, REASON_MAX } from "../wire/limits.ts";
import { endSession } from "./end_session.ts";
import { observeStart } from "./start_phases.ts";
import { type Actor, canTransition, isTerminal, transition } from "./state.ts";
import { growCost, growTokens } from "./usage.ts";
import { wakeWaiting } from "./waiting.ts";

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

export interface RunRef {
  projectId: string;
  taskId: string;
  /** Only a run that still uses this workspace is meant. */
  workspaceId?: string;
  /** Only a run for which this holds is meant; it is asked about the very records that the end is written on. */
  onlyIf?: (task: TaskRecord, session: SessionRecord | null) => boolean;
}

/**
 * Ends the current run of a task. `unchanged`: it is in that state already. `conflict`: it is in another terminal
 * state, or the run that is meant is over.
 */
export async function finishTask(edge: Edge, ref: RunRef, outcome: Outcome): Promise<Finished | null> {
  const finished = await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(ref.projectId, ref.taskId));
    const task = entry.value;
    if (!task) return null;
    if (task.status === outcome.to) return { kind: "unchanged" as const, task };
    const session = await tx.get<SessionRecord>(sessionKey(task.projectId, task.sessionId));
    if (!isMeant(task, session.value, ref) || !mayFinish(task, outcome)) return { kind: "conflict" as const, task };
    const next = putFinishedTask(tx, entry as Deno.KvEntry<TaskRecord>, outcome);
    // Without a run under way there is nothing to end: what an earlier run left goes its own way.
    if (!isLive(task)) return { kind: "finished" as const, task: next, hadRun: false };
    // A session that never became active stays as it was; one whose run failed says so.
    await endSession(tx, session, { failed: outcome.to === "failed", turn: outcome.turn });
    if (task.workspaceId) await putFinishedWorkspace(tx, edge, task, outcome);
    else if (task.nodeId && task.claimToken) {
      const abandon = outcome.to === "failed" ? next.errorMessage : null;
      await endClaimOf(tx, edge, { nodeId: task.nodeId, token: task.claimToken, abandon });
    }
    return { kind: "finished" as const, task: next, hadRun: true };
  }, edge.clock);
  if (finished?.kind !== "finished" || !finished.hadRun) return finished;
  const { task } = finished;
  observeStart(edge.metrics, task);
  edge.log.info("task_finished", { taskId: ref.taskId, status: outcome.to, run: task.run });
  if (task.nodeId && (outcome.lost || !task.workspaceId)) await wakeWaiting(edge, task.ownerId);
  return finished;
}

function isMeant(task: TaskRecord, session: SessionRecord | null, ref: RunRef): boolean {
  if (ref.workspaceId && task.workspaceId !== ref.workspaceId) return false;
  return ref.onlyIf?.(task, session) ?? true;
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
    errorMessage: errorOf(outcome),
    costUsd: growCost(task.costUsd, outcome.costUsd),
    tokens: growTokens(task.tokens, outcome.tokens),
    completedAt: tx.now,
    eventCount,
    dues,
  });
}

async function putFinishedWorkspace(tx: Change, edge: Edge, task: TaskRecord, outcome: Outcome): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(task.workspaceId!));
  if (!entry.value || entry.value.status === "stopped") return;
  if (outcome.lost) return await putLost(tx, edge, entry as Deno.KvEntry<WorkspaceRecord>, outcome);
  // Where nothing was checked out yet there is nothing to look at later, and no reason to hold a place.
  const keep = outcome.keep && entry.value.status !== "creating";
  const workspace = keep
    ? keepWorkspace(tx, entry.value, {
      until: tx.now + edge.config.KEPT_WORKSPACE_TTL_MS,
      failed: outcome.to === "failed",
    })
    : stopWorkspace(tx, entry.value, edge);
  putWorkspace(tx, entry, { ...workspace, errorMessage: errorOf(outcome) });
  const { id, run, nodeId } = entry.value;
  await addCommands(tx, nodeId, [{ kind: "workspace.stop", workspaceId: id, run, keep }]);
}

async function putLost(tx: Change, edge: Edge, entry: Deno.KvEntry<WorkspaceRecord>, outcome: Outcome): Promise<void> {
  putWorkspace(tx, entry, { ...entry.value, status: "stopped", keptUntil: null, errorMessage: errorOf(outcome) });
  await endClaimOf(tx, edge, { nodeId: entry.value.nodeId, token: entry.value.claimToken });
}

function errorOf(outcome: Outcome): string | null {
  return outcome.to === "failed" ? cutText(outcome.reason ?? "The run failed.", ERROR_MAX) : null;
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

/**
 * Ends a claim on a node within a change; what the node becomes then is decided in the same commit. `abandon` says why
 * a machine that nobody has seen yet is not waited for any longer; `onlyIf` is asked about the claim as it is then.
 */
export async function endClaimOf(
  tx: Change,
  edge: Edge,
  claim: { nodeId: string; token: string; abandon?: string | null; onlyIf?: (claim: Claim) => boolean },
): Promise<void> {
  const entry = await tx.get<NodeRecord>(nodeKey(claim.nodeId)) as Deno.KvEntry<NodeRecord>;
  const held = entry.value?.claims.find(({ token }) => token === claim.token);
  if (!held || claim.onlyIf?.(held) === false) return;
  const next = endClaim(entry.value, claim.token);
  const isGivenUp = claim.abandon && next.status === "provisioning" && next.claims.length === 0;
  if (isGivenUp) putDestroying(tx, entry, next, claim.abandon!);
  else putAfterClaims(tx, entry, next, edge.config);
}

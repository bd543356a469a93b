/** The agent's reports on a workspace: its state, the step of the run, what it has cost so far. */
import { cutText } from "../bytes.ts";
import type { Edge } from "../edge.ts";
import { type Change, change } from "../store/change.ts";
import { sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { isLive, putTask, type TaskRecord } from "../store/tasks.ts";
import { isWorking, putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { ERROR_MAX } from "../wire/limits.ts";
import type { WorkspaceReport } from "../wire/workspace.ts";
import { enterStep } from "./deadlines.ts";
import { endSession } from "./end_session.ts";
import { finishTask, keepWorkspace } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";
import { growCost, growTokens } from "./usage.ts";

/** Takes in a report. Absent fields stay; a state never goes back; the same report again changes nothing. */
export async function reportWorkspace(edge: Edge, workspace: WorkspaceRecord, report: WorkspaceReport): Promise<void> {
  await change(edge.store, async (tx) => {
    await putProgress(tx, edge, workspace, report);
    await putStatus(tx, workspace.id, report);
  }, edge.clock);
  if (report.status === "error") await fail(edge, workspace, report.reason ?? "The workspace failed.");
  if (report.status === "stopped") {
    // The end of its run comes first; one that goes before that takes the run with it.
    await endRun(edge, workspace, { reason: report.reason ?? "The workspace ended before its run did.", gone: true });
    await releaseWorkspace(edge, workspace.id);
  }
}

async function fail(edge: Edge, workspace: WorkspaceRecord, reason: string): Promise<void> {
  if (workspace.taskId) return await endRun(edge, workspace, { reason, gone: false });
  await change(edge.store, (tx) => putFailed(tx, edge, workspace.id, reason), edge.clock);
}

async function endRun(edge: Edge, workspace: WorkspaceRecord, how: { reason: string; gone: boolean }): Promise<void> {
  const { id, projectId, taskId } = workspace;
  if (!projectId || !taskId) return;
  await finishTask(edge, { projectId, taskId, workspaceId: id }, {
    to: "failed",
    actor: "agent",
    reason: how.reason,
    keep: !how.gone,
    lost: how.gone,
  });
}

/** A manual workspace that failed is kept for a look like one of a task, and for no longer. */
async function putFailed(tx: Change, edge: Edge, workspaceId: string, reason: string): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
  if (!entry.value || !isWorking(entry.value)) return;
  const { projectId, sessionId } = entry.value;
  if (projectId && sessionId) {
    await endSession(tx, await tx.get<SessionRecord>(sessionKey(projectId, sessionId)), { failed: true });
  }
  const until = tx.now + edge.config.KEPT_WORKSPACE_TTL_MS;
  const kept = keepWorkspace(tx, entry.value, { until, failed: true });
  putWorkspace(tx, entry, { ...kept, errorMessage: cutText(reason, ERROR_MAX) });
}

async function putProgress(tx: Change, edge: Edge, workspace: WorkspaceRecord, report: WorkspaceReport): Promise<void> {
  if (!workspace.taskId || !workspace.projectId) return;
  const entry = await tx.get<TaskRecord>(taskKey(workspace.projectId, workspace.taskId));
  if (!entry.value || !isLive(entry.value) || entry.value.workspaceId !== workspace.id) return;
  const known: TaskRecord = {
    ...entry.value,
    outputBranch: report.branch ?? entry.value.outputBranch,
    costUsd: growCost(entry.value.costUsd, report.costUsd),
    tokens: growTokens(entry.value.tokens, report.tokens),
  };
  // The other steps come with turns, or are the edge's own; a late report does not go back.
  const starts = report.executionStep === "starting_agent" && entry.value.executionStep === "creating_workspace";
  const next = starts ? enterStep(tx, known, "starting_agent", edge.config) : known;
  if (JSON.stringify(next) !== JSON.stringify(entry.value)) putTask(tx, entry, next);
}

async function putStatus(tx: Change, workspaceId: string, report: WorkspaceReport): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
  if (!entry.value) return;
  const { status } = entry.value;
  const forward = isWorking(entry.value) && ((report.status === "ready" && status === "creating") ||
    (report.status === "running" && status !== "running"));
  const branch = report.branch ?? entry.value.branch;
  if (!forward && branch === entry.value.branch) return;
  putWorkspace(tx, entry, { ...entry.value, branch, status: forward ? report.status! : status });
}

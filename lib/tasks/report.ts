/** The agent's reports on a workspace: its state, the step of the run, what it has cost so far. */
import type { Edge } from "../edge.ts";
import { type Change, change } from "../store/change.ts";
import { taskKey, workspaceKey } from "../store/keys.ts";
import { isLive, putTask, type TaskRecord } from "../store/tasks.ts";
import { putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import type { WorkspaceReport } from "../wire/workspace.ts";
import { enterStep } from "./deadlines.ts";
import { atLeast, finishTask } from "./finish.ts";
import { releaseWorkspace } from "./release.ts";

/** Takes in a report. Absent fields stay; a state never goes back; the same report again changes nothing. */
export async function reportWorkspace(edge: Edge, workspace: WorkspaceRecord, report: WorkspaceReport): Promise<void> {
  await change(edge.store, async (tx) => {
    await putProgress(tx, edge, workspace, report);
    await putStatus(tx, workspace.id, report);
  }, edge.clock);
  if (report.status === "error" && workspace.taskId && workspace.projectId) {
    await finishTask(edge, { projectId: workspace.projectId, taskId: workspace.taskId, workspaceId: workspace.id }, {
      to: "failed",
      actor: "agent",
      reason: report.reason ?? "The workspace failed.",
      keep: true,
    });
  }
  if (report.status === "stopped") await releaseWorkspace(edge, workspace.id);
}

async function putProgress(tx: Change, edge: Edge, workspace: WorkspaceRecord, report: WorkspaceReport): Promise<void> {
  if (!workspace.taskId || !workspace.projectId) return;
  const entry = await tx.get<TaskRecord>(taskKey(workspace.projectId, workspace.taskId));
  if (!entry.value || !isLive(entry.value) || entry.value.workspaceId !== workspace.id) return;
  const known: TaskRecord = {
    ...entry.value,
    outputBranch: report.branch ?? entry.value.outputBranch,
    costUsd: atLeast(entry.value.costUsd, report.costUsd),
    tokens: report.tokens ?? entry.value.tokens,
  };
  const step = report.executionStep;
  // `running` and `awaiting_prompt` come with turns; a late report of an earlier step does not go back.
  const forward = step === "starting_agent"
    ? entry.value.executionStep === "creating_workspace"
    : step === "finalizing";
  const next = step && forward && entry.value.executionStep !== step ? enterStep(tx, known, step, edge.config) : known;
  if (JSON.stringify(next) !== JSON.stringify(entry.value)) putTask(tx, entry, next);
}

async function putStatus(tx: Change, workspaceId: string, report: WorkspaceReport): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
  if (!entry.value) return;
  const { status } = entry.value;
  const forward = (report.status === "ready" && status === "creating") ||
    (report.status === "running" && ["creating", "ready"].includes(status) && entry.value.keptUntil === null);
  const branch = report.branch ?? entry.value.branch;
  if (!forward && branch === entry.value.branch) return;
  putWorkspace(tx, entry, { ...entry.value, branch, status: forward ? report.status! : status });
}

/** What a node must know to run a workspace; asked for again after each restart, never stored on the node's disk whole. */
import type { Edge } from "../edge.ts";
import { readProject } from "../store/projects.ts";
import { readDescription, readTask } from "../store/tasks.ts";
import { isWorking, type WorkspaceRecord } from "../store/workspaces.ts";
import { readGitCredential, readRunCredentials } from "./run_credentials.ts";
import { readRecap } from "./conversation_recap.ts";
import type { Runtime } from "../wire/workspace.ts";

export async function readRuntime(edge: Edge, workspace: WorkspaceRecord): Promise<Runtime> {
  const { projectId, taskId } = workspace;
  const [task, project] = await Promise.all([
    projectId && taskId ? readTask(edge.store, projectId, taskId) : null,
    projectId ? readProject(edge.store, projectId) : null,
  ]);
  const current = task?.workspaceId === workspace.id ? task : null;
  const text = current ? await readDescription(edge.store, current.id) : null;
  return {
    workspaceId: workspace.id,
    nodeId: workspace.nodeId,
    projectId,
    taskId,
    run: workspace.run,
    chatSessionId: workspace.sessionId,
    title: task?.title ?? null,
    repositoryUrl: workspace.repositoryUrl,
    baseBranch: workspace.baseBranch,
    fallbackBranch: current?.continues?.branch ? project?.defaultBranch ?? null : null,
    branch: taskId ? workspace.branch : null,
    outputCommit: task?.outputCommit ?? null,
    codingAgent: workspace.codingAgent,
    permissionMode: workspace.permissionMode,
    permissionPolicy: {
      reads: project?.settings.askBeforeReads !== true,
      edits: project?.settings.askBeforeEdits !== true,
    },
    permissionTimeoutMs: edge.config.PERMISSION_TIMEOUT_MS,
    prompt: current && text ? { messageId: current.promptId, text } : null,
    recap: current?.continues
      ? await readRecap(edge.store, { ...current.continues, projectId: current.projectId })
      : null,
    limits: {
      maxCostUsd: numberOf(project?.settings.maxCostUsdPerRun),
      maxMinutes: numberOf(project?.settings.maxMinutesPerRun),
      maxTurns: numberOf(project?.settings.maxTurnsPerRun),
    },
    credentials: await readRunCredentials(edge, workspace),
    gitCredential: await readGitCredential(edge, workspace),
    wanted: wantedOf(workspace),
  };
}

function wantedOf(workspace: WorkspaceRecord): Runtime["wanted"] {
  if (isWorking(workspace)) return "run";
  return workspace.keptUntil !== null ? "keep" : "stop";
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

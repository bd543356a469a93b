/**
 * Everything of one person stops, across projects: their runs are cancelled and what they opened by hand ends, then
 * their rented and local machines take no new work and go when they are empty. Checkouts that a cancelled run leaves
 * are kept for their time as always, so no work is lost; machines of the person's own stay.
 */
import type { Edge } from "../edge.ts";
import { listFleet } from "../store/nodes.ts";
import { readSession } from "../store/sessions.ts";
import { isLive, listLiveTasks, readTask, type TaskRecord } from "../store/tasks.ts";
import { listLiveWorkspaces, readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { cancelTask } from "./cancel.ts";
import { discardWorkspace } from "./release.ts";
import { drainNode } from "./retire_node.ts";
import { stopManualSession } from "./stop_session.ts";

/** A run that was queued at the last moment is found by one more look. */
const LOOKS_MAX = 3;
const REASON = "Everything was stopped.";

/** How many of each were stopped. */
export interface Stopped {
  tasks: number;
  workspaces: number;
  nodes: number;
}

export async function stopEverything(edge: Edge, userId: string): Promise<Stopped> {
  const stopped: Stopped = { tasks: 0, workspaces: 0, nodes: 0 };
  for (let look = 0; look < LOOKS_MAX; look++) {
    const tasks = await liveTasksOf(edge, userId);
    if (look > 0 && tasks.length === 0) break;
    for (const task of tasks) stopped.tasks += Number((await cancelTask(edge, task, REASON)).done);
  }
  for (const workspace of await manualWorkspacesOf(edge, userId)) {
    await stopManual(edge, workspace);
    stopped.workspaces++;
  }
  for (const node of await listFleet(edge.store, userId)) {
    if (!node.autoProvisioned || node.draining || ["destroying", "destroyed"].includes(node.status)) continue;
    await drainNode(edge, node.id);
    stopped.nodes++;
  }
  edge.log.info("everything_stopped", { userId, ...stopped });
  return stopped;
}

async function liveTasksOf(edge: Edge, userId: string): Promise<TaskRecord[]> {
  const tasks: TaskRecord[] = [];
  for await (const { projectId, taskId } of listLiveTasks(edge.store)) {
    const task = await readTask(edge.store, projectId, taskId);
    if (task?.ownerId === userId && isLive(task)) tasks.push(task);
  }
  return tasks;
}

async function manualWorkspacesOf(edge: Edge, userId: string): Promise<WorkspaceRecord[]> {
  const workspaces: WorkspaceRecord[] = [];
  for await (const id of listLiveWorkspaces(edge.store)) {
    const workspace = await readWorkspace(edge.store, id);
    const ends = workspace && ["stopping", "stopped"].includes(workspace.status);
    if (workspace?.ownerId === userId && workspace.taskId === null && !ends) workspaces.push(workspace);
  }
  return workspaces;
}

async function stopManual(edge: Edge, { id, projectId, sessionId }: WorkspaceRecord): Promise<void> {
  const session = projectId && sessionId ? await readSession(edge.store, projectId, sessionId) : null;
  if (session) await stopManualSession(edge, session);
  await discardWorkspace(edge, id);
}

/** What each kind of due item means. Every handler re-reads its record and does nothing when that wants something else. */
import type { Edge } from "../edge.ts";
import { deleteMachine } from "../nodes/destroy.ts";
import { expireWarm } from "../nodes/lifecycle.ts";
import { type DueItem, isWanted } from "../store/due.ts";
import { readNode } from "../store/nodes.ts";
import { readTask } from "../store/tasks.ts";
import { readWorkspace } from "../store/workspaces.ts";
import { advanceTask } from "../tasks/advance.ts";
import { outcomeOfDeadline } from "../tasks/deadlines.ts";
import { finishTask } from "../tasks/finish.ts";
import { discardWorkspace, releaseWorkspace } from "../tasks/release.ts";
import { purge } from "../store/purge.ts";

export async function handleDue(edge: Edge, item: DueItem): Promise<void> {
  switch (item.kind) {
    case "task.advance":
      return await advanceTask(edge, toTaskRef(item.id));
    case "task.deadline":
      return await endOverdue(edge, item);
    case "node.warmExpiry":
      return void await expireWarm(edge, item.id);
    case "node.delete":
      return await deleteIfWanted(edge, item);
    case "workspace.release":
      return await releaseIfWanted(edge, item);
    case "workspace.keptUntil":
      return await discardIfWanted(edge, item);
    case "purge":
      return await purge(edge.store, item.id);
  }
}

async function endOverdue(edge: Edge, item: DueItem): Promise<void> {
  const ref = toTaskRef(item.id);
  const task = await readTask(edge.store, ref.projectId, ref.taskId);
  if (!task || !isWanted(task.dues, item)) return;
  const outcome = outcomeOfDeadline(task, edge.config);
  await finishTask(edge, ref, { ...outcome, actor: "system", keep: true });
}

async function deleteIfWanted(edge: Edge, item: DueItem): Promise<void> {
  const node = await readNode(edge.store, item.id);
  if (node && isWanted(node.dues, item)) await deleteMachine(edge, item.id);
}

async function releaseIfWanted(edge: Edge, item: DueItem): Promise<void> {
  const workspace = await readWorkspace(edge.store, item.id);
  if (workspace && isWanted(workspace.dues, item)) await releaseWorkspace(edge, item.id);
}

async function discardIfWanted(edge: Edge, item: DueItem): Promise<void> {
  const workspace = await readWorkspace(edge.store, item.id);
  if (workspace && isWanted(workspace.dues, item)) await discardWorkspace(edge, item.id);
}

function toTaskRef(id: string): { projectId: string; taskId: string } {
  const [projectId, taskId] = id.split("/") as [string, string];
  return { projectId, taskId };
}

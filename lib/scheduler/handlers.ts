/** What each kind of due item means. Every handler re-reads its record and does nothing when that wants something else. */
import type { Edge } from "../edge.ts";
import { expirePermission } from "../chat/permissions.ts";
import { expireWarm } from "../nodes/lifecycle.ts";
import { type DueItem, isWanted } from "../store/due.ts";
import { readNode } from "../store/nodes.ts";
import { deleteNode } from "../tasks/delete_node.ts";
import { advanceTask } from "../tasks/advance.ts";
import { endOverdue } from "../tasks/overdue.ts";
import { discardWorkspace, releaseWorkspace } from "../tasks/release.ts";
import { purge } from "../store/purge.ts";

export async function handleDue(edge: Edge, item: DueItem): Promise<void> {
  switch (item.kind) {
    case "task.advance":
      return await advanceTask(edge, toTaskRef(item.id));
    case "task.deadline":
      return void await endOverdue(edge, toTaskRef(item.id), (task) => isWanted(task.dues, item));
    case "node.warmExpiry":
      return void await expireWarm(edge, item.id);
    case "node.delete":
      return await deleteIfWanted(edge, item);
    case "workspace.release":
      return await releaseWorkspace(edge, item.id, (workspace) => isWanted(workspace.dues, item));
    case "workspace.keptUntil":
      return void await discardWorkspace(edge, item.id, (workspace) => isWanted(workspace.dues, item));
    case "permission.expiry":
      return await expirePermission(edge, item);
    case "purge":
      return await purge(edge.store, item.id);
  }
}

async function deleteIfWanted(edge: Edge, item: DueItem): Promise<void> {
  const node = await readNode(edge.store, item.id);
  if (node && isWanted(node.dues, item)) await deleteNode(edge, item.id);
}

function toTaskRef(id: string): { projectId: string; taskId: string } {
  const [projectId, taskId] = id.split("/") as [string, string];
  return { projectId, taskId };
}

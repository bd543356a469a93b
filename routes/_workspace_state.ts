/** What the workspace page is filled with: only what its reader may see, and the machine for its owner alone. */
import { readOptions } from "../lib/admin/options.ts";
import type { Edge } from "../lib/edge.ts";
import { writeCursor } from "../lib/live/cursor.ts";
import type { UserRecord } from "../lib/store/accounts.ts";
import { projectTopic } from "../lib/store/keys.ts";
import { listMessages } from "../lib/store/messages.ts";
import { readBeat, readNode, toNode } from "../lib/store/nodes.ts";
import { readProject, toProject } from "../lib/store/projects.ts";
import { readSession, toSession } from "../lib/store/sessions.ts";
import { readDescription, readTask, toTask } from "../lib/store/tasks.ts";
import { toWorkspace, type WorkspaceRecord } from "../lib/store/workspaces.ts";
import type { Node } from "../lib/wire/node.ts";
import type { WorkspacePageProps } from "./pages/WorkspacePage.tsx";

const MESSAGES_SHOWN = 100;

/** `workspace` is one that the user may see. */
export async function readWorkspaceState(
  edge: Edge,
  user: UserRecord,
  workspace: WorkspaceRecord,
): Promise<Omit<WorkspacePageProps, "me">> {
  return {
    place: await readPlace(edge, user, workspace),
    node: await readOwnNode(edge, user, workspace.nodeId),
    workspace: toWorkspace(workspace),
    options: readOptions(edge),
    now: edge.clock(),
  };
}

/** The cursor is read before the state: what happens in between comes again by the live socket. */
async function readPlace(
  edge: Edge,
  user: UserRecord,
  workspace: WorkspaceRecord,
): Promise<WorkspacePageProps["place"]> {
  const { projectId, sessionId, taskId } = workspace;
  const project = projectId && await readProject(edge.store, projectId);
  if (!project) return null;
  const versionstamp = await edge.live.cursor(projectTopic(project.id));
  const cursor = writeCursor({ versionstamp, at: edge.clock() });
  const [record, task] = await Promise.all([
    sessionId ? readSession(edge.store, project.id, sessionId) : null,
    taskId ? readTask(edge.store, project.id, taskId) : null,
  ]);
  const session = record && await toSession(edge.store, record);
  return {
    project: toProject(project),
    data: {
      projectId: project.id,
      userId: user.id,
      sessions: session ? [session] : [],
      sessionsNextCursor: null,
      tasks: task ? [toTask(task, await readDescription(edge.store, task.id), { preview: true })] : [],
      selected: record && session && {
        session,
        page: await listMessages(edge.store, record, { limit: MESSAGES_SHOWN }),
      },
      cursor,
      connectionUrl: `/api/workspaces/${workspace.id}/ws`,
    },
  };
}

async function readOwnNode(edge: Edge, user: UserRecord, nodeId: string): Promise<Node | null> {
  const node = await readNode(edge.store, nodeId);
  if (node?.ownerId !== user.id) return null;
  return toNode(node, await readBeat(edge.store, nodeId), edge.clock());
}

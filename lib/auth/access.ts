/**
 * The only way to somebody's objects: a project is open to its owner and its members, and to nobody else it exists.
 * Admins manage users, keys and nodes; they read no chats.
 */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import type { UserRecord } from "../store/accounts.ts";
import { type NodeRecord, readNode } from "../store/nodes.ts";
import { type ProjectRecord, readMember, readProject } from "../store/projects.ts";
import { readSession, type SessionRecord } from "../store/sessions.ts";
import { readTask, type TaskRecord } from "../store/tasks.ts";
import { readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";

/** The project, if the user owns it or is a member. Throws `not_found` otherwise. */
export async function requireProject(edge: Edge, user: UserRecord, projectId: string): Promise<ProjectRecord> {
  const [project, member] = await Promise.all([
    readProject(edge.store, projectId),
    readMember(edge.store, projectId, user.id),
  ]);
  if (!project || !member) throw notFound("project");
  return project;
}

/** The project, if the user owns it (or is an admin who is a member). Throws `not_found` or `forbidden`. */
export async function requireOwner(edge: Edge, user: UserRecord, projectId: string): Promise<ProjectRecord> {
  const project = await requireProject(edge, user, projectId);
  if (project.ownerId !== user.id && user.role !== "admin") {
    throw new AppError("forbidden", "Only the project's owner may do this. Ask them to.");
  }
  return project;
}

export async function requireTask(
  edge: Edge,
  user: UserRecord,
  ids: { projectId: string; taskId: string },
): Promise<{ project: ProjectRecord; task: TaskRecord }> {
  const project = await requireProject(edge, user, ids.projectId);
  const task = await readTask(edge.store, ids.projectId, ids.taskId);
  if (!task) throw notFound("task");
  return { project, task };
}

export async function requireSession(
  edge: Edge,
  user: UserRecord,
  ids: { projectId: string; sessionId: string },
): Promise<SessionRecord> {
  await requireProject(edge, user, ids.projectId);
  const session = await readSession(edge.store, ids.projectId, ids.sessionId);
  if (!session) throw notFound("session");
  return session;
}

export async function requireWorkspace(edge: Edge, user: UserRecord, workspaceId: string): Promise<WorkspaceRecord> {
  const workspace = await readWorkspace(edge.store, workspaceId);
  if (!workspace) throw notFound("workspace");
  if (workspace.ownerId === user.id) return workspace;
  if (!workspace.projectId) throw notFound("workspace");
  await requireProject(edge, user, workspace.projectId);
  return workspace;
}

/** A workspace whose files and conversation the user may see: who left the project sees its code no more. */
export async function requireCheckout(edge: Edge, user: UserRecord, workspaceId: string): Promise<WorkspaceRecord> {
  const workspace = await requireWorkspace(edge, user, workspaceId);
  if (workspace.projectId) await requireProject(edge, user, workspace.projectId);
  return workspace;
}

/**
 * A workspace in which the user may have a terminal: on their own machine, and no other. Throws `not_found` where they
 * may not even see it, `forbidden` where it is another member's.
 */
export async function requireTerminal(edge: Edge, user: UserRecord, workspaceId: string): Promise<WorkspaceRecord> {
  const workspace = await requireCheckout(edge, user, workspaceId);
  const node = await readNode(edge.store, workspace.nodeId);
  if (node?.ownerId === user.id) return workspace;
  throw new AppError("forbidden", "Only the owner of the workspace's machine gets a terminal in it.");
}

export async function requireNode(edge: Edge, user: UserRecord, nodeId: string): Promise<NodeRecord> {
  const node = await readNode(edge.store, nodeId);
  if (!node || (node.ownerId !== user.id && user.role !== "admin")) throw notFound("node");
  return node;
}

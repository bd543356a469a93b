/** Workspaces: a row for every checkout that was ever made; rows stay after the checkout is gone. */
import type { Workspace } from "../wire/workspace.ts";
import type { Change, Dues, Versioned } from "./change.ts";
import { POINTER, projectTopic, workspaceByProjectKey, workspaceKey, workspaceLiveKey } from "./keys.ts";
import type { Store } from "./store.ts";
import { toIso, toIsoOrNull } from "./time.ts";

export interface WorkspaceRecord extends Versioned {
  id: string;
  projectId: string | null;
  taskId: string | null;
  run: number | null;
  nodeId: string;
  /** The claim on the node that this workspace holds, and the generation of the node it was made under. */
  claimToken: string;
  generation: number;
  sessionId: string | null;
  ownerId: string;
  repositoryUrl: string;
  baseBranch: string;
  branch: string;
  codingAgent: string;
  permissionMode: "autonomous" | "ask";
  vmSize: Workspace["vmSize"];
  status: Workspace["status"];
  errorMessage: string | null;
  keptUntil: number | null;
  /** Heartbeats in a row in which the node did not name it. */
  missed: number;
  createdAt: number;
  updatedAt: number;
  dues: Dues;
}

export async function readWorkspace(store: Store, workspaceId: string): Promise<WorkspaceRecord | null> {
  return (await store.kv.get<WorkspaceRecord>(workspaceKey(workspaceId))).value;
}

/** Writes a workspace under a check, keeps its place among the live ones, and announces it to its project. */
export function putWorkspace(
  tx: Change,
  entry: Deno.KvEntryMaybe<WorkspaceRecord>,
  next: WorkspaceRecord,
): WorkspaceRecord {
  const record = { ...next, updatedAt: tx.now };
  tx.put(entry, record);
  if (record.status === "stopped") tx.delete(workspaceLiveKey(record.id));
  else if (!entry.value) tx.set(workspaceLiveKey(record.id), POINTER);
  if (record.projectId) {
    if (!entry.value) tx.set(workspaceByProjectKey(record.projectId, record.id), POINTER);
    tx.announce(projectTopic(record.projectId), ["workspace", record.id]);
    if (record.sessionId) tx.announce(projectTopic(record.projectId), ["session", record.sessionId]);
  }
  return record;
}

/** Somebody uses it in a way that writes nothing else. */
export async function touchWorkspace(tx: Change, workspaceId: string): Promise<void> {
  const entry = await tx.get<WorkspaceRecord>(workspaceKey(workspaceId));
  if (entry.value && isWorking(entry.value)) putWorkspace(tx, entry, entry.value);
}

/** Whether prompts and messages of a turn may go to it: live, and not merely kept for inspection. */
export function isWorking(workspace: WorkspaceRecord): boolean {
  return workspace.keptUntil === null && ["creating", "ready", "running"].includes(workspace.status);
}

/** Whether its checkout is on its machine, or is being made there: live, or kept for inspection. */
export function isOpen(workspace: WorkspaceRecord): boolean {
  return workspace.status !== "stopping" && workspace.status !== "stopped" &&
    (workspace.status !== "error" || workspace.keptUntil !== null);
}

/** Whether a checkout of the project is still on some node. */
export async function hasLiveWorkspaces(store: Store, projectId: string): Promise<boolean> {
  for await (const entry of store.kv.list({ prefix: ["workspaceByProject", projectId] }, { reverse: true })) {
    if ((await store.kv.get(workspaceLiveKey(entry.key[2] as string))).versionstamp) return true;
  }
  return false;
}

export async function* listLiveWorkspaces(store: Store): AsyncGenerator<string> {
  for await (const entry of store.kv.list({ prefix: ["workspaceLive"] })) yield entry.key[1] as string;
}

export function toWorkspace(record: WorkspaceRecord): Workspace {
  return {
    id: record.id,
    projectId: record.projectId,
    taskId: record.taskId,
    run: record.run,
    nodeId: record.nodeId,
    sessionId: record.sessionId,
    ownerId: record.ownerId,
    repositoryUrl: record.repositoryUrl,
    branch: record.branch,
    vmSize: record.vmSize,
    status: record.status,
    errorMessage: record.errorMessage,
    keptUntil: toIsoOrNull(record.keptUntil),
    createdAt: toIso(record.createdAt),
    updatedAt: toIso(record.updatedAt),
  };
}

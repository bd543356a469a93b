/** Projects, their members, and the tallies that make limits exact. */
import type { PatchProject, Project } from "../wire/project.ts";
import { toIso } from "./time.ts";
import type { Change, Versioned } from "./change.ts";
import { memberKey, POINTER, projectByNameKey, projectByUserKey, projectKey, tallyKey } from "./keys.ts";
import { listPage, type Page, type PageOptions } from "./page.ts";
import type { Store } from "./store.ts";

export interface ProjectRecord extends Versioned {
  id: string;
  ownerId: string;
  name: string;
  repositoryUrl: string;
  defaultBranch: string;
  defaultVmSize: Project["defaultVmSize"];
  codingAgent: string;
  permissionMode: Project["permissionMode"];
  settings: Record<string, unknown>;
  createdAt: number;
  updatedAt: number;
}

export interface MemberRecord {
  v: 1;
  role: "owner" | "member";
  addedAt: number;
}

interface Tally extends Versioned {
  count: number;
}

export async function readProject(store: Store, projectId: string): Promise<ProjectRecord | null> {
  return (await store.kv.get<ProjectRecord>(projectKey(projectId))).value;
}

export async function readMember(store: Store, projectId: string, userId: string): Promise<MemberRecord | null> {
  return (await store.kv.get<MemberRecord>(memberKey(projectId, userId))).value;
}

/** Writes a new project with its owner as first member; the commit fails when the owner has one of that name. */
export function createProject(tx: Change, project: ProjectRecord): void {
  const byName = projectByNameKey(project.ownerId, project.name);
  tx.check({ key: byName, versionstamp: null }).set(byName, project.id).set(projectKey(project.id), project);
  addMember(tx, project.id, { userId: project.ownerId, role: "owner" });
}

export function addMember(
  tx: Change,
  projectId: string,
  member: { userId: string; role: MemberRecord["role"] },
): MemberRecord {
  const record: MemberRecord = { v: 1, role: member.role, addedAt: tx.now };
  tx.set(memberKey(projectId, member.userId), record).set(projectByUserKey(member.userId, projectId), POINTER);
  return record;
}

export function removeMember(tx: Change, projectId: string, userId: string): void {
  tx.delete(memberKey(projectId, userId)).delete(projectByUserKey(userId, projectId));
}

export async function listMembers(
  store: Store,
  projectId: string,
): Promise<{ userId: string; member: MemberRecord }[]> {
  const entries = await Array.fromAsync(store.kv.list<MemberRecord>({ prefix: ["member", projectId] }, { limit: 100 }));
  return entries.map((entry) => ({ userId: entry.key[2] as string, member: entry.value }));
}

/** Whether the owner has a project of that name, in whatever case. */
export async function isNameTaken(tx: Change, ownerId: string, name: string): Promise<boolean> {
  return (await tx.get(projectByNameKey(ownerId, name))).versionstamp !== null;
}

/** Applies a patch; a new name takes its key in the same commit. */
export function patchProject(tx: Change, entry: Deno.KvEntry<ProjectRecord>, patch: PatchProject): ProjectRecord {
  const record = { ...entry.value, ...patch, updatedAt: tx.now };
  const [from, to] = [
    projectByNameKey(record.ownerId, entry.value.name),
    projectByNameKey(record.ownerId, record.name),
  ];
  if (from[2] !== to[2]) tx.check({ key: to, versionstamp: null }).delete(from).set(to, record.id);
  tx.put(entry, record);
  return record;
}

export async function readProjectEntry(tx: Change, projectId: string): Promise<Deno.KvEntry<ProjectRecord> | null> {
  const entry = await tx.get<ProjectRecord>(projectKey(projectId));
  return entry.value === null ? null : entry as Deno.KvEntry<ProjectRecord>;
}

/** Removes the record, its name and its members, and gives its place in the owner's tally back. */
export async function deleteProject(tx: Change, entry: Deno.KvEntry<ProjectRecord>): Promise<void> {
  const { id, ownerId, name } = entry.value;
  tx.check(entry).delete(entry.key).delete(projectByNameKey(ownerId, name));
  for await (const member of tx.kv.list({ prefix: ["member", id] }, { limit: 100 })) {
    removeMember(tx, id, member.key[2] as string);
  }
  addToTally(tx, await readTally(tx, ownerId), -1);
}

/** Every project of this installation: for admins' commands. */
export async function* listAllProjects(store: Store): AsyncGenerator<ProjectRecord> {
  for await (const entry of store.kv.list<ProjectRecord>({ prefix: ["project"] })) yield entry.value;
}

export async function listProjects(store: Store, userId: string, options: PageOptions): Promise<Page<ProjectRecord>> {
  return await listPage(store.kv, ["projectByUser", userId], {
    ...options,
    reverse: true,
    pick: (key) => readProject(store, key[2] as string),
  });
}

/** How many projects a user or tasks a project has: exact, because every create and delete checks it. */
export async function readTally(tx: Change, owner: string): Promise<Deno.KvEntryMaybe<Tally>> {
  return await tx.get<Tally>(tallyKey(owner));
}

export function addToTally(tx: Change, entry: Deno.KvEntryMaybe<Tally>, by: 1 | -1): void {
  tx.put(entry, { v: 1, count: Math.max(0, (entry.value?.count ?? 0) + by) });
}

export function toProject(record: ProjectRecord): Project {
  return {
    id: record.id,
    ownerId: record.ownerId,
    name: record.name,
    repositoryUrl: record.repositoryUrl,
    defaultBranch: record.defaultBranch,
    defaultVmSize: record.defaultVmSize,
    codingAgent: record.codingAgent,
    permissionMode: record.permissionMode,
    settings: record.settings,
    createdAt: toIso(record.createdAt),
    updatedAt: toIso(record.updatedAt),
  };
}

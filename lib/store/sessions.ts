/** Chat sessions: one record each, on which every writer of the session checks, and one index by last activity. */
import type { Session, SessionListQuery, SessionStatus } from "../wire/session.ts";
import type { Change, Versioned } from "./change.ts";
import { POINTER, projectTopic, sessionByActivityKey, sessionKey, workspaceKey } from "./keys.ts";
import { listPage, type Page } from "./page.ts";
import type { Store } from "./store.ts";
import { readTask } from "./tasks.ts";
import { toIso, toIsoOrNull } from "./time.ts";
import type { WorkspaceRecord } from "./workspaces.ts";

/** What was answered when a turn ended. The text of a prompt is read again when needed: here it could outgrow the value. */
export type StoredAnswer = "finalize" | "wait" | "stop" | { next: string };

export interface SessionRecord extends Versioned {
  id: string;
  projectId: string;
  taskId: string | null;
  workspaceId: string | null;
  topic: string | null;
  status: SessionStatus;
  turn: Session["turn"];
  /** Prompts can be added to the turn that was accepted last; absent: its coding agent does not offer it. */
  steering?: boolean;
  /** The run under which new messages of the edge are shown. */
  run: number;
  /** The prompt that the agent has now, sent or running; null: it waits for one. */
  handedOut: string | null;
  /** The turn that ended last, with the answer it got: the same report again gets the same answer. */
  lastTurn: { promptId: string; answer: StoredAnswer } | null;
  /** Prompts: number of the last one made, and of the last one handed out. */
  promptCount: number;
  promptsTaken: number;
  /** Permission requests that wait, and all there were; absent: none. */
  openPermissions?: number;
  permissions?: number;
  messageCount: number;
  lastSeq: number;
  activeAt: number;
  createdAt: number;
  updatedAt: number;
  endedAt: number | null;
}

export async function readSession(store: Store, projectId: string, sessionId: string): Promise<SessionRecord | null> {
  return (await store.kv.get<SessionRecord>(sessionKey(projectId, sessionId))).value;
}

/** Writes a session under a check and announces it. `active` moves it to the top of the list. */
export function putSession(
  tx: Change,
  entry: Deno.KvEntryMaybe<SessionRecord>,
  next: SessionRecord,
  options: { active?: boolean } = {},
): SessionRecord {
  const activeAt = options.active || !entry.value ? Math.max(tx.now, entry.value?.activeAt ?? 0) : entry.value.activeAt;
  const record = { ...next, activeAt, updatedAt: tx.now };
  const index = sessionByActivityKey(record.projectId, activeAt, record.id);
  if (entry.value && entry.value.activeAt !== activeAt) {
    tx.delete(sessionByActivityKey(record.projectId, entry.value.activeAt, record.id));
  }
  if (!entry.value || entry.value.activeAt !== activeAt) tx.set(index, POINTER);
  tx.put(entry, record);
  tx.announce(projectTopic(record.projectId), [entry.value ? "session" : "sessionCreated", record.id]);
  if (record.endedAt !== null && entry.value?.endedAt === null) {
    tx.announce(projectTopic(record.projectId), ["sessionStopped", record.id]);
  }
  return record;
}

/** A session as it starts; `pending` until a run is live. */
export function newSession(
  facts: Pick<SessionRecord, "id" | "projectId" | "taskId" | "topic"> & { now: number },
): SessionRecord {
  return {
    v: 1,
    id: facts.id,
    projectId: facts.projectId,
    taskId: facts.taskId,
    workspaceId: null,
    topic: facts.topic,
    status: "pending",
    turn: "idle",
    run: 0,
    handedOut: null,
    lastTurn: null,
    promptCount: 0,
    promptsTaken: 0,
    messageCount: 0,
    lastSeq: 0,
    activeAt: facts.now,
    createdAt: facts.now,
    updatedAt: facts.now,
    endedAt: null,
  };
}

/** One page of a project's sessions, newest activity first; `q` looks into topics and task titles. */
export async function listSessions(store: Store, projectId: string, query: SessionListQuery): Promise<Page<Session>> {
  if (query.taskId) return await listSessionOfTask(store, projectId, { ...query, taskId: query.taskId });
  return await listPage(store.kv, ["sessionByActivity", projectId], {
    limit: query.limit,
    cursor: query.cursor,
    reverse: true,
    pick: async (key) => {
      const record = await readSession(store, projectId, key[3] as string);
      // An index entry that a newer activity has moved while this list was being read.
      if (!record || record.activeAt !== key[2]) return null;
      return await toFitting(store, record, query);
    },
  });
}

/** A task names its one session, so nothing is searched. */
async function listSessionOfTask(
  store: Store,
  projectId: string,
  query: SessionListQuery & { taskId: string },
): Promise<Page<Session>> {
  const task = await readTask(store, projectId, query.taskId);
  const record = task && await readSession(store, projectId, task.sessionId);
  const session = record && await toFitting(store, record, query);
  return { items: session ? [session] : [], nextCursor: null };
}

async function toFitting(store: Store, record: SessionRecord, query: SessionListQuery): Promise<Session | null> {
  if (query.status && record.status !== query.status) return null;
  const session = await toSession(store, record);
  const text = `${session.topic ?? ""}\n${session.task?.title ?? ""}`.toLowerCase();
  return query.q && !text.includes(query.q.toLowerCase()) ? null : session;
}

/** As the wire has it, with the summaries of its task and its workspace. */
export async function toSession(store: Store, record: SessionRecord): Promise<Session> {
  const [task, workspace] = await Promise.all([
    record.taskId ? readTask(store, record.projectId, record.taskId) : null,
    record.workspaceId ? store.kv.get<WorkspaceRecord>(workspaceKey(record.workspaceId)) : null,
  ]);
  return {
    id: record.id,
    projectId: record.projectId,
    taskId: record.taskId,
    workspaceId: record.workspaceId,
    topic: record.topic,
    status: record.status,
    turn: record.turn,
    ...(record.turn === "running" && record.steering && { steering: true as const }),
    pendingPermissions: record.openPermissions ?? 0,
    messageCount: record.messageCount,
    lastSeq: record.lastSeq,
    createdAt: toIso(record.createdAt),
    updatedAt: toIso(record.updatedAt),
    endedAt: toIsoOrNull(record.endedAt),
    task: task && { id: task.id, title: task.title, status: task.status, priority: task.priority },
    workspace: workspace?.value
      ? { id: workspace.value.id, status: workspace.value.status, keptUntil: toIsoOrNull(workspace.value.keptUntil) }
      : null,
  };
}

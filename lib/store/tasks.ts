/**
 * Tasks, their texts, events and index entries. Every write goes through `putTask`, which moves the index entries in
 * the task's own commit and announces the task and its session.
 */
import { cutText } from "../bytes.ts";
import { DESCRIPTION_PREVIEW } from "../wire/limits.ts";
import {
  LIVE_STATUSES,
  type RunTask,
  type Task,
  type TaskEvent,
  type TaskListQuery,
  type TaskStatus,
} from "../wire/task.ts";
import type { Change, Dues, Versioned } from "./change.ts";
import {
  POINTER,
  projectTopic,
  taskByPriorityKey,
  taskByStatusKey,
  taskByUpdateKey,
  taskEventKey,
  taskKey,
  taskLiveKey,
  taskTextKey,
} from "./keys.ts";
import { listPage, type Page } from "./page.ts";
import type { Store } from "./store.ts";
import { toIso, toIsoOrNull } from "./time.ts";

export interface TaskRecord extends Versioned {
  id: string;
  projectId: string;
  ownerId: string;
  sessionId: string;
  title: string;
  status: TaskStatus;
  priority: number;
  parentTaskId: string | null;
  /** The task that this one goes on from: where its work lies, and what was said. Absent: none. */
  continues?: { title: string; sessionId: string; branch: string | null };
  dependsOn: string[];
  agentHint: string | null;
  vmSize: Task["vmSize"];
  run: number;
  /** What was asked for with this run. */
  runOptions: RunTask;
  /** The message in the session that is this run's first prompt. */
  promptId: string;
  executionStep: Task["executionStep"];
  timings: Partial<Record<NonNullable<Task["executionStep"]>, number>>;
  nodeId: string | null;
  claimToken: string | null;
  workspaceId: string | null;
  /** How often the edge asked to go on after an interruption in this run. */
  resumes: number;
  /** The steps of this run that stalled once and were begun anew; absent: none. */
  retried?: NonNullable<Task["executionStep"]>[];
  outputBranch: string | null;
  outputCommit: string | null;
  outputPrUrl: string | null;
  outputSummary: string | null;
  warning: string | null;
  errorMessage: string | null;
  costUsd: number | null;
  tokens: Task["tokens"];
  createdAt: number;
  queuedAt: number | null;
  startedAt: number | null;
  completedAt: number | null;
  updatedAt: number;
  eventCount: number;
  dues: Dues;
}

export type TaskEventInput = Pick<TaskEvent, "from" | "to" | "actor" | "reason">;
type StoredEvent = Omit<TaskEvent, "at" | "n"> & { at: number };

export async function readTask(store: Store, projectId: string, taskId: string): Promise<TaskRecord | null> {
  return (await store.kv.get<TaskRecord>(taskKey(projectId, taskId))).value;
}

/** Reads many tasks of one project in one or a few round trips; missing ones are null. */
export async function readTasks(store: Store, projectId: string, ids: string[]): Promise<(TaskRecord | null)[]> {
  const found: (TaskRecord | null)[] = [];
  for (let at = 0; at < ids.length; at += 10) {
    const keys = ids.slice(at, at + 10).map((id) => taskKey(projectId, id));
    found.push(...(await store.kv.getMany<TaskRecord[]>(keys)).map((entry) => entry.value));
  }
  return found;
}

export async function readDescription(store: Store, taskId: string): Promise<string> {
  return (await store.kv.get<string>(taskTextKey(taskId))).value ?? "";
}

/** Writes a task under a check, moves its index entries, and announces it with its session. */
export function putTask(tx: Change, entry: Deno.KvEntryMaybe<TaskRecord>, next: TaskRecord): TaskRecord {
  const record = { ...next, updatedAt: tx.now };
  if (entry.value) removeIndexes(tx, entry.value, record);
  tx.put(entry, record);
  tx.set(taskByStatusKey(record.projectId, record.status, record.priority, record.id), POINTER);
  tx.set(taskByPriorityKey(record.projectId, record.priority, record.id), POINTER);
  tx.set(taskByUpdateKey(record.projectId, record.updatedAt, record.id), POINTER);
  if (isLive(record)) tx.set(taskLiveKey(record.projectId, record.id), POINTER);
  tx.announce(projectTopic(record.projectId), ["task", record.id], ["session", record.sessionId]);
  return record;
}

function removeIndexes(tx: Change, before: TaskRecord, after: TaskRecord): void {
  const { projectId, id } = before;
  if (before.status !== after.status || before.priority !== after.priority) {
    tx.delete(taskByStatusKey(projectId, before.status, before.priority, id));
  }
  if (before.priority !== after.priority) tx.delete(taskByPriorityKey(projectId, before.priority, id));
  if (before.updatedAt !== after.updatedAt) tx.delete(taskByUpdateKey(projectId, before.updatedAt, id));
  if (isLive(before) && !isLive(after)) tx.delete(taskLiveKey(projectId, id));
}

/** Removes the record and its index entries; what hangs on it goes with the purge. */
export function deleteTask(tx: Change, entry: Deno.KvEntry<TaskRecord>): void {
  const { projectId, id, status, priority, updatedAt, sessionId } = entry.value;
  tx.check(entry).delete(entry.key).delete(taskByStatusKey(projectId, status, priority, id));
  tx.delete(taskByPriorityKey(projectId, priority, id)).delete(taskByUpdateKey(projectId, updatedAt, id));
  tx.announce(projectTopic(projectId), ["taskDeleted", id, sessionId]);
}

/** Appends events to the task's trail; returns the count to store in the record of the same commit. */
export function addEvents(tx: Change, task: TaskRecord, events: TaskEventInput[]): number {
  events.forEach((event, i) => tx.set(taskEventKey(task.id, task.eventCount + i + 1), { ...event, v: 1, at: tx.now }));
  return task.eventCount + events.length;
}

export async function listTaskEvents(store: Store, taskId: string): Promise<TaskEvent[]> {
  const entries = store.kv.list<StoredEvent>({ prefix: ["taskEvent", taskId] }, { limit: 1_000 });
  return (await Array.fromAsync(entries)).map(({ key, value }) => ({
    n: key[2] as number,
    from: value.from,
    to: value.to,
    actor: value.actor,
    reason: value.reason,
    at: toIso(value.at),
  }));
}

/** One page of a project's tasks, newest, last changed or most urgent first. */
export async function listTasks(store: Store, projectId: string, query: TaskListQuery): Promise<Page<TaskRecord>> {
  const { prefix, idAt } = listIndex(projectId, query);
  return await listPage(store.kv, prefix, {
    limit: query.limit,
    cursor: query.cursor,
    reverse: true,
    pick: async (key) => {
      const task = await readTask(store, projectId, key[idAt] as string);
      if (!task || (query.status && task.status !== query.status)) return null;
      return query.minPriority !== undefined && task.priority < query.minPriority ? null : task;
    },
  });
}

/** A status narrows the walk where the order allows it: the status index is in order of priority. */
function listIndex(projectId: string, query: TaskListQuery): { prefix: Deno.KvKey; idAt: number } {
  if (query.sort === "updatedAtDesc") return { prefix: ["taskByUpdate", projectId], idAt: 3 };
  if (query.sort === "createdAtDesc") return { prefix: ["task", projectId], idAt: 2 };
  if (query.status) return { prefix: ["taskByStatus", projectId, query.status], idAt: 4 };
  return { prefix: ["taskByPriority", projectId], idAt: 3 };
}

export async function hasLiveTasks(store: Store, projectId: string): Promise<boolean> {
  for await (const _ of store.kv.list({ prefix: ["taskLive", projectId] }, { limit: 1 })) return true;
  return false;
}

/** Every task with a run under way, over all projects: what the sweep looks at. */
export async function* listLiveTasks(store: Store): AsyncGenerator<{ projectId: string; taskId: string }> {
  for await (const entry of store.kv.list({ prefix: ["taskLive"] })) {
    yield { projectId: entry.key[1] as string, taskId: entry.key[2] as string };
  }
}

export function isLive(task: { status: TaskStatus }): boolean {
  return LIVE_STATUSES.includes(task.status);
}

/** As the wire has it; `preview` cuts the description to what lists show. */
export function toTask(record: TaskRecord, description: string, options: { preview?: boolean } = {}): Task {
  const { v: _v, change: _c, runOptions: _r, promptId: _p, claimToken: _t, resumes: _s, retried: _a, ...most } = record;
  const { continues: _o, ...rest } = most;
  const { dues: _d, eventCount: _e, queuedAt: _q, ...shown } = rest;
  return {
    ...shown,
    description: options.preview ? cutText(description, DESCRIPTION_PREVIEW) : description,
    timings: Object.fromEntries(Object.entries(record.timings).map(([step, at]) => [step, toIso(at)])),
    createdAt: toIso(record.createdAt),
    startedAt: toIsoOrNull(record.startedAt),
    completedAt: toIsoOrNull(record.completedAt),
    updatedAt: toIso(record.updatedAt),
  };
}

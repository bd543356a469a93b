/**
 * Permission requests of a session. The session's record counts those that wait and is written with each of them, so
 * that whoever ends the session or a turn closes all of them in the same commit.
 */
import type { PermissionOption, PermissionRequest } from "../wire/permission.ts";
import type { PermissionListQuery } from "../wire/permission_calls.ts";
import type { ToolMetadata } from "../wire/message.ts";
import type { Change, Dues, Versioned } from "./change.ts";
import { permissionKey, projectTopic } from "./keys.ts";
import { listPage, type Page } from "./page.ts";
import type { SessionRecord } from "./sessions.ts";
import type { Store } from "./store.ts";
import { toIso } from "./time.ts";

export interface PermissionRecord extends Versioned {
  requestId: string;
  sessionId: string;
  projectId: string;
  /** The workspace whose coding agent waits. */
  workspaceId: string;
  toolCallId: string;
  title: string;
  toolMetadata: ToolMetadata | null;
  options: PermissionOption[];
  status: PermissionRequest["status"];
  /** The id of the option that was chosen. */
  answer: string | null;
  answeredBy: string | null;
  createdAt: number;
  expiresAt: number;
  dues: Dues;
}

type End = Pick<PermissionRecord, "status"> & Partial<Pick<PermissionRecord, "answer" | "answeredBy">>;

export async function readPermission(
  store: Store,
  sessionId: string,
  requestId: string,
): Promise<PermissionRecord | null> {
  return (await store.kv.get<PermissionRecord>(permissionKey(sessionId, requestId))).value;
}

/** One page of a session's requests, newest first. */
export async function listPermissions(
  store: Store,
  sessionId: string,
  query: PermissionListQuery,
): Promise<Page<PermissionRequest>> {
  return await listPage(store.kv, ["permission", sessionId], {
    ...query,
    reverse: true,
    pick: (_key, value) => {
      const record = value as PermissionRecord;
      return Promise.resolve(query.status && record.status !== query.status ? null : toPermission(record));
    },
  });
}

/** Writes a request under a check and announces it; it is due at its expiry for as long as it waits. */
export function putPermission(
  tx: Change,
  entry: Deno.KvEntryMaybe<PermissionRecord>,
  next: PermissionRecord,
): PermissionRecord {
  const record = { ...next, dues: scheduleExpiry(tx, next) };
  tx.put(entry, record);
  announce(tx, record);
  return record;
}

/** The request with its end. */
export function endedPermission(record: PermissionRecord, end: End): PermissionRecord {
  return { ...record, answer: null, answeredBy: null, ...end };
}

/**
 * Closes every request of a session that waits, because the coding agent waits no more, and answers the session to put
 * in the same commit. Written without checks of their own: whoever adds or ends a request writes the session too.
 */
export async function closePermissions(tx: Change, session: SessionRecord): Promise<SessionRecord> {
  let open = session.openPermissions ?? 0;
  if (open === 0) return session;
  const entries = tx.kv.list<PermissionRecord>({ prefix: ["permission", session.id] }, { reverse: true });
  for await (const { key, value } of entries) {
    if (value.status !== "pending") continue;
    const record = endedPermission(value, { status: "cancelled" });
    tx.set(key, { ...record, dues: scheduleExpiry(tx, record), change: tx.id });
    announce(tx, record);
    if (--open === 0) break;
  }
  return { ...session, openPermissions: 0 };
}

function scheduleExpiry(tx: Change, record: PermissionRecord): Dues {
  const at = record.status === "pending" ? record.expiresAt : null;
  return tx.schedule(record.dues, {
    kind: "permission.expiry",
    id: `${record.projectId}/${record.sessionId}/${record.requestId}`,
    at,
  });
}

function announce(tx: Change, { projectId, sessionId, requestId }: PermissionRecord): void {
  tx.announce(projectTopic(projectId), ["permission", sessionId, requestId]);
}

/** How it ended, in one word: the kind of the option that was chosen, else `expired` or `cancelled`. */
export function outcomeOf(record: PermissionRecord): string {
  const chosen = record.options.find((option) => option.optionId === record.answer);
  return record.status === "answered" && chosen ? chosen.kind : record.status;
}

export function toPermission(record: PermissionRecord): PermissionRequest {
  return {
    requestId: record.requestId,
    sessionId: record.sessionId,
    toolCallId: record.toolCallId,
    title: record.title,
    toolMetadata: record.toolMetadata,
    options: record.options,
    status: record.status,
    answer: record.answer,
    answeredBy: record.answeredBy,
    createdAt: toIso(record.createdAt),
    expiresAt: toIso(record.expiresAt),
  };
}

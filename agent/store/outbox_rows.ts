/** Rows of the outbox's table: how they go in and are changed, and what is read of them. */
import type { InStatement, Row } from "@libsql/client";
import { toBytes } from "../../lib/bytes.ts";
import type { Entry } from "./lines.ts";
import { MESSAGE_NAMES, toColumns } from "./message_columns.ts";
import type { NewRows, OutboxRow, StoredRow } from "./outbox.ts";
import type { Evictable, Mark } from "./overflow.ts";

/** A row as it goes into the table. */
export type MadeRow = OutboxRow & { id: number; bytes: number; lost?: number };

/** The number that the newest row of all had, where no row tells it any more. */
export const LAST_ID = "outboxLastId";

const COLUMNS = `id, ${MESSAGE_NAMES}, bytes, lost`;

/** Inserts a row unless its message is known; with `unlessDead` also if it is known as a dead letter. */
export function insertRow(row: MadeRow, options: { unlessDead?: boolean } = {}): InStatement {
  const values = options.unlessDead
    ? "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM dead_letters WHERE message_id = ?2)"
    : "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  return {
    sql: `INSERT INTO message_outbox (${COLUMNS}) ${values} ON CONFLICT (message_id) DO NOTHING`,
    args: [row.id, ...toColumns(row), row.bytes, row.lost ?? 0],
  };
}

/** Deletes rows. If the newest of all is among them, its number is kept: it is never given again. */
export function deleteRows(ids: number[], lastId: number): InStatement[] {
  const deletion = {
    sql: "DELETE FROM message_outbox WHERE id IN (SELECT value FROM json_each(?))",
    args: [JSON.stringify(ids)],
  };
  if (!ids.includes(lastId)) return [deletion];
  const keep = {
    sql: "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    args: [LAST_ID, String(lastId)],
  };
  return [deletion, keep];
}

/** Writes what was cut of a message. */
export function updateContent(id: number, row: OutboxRow & { bytes: number }): InStatement {
  const { content, toolMetadata, flags, bytes } = row;
  return {
    sql: "UPDATE message_outbox SET content = ?, tool_metadata = ?, flags = ?, bytes = ? WHERE id = ?",
    args: [toBytes(content), toolMetadata && JSON.stringify(toolMetadata), flags && JSON.stringify(flags), bytes, id],
  };
}

/**
 * The message of a row as it travels, to the byte the JSON of `toWire`. The database puts it together from what the row
 * keeps as JSON already: reading every column into the program only to write it out again takes twice the time.
 */
const MESSAGE_JSON = `'{"messageId":' || json_quote(message_id) || ',"sessionId":' || json_quote(session_id)
  || ',"role":' || json_quote(role) || ',"content":' || json_quote(CAST(content AS TEXT))
  || coalesce(',"toolMetadata":' || tool_metadata, '') || coalesce(',"flags":' || flags, '')
  || ',"timestamp":' || json_quote(created_at) || '}'`;

/** The rows with these ids, in their order, as they are sent. */
export function selectStored(ids: number[]): InStatement {
  return {
    sql: `SELECT id, message_id, ${MESSAGE_JSON} AS json FROM message_outbox
      WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id`,
    args: [JSON.stringify(ids)],
  };
}

export function toStoredRow(row: Row): StoredRow {
  return { id: Number(row.id), messageId: String(row.message_id), json: String(row.json) };
}

export function toEntry(row: Row): Entry {
  return {
    id: Number(row.id),
    workspaceId: String(row.workspace_id),
    bytes: Number(row.bytes),
    isMark: Number(row.lost) !== 0,
  };
}

export function toEvictable(row: Row): Evictable {
  return {
    id: Number(row.id),
    workspaceId: String(row.workspace_id),
    projectId: row.project_id === null ? null : String(row.project_id),
    sessionId: String(row.session_id),
    bytes: Number(row.bytes),
  };
}

export function toMark(row: Row): Mark {
  return {
    id: Number(row.id),
    workspaceId: String(row.workspace_id),
    bytes: Number(row.bytes),
    lost: Number(row.lost),
  };
}

/** What became durable, by workspace. */
export function groupNews(rows: (OutboxRow & { bytes: number })[]): NewRows[] {
  const byWorkspace = new Map<string, NewRows>();
  for (const { workspaceId, bytes } of rows) {
    const news = byWorkspace.get(workspaceId) ?? { workspaceId, rows: 0, bytes: 0 };
    byWorkspace.set(workspaceId, { workspaceId, rows: news.rows + 1, bytes: news.bytes + bytes });
  }
  return [...byWorkspace.values()];
}

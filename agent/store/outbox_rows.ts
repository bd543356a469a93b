/** Rows of the outbox's table: how they go in and are changed, and what is read of them. */
import type { InStatement, Row } from "@libsql/client";
import { toBytes } from "../../lib/bytes.ts";
import { fromColumns, MESSAGE_NAMES, toColumns } from "./message_columns.ts";
import type { NewRows, OutboxRow, StoredRow } from "./outbox.ts";
import type { Evictable, Mark } from "./overflow.ts";

/** Inserts a row unless its message is known, also as a dead letter. An id is given only to marks. */
export function insertRow(row: OutboxRow & { bytes: number; id?: number; lost?: number }): InStatement {
  return {
    sql: `INSERT INTO message_outbox (id, ${MESSAGE_NAMES}, bytes, lost)
      SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
      WHERE NOT EXISTS (SELECT 1 FROM dead_letters WHERE message_id = ?2)
      ON CONFLICT (message_id) DO NOTHING`,
    args: [row.id ?? null, ...toColumns(row), row.bytes, row.lost ?? 0],
  };
}

/** Deletes rows (a JSON list of ids), and answers whose they were. */
export function deleteRows(ids: string): InStatement {
  return {
    sql: "DELETE FROM message_outbox WHERE id IN (SELECT value FROM json_each(?)) RETURNING workspace_id, bytes, lost",
    args: [ids],
  };
}

/** Writes what was cut of a message. */
export function updateContent(id: number, row: OutboxRow & { bytes: number }): InStatement {
  const { content, toolMetadata, flags, bytes } = row;
  return {
    sql: "UPDATE message_outbox SET content = ?, tool_metadata = ?, flags = ?, bytes = ? WHERE id = ?",
    args: [toBytes(content), toolMetadata && JSON.stringify(toolMetadata), flags && JSON.stringify(flags), bytes, id],
  };
}

export function toStoredRow(row: Row): StoredRow {
  return { ...fromColumns(row), id: Number(row.id), bytes: Number(row.bytes), attempts: Number(row.attempts) };
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

/** The id up to which rows fit into `maxBytes` of a JSON array, at least the first; null when there are none. */
export function lastWithin(rows: Row[], maxBytes: number): number | null {
  let total = 0;
  let last: number | null = null;
  for (const row of rows) {
    total += Number(row.bytes) + 1;
    if (last !== null && total > maxBytes) break;
    last = Number(row.id);
  }
  return last;
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

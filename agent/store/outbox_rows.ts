/** Rows of the outbox's table: how they go in, and what is read of them. */
import type { InStatement, Row } from "@libsql/client";
import { fromColumns, MESSAGE_NAMES, toColumns } from "./message_columns.ts";
import type { OutboxRow, StoredRow } from "./outbox.ts";
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

/**
 * The tables of `agent.db`. Each step brings the file from its index to the next version; steps are only ever added.
 * Text of people and coding agents is kept as bytes: the driver cuts text at a NUL character when it reads it.
 */
const MESSAGE_COLUMNS = `
  message_id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL,
  project_id TEXT,
  session_id TEXT NOT NULL,
  role TEXT NOT NULL,
  content BLOB NOT NULL,
  tool_metadata TEXT,
  flags TEXT,
  created_at TEXT NOT NULL`;

export const SCHEMA_STEPS: readonly (readonly string[])[] = [[
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
  // `lost` > 0: not a message of the session but the mark of so many that were evicted at this place; -1: of a refusal.
  `CREATE TABLE message_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,${MESSAGE_COLUMNS},
    bytes INTEGER NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_attempt_at TEXT)`,
  `CREATE INDEX outbox_by_workspace ON message_outbox (workspace_id, id, bytes)`,
  `CREATE INDEX outbox_marks ON message_outbox (id) WHERE lost > 0`,
  `CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,${MESSAGE_COLUMNS},
    attempts INTEGER NOT NULL,
    last_attempt_at TEXT,
    status INTEGER,
    reason TEXT NOT NULL,
    at TEXT NOT NULL)`,
  `CREATE INDEX dead_letters_by_reason ON dead_letters (reason)`,
  `CREATE TABLE open_messages (id INTEGER PRIMARY KEY AUTOINCREMENT,${MESSAGE_COLUMNS})`,
  `CREATE INDEX open_by_workspace ON open_messages (workspace_id, id)`,
  `CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL)`,
  `CREATE INDEX reports_by_workspace ON reports (workspace_id, id)`,
  `CREATE TABLE commands (
    seq INTEGER PRIMARY KEY,
    command_id TEXT NOT NULL UNIQUE,
    frame TEXT NOT NULL,
    applied INTEGER NOT NULL DEFAULT 0)`,
  `CREATE INDEX commands_pending ON commands (seq) WHERE applied = 0`,
  `CREATE TABLE workspaces (workspace_id TEXT PRIMARY KEY, state TEXT NOT NULL, updated_at TEXT NOT NULL)`,
], [
  // When the edge took it over; kept on the node nevertheless, for `hearth-agent outbox retry`.
  `ALTER TABLE dead_letters ADD COLUMN handed_at TEXT`,
  `CREATE INDEX dead_letters_to_hand ON dead_letters (id) WHERE handed_at IS NULL`,
], [
  // When somebody asked for it to be sent again; the agent takes it back into the outbox.
  `ALTER TABLE dead_letters ADD COLUMN again_at TEXT`,
  `CREATE INDEX dead_letters_again ON dead_letters (id) WHERE again_at IS NOT NULL`,
  // Each message wrote two pages more for these: the outbox counts and keeps the order of its rows itself.
  `DROP INDEX outbox_by_workspace`,
  `INSERT INTO meta (name, value) SELECT 'outboxLastId', seq FROM sqlite_sequence WHERE name = 'message_outbox'`,
  `DELETE FROM sqlite_sequence WHERE name = 'message_outbox'`,
  // In place: a copy of a full outbox might not fit on the disk. The rows are stored in the same way with and without.
  `PRAGMA writable_schema=ON`,
  `UPDATE sqlite_schema SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE name = 'message_outbox'`,
  `PRAGMA writable_schema=RESET`,
]];

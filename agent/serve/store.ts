/**
 * The chat engine's libSQL file: sessions, their messages, and the coding agent's ids of conversations. What a write
 * resolved for is on the disk. A file that is damaged is put aside and a new one is begun, so that the server starts.
 */
import { type Client, createClient, type Row } from "@libsql/client";
import { pathToFileURL } from "node:url";
import { dirname } from "node:path";
import { z } from "zod";
import type { Logger } from "../../lib/log.ts";
import {
  endReason,
  type HistoryMessage,
  historyMessage,
  sessionStatus,
  type ToolUseDisplay,
} from "../../lib/wire/chat_engine.ts";
import type { MessagePage, SessionRecord, SessionStorage } from "../coding/session_records.ts";

const BUSY_TIMEOUT_MS = 5_000;
const LIST_MAX = 1_000;

const TABLES = [
  `CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL,
    last_active_at TEXT NOT NULL, subprocess_pid INTEGER, message_count INTEGER NOT NULL,
    total_cost_usd REAL NOT NULL, is_resumable INTEGER NOT NULL, terminated_reason TEXT)`,
  `CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL,
    body TEXT NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS messages_by_session ON messages (session_id, id)`,
  `CREATE TABLE IF NOT EXISTS conversations (session_id TEXT PRIMARY KEY, acp_session_id TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS archived_conversations (
    session_id TEXT NOT NULL, acp_session_id TEXT NOT NULL, archived_at TEXT NOT NULL)`,
];

const sessionRow = z.object({
  session_id: z.string(),
  user_id: z.string(),
  status: sessionStatus,
  created_at: z.string(),
  last_active_at: z.string(),
  subprocess_pid: z.number().nullable(),
  message_count: z.number(),
  total_cost_usd: z.number(),
  is_resumable: z.number().transform((value) => value === 1),
  terminated_reason: endReason.nullable(),
}).transform((row): SessionRecord => ({
  sessionId: row.session_id,
  userId: row.user_id,
  status: row.status,
  createdAt: row.created_at,
  lastActiveAt: row.last_active_at,
  subprocessPid: row.subprocess_pid,
  messageCount: row.message_count,
  totalCostUsd: row.total_cost_usd,
  isResumable: row.is_resumable,
  terminatedReason: row.terminated_reason,
}));

export class SessionStore implements SessionStorage, AsyncDisposable {
  readonly #client: Client;
  readonly #log: Logger;

  private constructor(client: Client, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** Opens the file at `path`, or makes it. */
  static async open(path: string, log: Logger): Promise<SessionStore> {
    await Deno.mkdir(dirname(path), { recursive: true });
    try {
      return new SessionStore(await openFile(path), log);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      const aside = `${path}.damaged-${new Date().toISOString().replaceAll(":", "")}`;
      log.error("database_damaged", { path, aside });
      await Deno.rename(path, aside);
      for (const more of ["-wal", "-shm"]) await Deno.remove(path + more).catch(() => {});
      return new SessionStore(await openFile(path), log);
    }
  }

  async save(record: SessionRecord): Promise<void> {
    await this.#client.execute({
      sql: `INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (session_id) DO UPDATE SET status = excluded.status, last_active_at = excluded.last_active_at,
          subprocess_pid = excluded.subprocess_pid, message_count = excluded.message_count,
          total_cost_usd = excluded.total_cost_usd, is_resumable = excluded.is_resumable,
          terminated_reason = excluded.terminated_reason`,
      args: [
        record.sessionId,
        record.userId,
        record.status,
        record.createdAt,
        record.lastActiveAt,
        record.subprocessPid,
        record.messageCount,
        record.totalCostUsd,
        record.isResumable ? 1 : 0,
        record.terminatedReason,
      ],
    });
  }

  async get(sessionId: string): Promise<SessionRecord | null> {
    const { rows } = await this.#client.execute({
      sql: "SELECT * FROM sessions WHERE session_id = ?",
      args: [sessionId],
    });
    return this.#read(rows)[0] ?? null;
  }

  async listActive(): Promise<SessionRecord[]> {
    return await this.#list("status <> 'terminated'");
  }

  async listOpen(): Promise<SessionRecord[]> {
    return await this.#list("status <> 'terminated' OR is_resumable = 1");
  }

  async putMessages(sessionId: string, messages: HistoryMessage[]): Promise<void> {
    if (messages.length === 0) return;
    await this.#client.batch(
      messages.map((message) => ({
        sql: `INSERT INTO messages (message_id, session_id, body) VALUES (?, ?, ?)
          ON CONFLICT (message_id) DO UPDATE SET body = excluded.body`,
        args: [message.message_id, sessionId, JSON.stringify(message)],
      })),
      "write",
    );
  }

  async listMessages(sessionId: string, page: { before?: string; limit: number }): Promise<MessagePage> {
    const { rows } = await this.#client.execute({
      sql: `SELECT body FROM messages WHERE session_id = ?1
        AND (?2 IS NULL OR id < (SELECT id FROM messages WHERE message_id = ?2)) ORDER BY id DESC LIMIT ?3`,
      args: [sessionId, page.before ?? null, page.limit + 1],
    });
    const messages = rows.slice(0, page.limit).reverse().flatMap((row) => this.#readMessage(row));
    return { messages, hasMore: rows.length > page.limit };
  }

  async closeLeftOpen(): Promise<void> {
    const { rows } = await this.#client.execute(
      `SELECT session_id, body FROM messages WHERE body LIKE '%"status":"executing"%' LIMIT ${LIST_MAX}`,
    );
    for (const row of rows) {
      const left = this.#readMessage(row).filter(({ tool }) => tool?.status === "executing");
      const closed = left.map((message) => ({ ...message, tool: message.tool && failed(message.tool), partial: true }));
      await this.putMessages(String(row.session_id), closed);
    }
  }

  async getConversation(sessionId: string): Promise<string | null> {
    const { rows } = await this.#client.execute({
      sql: "SELECT acp_session_id FROM conversations WHERE session_id = ?",
      args: [sessionId],
    });
    return rows[0] ? String(rows[0].acp_session_id) : null;
  }

  async setConversation(sessionId: string, acpSessionId: string): Promise<void> {
    await this.#client.execute({
      sql: "INSERT INTO conversations VALUES (?, ?) ON CONFLICT DO UPDATE SET acp_session_id = excluded.acp_session_id",
      args: [sessionId, acpSessionId],
    });
  }

  async archiveConversation(sessionId: string): Promise<void> {
    await this.#client.batch([
      {
        sql: `INSERT INTO archived_conversations SELECT session_id, acp_session_id, ? FROM conversations
          WHERE session_id = ?`,
        args: [new Date().toISOString(), sessionId],
      },
      { sql: "DELETE FROM conversations WHERE session_id = ?", args: [sessionId] },
    ], "write");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #list(condition: string): Promise<SessionRecord[]> {
    const sql = `SELECT * FROM sessions WHERE ${condition} ORDER BY last_active_at DESC LIMIT ${LIST_MAX}`;
    return this.#read((await this.#client.execute(sql)).rows);
  }

  /** One row that cannot be read must not hide the others. */
  #read(rows: Row[]): SessionRecord[] {
    return rows.flatMap((row) => {
      const read = sessionRow.safeParse({ ...row });
      if (!read.success) this.#log.error("session_row_damaged", { sessionId: String(row.session_id) });
      return read.success ? [read.data] : [];
    });
  }

  #readMessage(row: Row): HistoryMessage[] {
    try {
      return [historyMessage.parse(JSON.parse(String(row.body)))];
    } catch {
      this.#log.error("message_row_damaged");
      return [];
    }
  }
}

async function openFile(path: string): Promise<Client> {
  const client = createClient({ url: pathToFileURL(path).href, concurrency: 1, timeout: BUSY_TIMEOUT_MS });
  try {
    await client.execute("PRAGMA journal_mode=WAL");
    await client.execute("PRAGMA synchronous=FULL");
    const { rows } = await client.execute("PRAGMA quick_check(1)");
    if (rows[0]?.quick_check !== "ok") throw new Damaged("The database's own check failed.");
    await client.batch(TABLES, "write");
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

function failed(tool: ToolUseDisplay): ToolUseDisplay {
  return { ...tool, status: "error", result: tool.result ?? "" };
}

class Damaged extends Error {
  override name = "Damaged";
}

function isDamaged(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return error instanceof Damaged || code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT");
}

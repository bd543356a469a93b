/** A data directory of its own for each test, and rows to put into it. */
import { type Database, openDatabase } from "../../../agent/store/database.ts";
import { Outbox, type OutboxOptions, type OutboxRow } from "../../../agent/store/outbox.ts";
import { byteLength } from "../../../lib/bytes.ts";
import { createLogger, type Logger } from "../../../lib/log.ts";
import { batchMessage } from "../../../lib/wire/message.ts";

export const silent: Logger = createLogger("critical", () => {});

/** A logger whose lines can be looked at. */
export function recordingLogger(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { log: createLogger("debug", (line) => lines.push(line)), lines };
}

export async function withDataDir(work: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "hearth-agent-" });
  try {
    await work(dataDir);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

export function withDatabase(work: (db: Database) => Promise<void>): Promise<void> {
  return withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 4_096 });
    await work(db);
  });
}

export function makeOutbox(db: Database, options: Partial<OutboxOptions> = {}): Outbox {
  return new Outbox(db, { maxRows: 10_000, maxBytes: 1 << 29, maxContentBytes: 204_800, log: silent, ...options });
}

export const WORKSPACE = "0197f000-0000-7000-8000-000000000001";
export const OTHER_WORKSPACE = "0197f000-0000-7000-8000-000000000002";
export const SESSION = "0197f000-0000-7000-8000-00000000000a";

export function makeRow(content: string, change: Partial<OutboxRow> = {}): OutboxRow {
  return {
    messageId: crypto.randomUUID(),
    workspaceId: WORKSPACE,
    projectId: "0197f000-0000-7000-8000-00000000000f",
    sessionId: SESSION,
    role: "assistant",
    content,
    toolMetadata: null,
    flags: null,
    createdAt: new Date().toISOString(),
    ...change,
  };
}

export function makeRows(count: number, change: Partial<OutboxRow> = {}): OutboxRow[] {
  return Array.from({ length: count }, (_, at) => makeRow(`message ${at + 1}`, change));
}

/** What waits for a workspace as the edge will get it, oldest first, with its id and size. */
export async function waitingMessages(outbox: Outbox, workspaceId = WORKSPACE) {
  const rows = await outbox.oldest(workspaceId, { maxRows: 100_000, maxBytes: Number.MAX_SAFE_INTEGER });
  return rows.map(({ id, json }) => ({ id, bytes: byteLength(json), ...batchMessage.parse(JSON.parse(json)) }));
}

/** Contents of what waits for a workspace, oldest first. */
export async function waitingContents(outbox: Outbox, workspaceId = WORKSPACE): Promise<string[]> {
  return (await waitingMessages(outbox, workspaceId)).map((message) => message.content);
}

export async function deadLetters(db: Database): Promise<{ content: string; reason: string; status: number | null }[]> {
  const found = await db.client.execute(
    "SELECT CAST(content AS TEXT) AS content, reason, status FROM dead_letters ORDER BY id",
  );
  return found.rows.map((row) => ({
    content: String(row.content),
    reason: String(row.reason),
    status: row.status === null ? null : Number(row.status),
  }));
}

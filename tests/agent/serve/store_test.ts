import { assert, assertEquals } from "@std/assert";
import { createClient } from "@libsql/client";
import type { SessionRecord } from "../../../agent/coding/session_records.ts";
import { SessionStore } from "../../../agent/serve/store.ts";
import { createLogger } from "../../../lib/log.ts";

const lines: string[] = [];
const LOG = createLogger("debug", (line) => void lines.push(line));

async function withStore(work: (store: SessionStore, path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using store = await SessionStore.open(`${folder}/s.db`, LOG);
    await work(store, `${folder}/s.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function record(change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    sessionId: crypto.randomUUID(),
    userId: "local",
    status: "active",
    createdAt: "2026-01-01T00:00:00.000Z",
    lastActiveAt: "2026-01-01T00:00:01.000Z",
    subprocessPid: 4711,
    messageCount: 3,
    totalCostUsd: 0.25,
    isResumable: true,
    terminatedReason: null,
    ...change,
  };
}

Deno.test("TASK-004-AC1 the table has its ten columns", () =>
  withStore(async (_, path) => {
    const client = createClient({ url: `file:${path}` });
    const { rows } = await client.execute("SELECT name, type, pk FROM pragma_table_info('sessions')");
    client.close();
    assertEquals(rows.map(({ name }) => name), [
      "session_id",
      "user_id",
      "status",
      "created_at",
      "last_active_at",
      "subprocess_pid",
      "message_count",
      "total_cost_usd",
      "is_resumable",
      "terminated_reason",
    ]);
    assertEquals([rows[0]?.type, rows[0]?.pk], ["TEXT", 1]);
  }));

Deno.test("TASK-004-AC2 a record comes back with every field", () =>
  withStore(async (store) => {
    const ended = record({
      status: "terminated",
      subprocessPid: null,
      isResumable: false,
      terminatedReason: "duration",
    });
    for (const kept of [record(), ended]) {
      await store.save(kept);
      assertEquals(await store.get(kept.sessionId), kept);
    }
    await store.save({ ...ended, messageCount: 9 });
    assertEquals((await store.get(ended.sessionId))?.messageCount, 9);
    assertEquals(await store.get(crypto.randomUUID()), null);
  }));

Deno.test("TASK-004-AC3 the list of active ones leaves out the terminated", () =>
  withStore(async (store) => {
    for (const status of ["creating", "active", "idle", "terminated"] as const) await store.save(record({ status }));
    assertEquals((await store.listActive()).map(({ status }) => status).sort(), ["active", "creating", "idle"]);
  }));

Deno.test("a file that is no database is put aside, and a damaged row hides no other", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/s.db`;
  try {
    await Deno.writeTextFile(path, "this is not a database ".repeat(500));
    await using store = await SessionStore.open(path, LOG);
    const kept = record();
    await store.save(kept);
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assert(names.some((name) => name.startsWith("s.db.damaged-")));
    const client = createClient({ url: `file:${path}` });
    await client.execute("INSERT INTO sessions VALUES ('x', 'local', 'dancing', '', '', NULL, 0, 0, 1, NULL)");
    await client.execute({
      sql: "INSERT INTO messages (message_id, session_id, body) VALUES ('m', ?, '{ broken')",
      args: [kept.sessionId],
    });
    client.close();
    assertEquals(await store.listActive(), [kept]);
    assertEquals(await store.listMessages(kept.sessionId, { limit: 10 }), { messages: [], hasMore: false });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a database whose pages were overwritten is put aside, and what is begun anew works", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/s.db`;
  const message = (content: string) => ({
    message_id: crypto.randomUUID(),
    role: "user" as const,
    content,
    created_at: "2026-01-01T00:00:00.000Z",
  });
  try {
    {
      await using store = await SessionStore.open(path, LOG);
      for (let n = 0; n < 50; n++) await store.putMessages(crypto.randomUUID(), [message("x".repeat(4_000))]);
    }
    // What the log of writes holds would mend it.
    const client = createClient({ url: `file:${path}` });
    await client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    client.close();
    {
      using file = await Deno.open(path, { read: true, write: true });
      for (let at = 4_096; at < (await file.stat()).size; at += 3 * 4_096) {
        await file.seek(at, Deno.SeekMode.Start);
        await file.write(crypto.getRandomValues(new Uint8Array(4_096)));
      }
    }
    await using store = await SessionStore.open(path, LOG);
    const kept = record();
    await store.save(kept);
    assertEquals(await store.listActive(), [kept]);
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith("s.db.damaged-")).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

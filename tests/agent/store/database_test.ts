import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createClient } from "@libsql/client";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { DataDirectoryInUse, openBeside, openDatabase } from "../../../agent/store/database.ts";
import type { OutboxRow } from "../../../agent/store/outbox.ts";
import { SCHEMA_STEPS } from "../../../agent/store/schema.ts";
import { toBytes } from "../../../lib/bytes.ts";
import {
  makeOutbox,
  makeRow,
  makeRows,
  OTHER_WORKSPACE,
  waitingContents,
  waitingMessages,
  withDataDir,
  WORKSPACE,
} from "./fixture.ts";

Deno.test("T021-1 opening a data directory makes it, private, with the outbox's table", () =>
  withDataDir(async (parent) => {
    const dataDir = join(parent, "new", "agent");
    await using db = await openDatabase(dataDir);
    const columns = await db.client.execute("SELECT name FROM pragma_table_info('message_outbox')");
    const names = columns.rows.map((row) => String(row.name));
    for (const name of ["message_id", "workspace_id", "session_id", "content", "attempts", "last_attempt_at"]) {
      assert(names.includes(name), `column ${name}`);
    }
    await makeOutbox(db).enqueue([makeRow("hello")]);

    assertEquals((await Deno.stat(dataDir)).mode! & 0o777, 0o700);
    assertEquals((await Deno.stat(join(dataDir, "ballast"))).size, 16 * 1024 * 1024);
    const settings = await db.client.batch(["PRAGMA journal_mode", "PRAGMA synchronous"], "read");
    assertEquals(settings.map((result) => Object.values({ ...result.rows[0] })[0]), ["wal", 2]);
  }));

Deno.test("T021-2 without a database there is no outbox: an unusable directory is refused in a sentence", () =>
  withDataDir(async (parent) => {
    const file = join(parent, "file");
    await Deno.writeTextFile(file, "not a directory");
    await assertRejects(() => openDatabase(file), Error, "cannot be used");

    const broken = join(parent, "broken");
    await Deno.mkdir(broken);
    await Deno.writeTextFile(
      join(broken, "agent.db"),
      "this is no database, and long enough to be looked at".repeat(50),
    );
    await assertRejects(() => openDatabase(broken));
    // The lock was given back, so that the next try says the same and nothing about another agent.
    const again = await assertRejects(() => openDatabase(broken));
    assert(!(again instanceof DataDirectoryInUse));
  }));

Deno.test("the instance id stays the same for the life of the directory", () =>
  withDataDir(async (dataDir) => {
    const ids: string[] = [];
    for (let time = 0; time < 2; time++) {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      ids.push(db.instanceId);
    }
    assert(ids[0]!.length > 10);
    assertEquals(ids[0], ids[1]);
  }));

Deno.test("a second agent in this process or another is refused and told the pid", () =>
  withDataDir(async (dataDir) => {
    await using _db = await openDatabase(dataDir, { ballastBytes: 0 });
    const error = await assertRejects(() => openDatabase(dataDir), DataDirectoryInUse);
    assertStringIncludes(error.message, String(Deno.pid));
  }));

Deno.test("a database of a newer agent is refused in a sentence", () =>
  withDataDir(async (dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      await db.client.execute("PRAGMA user_version=999");
    }
    await assertRejects(() => openDatabase(dataDir), Error, "version 999");
  }));

/** A file as an agent before version 3 left it, with rows 1 to 4 of which 2 and 4 were sent. */
async function makeFormerFile(dataDir: string): Promise<OutboxRow> {
  const client = createClient({ url: pathToFileURL(join(dataDir, "agent.db")).href });
  try {
    for (const [at, step] of SCHEMA_STEPS.slice(0, 2).entries()) {
      await client.batch([...step, `PRAGMA user_version=${at + 1}`], "write");
    }
    const rows = [1, 2, 3, 4].map((n) => makeRow(`row ${n}`, { workspaceId: n === 3 ? OTHER_WORKSPACE : WORKSPACE }));
    for (const row of rows) {
      await client.execute({
        sql: `INSERT INTO message_outbox (message_id, workspace_id, session_id, role, content, created_at, bytes, lost)
          VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
        args: [row.messageId, row.workspaceId, row.sessionId, row.role, toBytes(row.content), row.createdAt, 100],
      });
    }
    await client.execute("DELETE FROM message_outbox WHERE id IN (2, 4)");
    return rows[0]!;
  } finally {
    client.close();
  }
}

Deno.test("a file of the former version keeps its rows, their order and their numbers", () =>
  withDataDir(async (dataDir) => {
    const known = await makeFormerFile(dataDir);
    for (let time = 0; time < 2; time++) {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      const outbox = makeOutbox(db);
      assertEquals((await outbox.workspacesWithRows()).toSorted(), [WORKSPACE, OTHER_WORKSPACE]);
      assertEquals(await outbox.size(OTHER_WORKSPACE), { rows: 1, bytes: 100 });
      await outbox.enqueue([makeRow("new"), known]);
      const waiting = (await waitingMessages(outbox)).map(({ id, content }) => [id, content]);
      assertEquals(waiting, [[1, "row 1"], [5, "new"], [6, "new"]].slice(0, time + 2));
      const checked = await db.client.execute("PRAGMA integrity_check");
      assertEquals(checked.rows.map((row) => row.integrity_check), ["ok"]);
      const counted = await db.client.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'message_outbox'");
      assertEquals(counted.rows.length, 0, "no page is written to count");
    }
  }));

Deno.test("when the disk is full the ballast is given up, and the message is stored after all", () =>
  withDataDir(async (dataDir) => {
    let full = 0;
    const lift = () => {
      full++;
      limit(100_000);
    };
    await using db = await openDatabase(dataDir, { ballastBytes: 4_096 });
    db.onDiskFull(lift);
    let limit = (_pages: number) => {};
    const pages = Number((await db.client.execute("PRAGMA page_count")).rows[0]!.page_count);
    limit = (most) => void db.client.execute(`PRAGMA max_page_count=${most}`);
    limit(pages);
    const outbox = makeOutbox(db);
    await outbox.enqueue(makeRows(20, { content: "x".repeat(4_000) }));

    assertEquals(full, 1);
    assertEquals((await waitingContents(outbox)).length, 20);
    await assertRejects(() => Deno.stat(join(dataDir, "ballast")), Deno.errors.NotFound);
  }));

Deno.test("without a ballast a full disk is told, and nothing that was stored is hurt", () =>
  withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 4_096 });
    const outbox = makeOutbox(db);
    await outbox.enqueue(makeRows(2));
    const pages = Number((await db.client.execute("PRAGMA page_count")).rows[0]!.page_count);
    await db.client.execute(`PRAGMA max_page_count=${pages}`);
    await assertRejects(() => outbox.enqueue(makeRows(20, { content: "x".repeat(4_000) })), Error, "full");
    await assertRejects(() => outbox.enqueue(makeRows(20, { content: "x".repeat(4_000) })), Error, "full");
    await db.client.execute("PRAGMA max_page_count=100000");
    assertEquals(await waitingContents(outbox), ["message 1", "message 2"]);
    assertEquals(await outbox.depth(), 2);
  }));

Deno.test("a light write is there for all to see, and every other one still waits for the disk", () =>
  withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const synchronous = async () => (await db.client.execute("PRAGMA synchronous")).rows[0]!.synchronous;
    const put = (name: string) => [{ sql: "INSERT INTO meta (name, value) VALUES (?, '')", args: [name] }];
    const during = db.writeLightly(put("a"));
    const before = synchronous();
    await Promise.all([during, db.writeLightly(put("b"))]);
    await assertRejects(() => db.writeLightly(put("a")));
    assertEquals([await before, await synchronous()], [2, 2]);
    assertEquals((await db.client.execute("SELECT name FROM meta ORDER BY name")).rows.map(({ name }) => name), [
      "a",
      "b",
    ]);
  }));

Deno.test("a person can look at the database while the agent runs, and is told when there is none", () =>
  withDataDir(async (dataDir) => {
    await assertRejects(() => openBeside(dataDir), Error, "no agent's database");
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    await makeOutbox(db).enqueue(makeRows(2));
    const beside = await openBeside(dataDir);
    try {
      const found = await beside.execute("SELECT count(*) AS n FROM message_outbox");
      assertEquals(Number(found.rows[0]!.n), 2);
    } finally {
      beside.close();
    }
  }));

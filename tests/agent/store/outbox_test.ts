import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import type { Outbox } from "../../../agent/store/outbox.ts";
import { OpenMessages } from "../../../agent/store/open_messages.ts";
import { toWire } from "../../../agent/store/fit.ts";
import {
  deadLetters,
  makeOutbox,
  makeRow,
  makeRows,
  OTHER_WORKSPACE,
  recordingLogger,
  waitingContents,
  waitingMessages,
  withDatabase,
  withDataDir,
  WORKSPACE,
} from "./fixture.ts";

const ALL = { maxRows: 1_000, maxBytes: Number.MAX_SAFE_INTEGER };

Deno.test("T021-3 enqueue puts the message into the outbox's table, whole", () =>
  withDatabase(async (db) => {
    const odd = String.fromCharCode(...Array(0x300).keys(), 0x2028, 0xfffe, 0xffff);
    const row = makeRow(`${odd}, quote ", \\, 😀, line\nend`, {
      toolMetadata: { tool: "Edit", target: "a\0b", status: "completed", toolCallId: "t1", input: { path: "x" } },
      flags: { retry: true },
    });
    const outbox = makeOutbox(db);
    assertEquals(await outbox.enqueue([row]), { evicted: 0 });

    const [stored, ...more] = await outbox.oldest(WORKSPACE, ALL);
    assertEquals(stored!.json, JSON.stringify(toWire(row)), "to the byte");
    assertEquals(await outbox.size(WORKSPACE), { rows: 1, bytes: new TextEncoder().encode(stored!.json).length });
    const columns = await db.client.execute("SELECT workspace_id, project_id, attempts FROM message_outbox");
    assertEquals({ ...columns.rows[0] }, { workspace_id: row.workspaceId, project_id: row.projectId, attempts: 0 });
    assertEquals(more, []);
  }));

Deno.test("a message that is known by its id is stored once, also when it is a dead letter", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    const row = makeRow("once");
    await outbox.enqueue([row, row]);
    await outbox.enqueue([{ ...row, messageId: row.messageId.toUpperCase() }]);
    const [stored] = await outbox.oldest(WORKSPACE, ALL);
    await outbox.deadLetter([stored!.id], { status: 400, reason: "refused" });
    await outbox.enqueue([row]);
    const restarted = makeOutbox(db);
    await restarted.enqueue([row]);

    assertEquals([await outbox.depth(), await restarted.depth()], [0, 0]);
    assertEquals(await deadLetters(db), [{ content: "once", reason: "refused", status: 400 }]);
  }));

Deno.test("rows are there after the file is opened again, in their order", () =>
  withDataDir(async (dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      await makeOutbox(db).enqueue(makeRows(3));
    }
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = makeOutbox(db);
    assertEquals(await outbox.depth(WORKSPACE), 3);
    assertEquals(await waitingContents(outbox), ["message 1", "message 2", "message 3"]);
  }));

Deno.test("a number is never given twice: not when the newest rows have gone, and not after a restart", () =>
  withDataDir(async (dataDir) => {
    const given: number[] = [];
    const leave: ((outbox: Outbox, id: number) => Promise<unknown>)[] = [
      (outbox, id) => outbox.deleteSent([id]),
      (outbox, id) => outbox.deadLetter([id], { status: 400, reason: "refused" }),
      (outbox) => outbox.deadLetterAll(WORKSPACE, { status: 410, reason: "gone" }),
      () => Promise.resolve(),
    ];
    for (const go of [...leave, ...leave]) {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      const outbox = makeOutbox(db);
      for (let time = 0; time < 2; time++) {
        await outbox.enqueue([makeRow("new")]);
        const id = (await waitingMessages(outbox)).at(-1)!.id;
        given.push(id);
        await go(outbox, id);
      }
    }
    assertEquals(given, given.toSorted((a, b) => a - b));
    assertEquals(new Set(given).size, 16);
  }));

Deno.test("callers at the same time share one transaction, and each is told when its own rows are durable", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxRows: 6 });
    await outbox.depth();
    const write = db.write.bind(db);
    let writes = 0;
    db.write = (statements) => {
      writes++;
      return write(statements);
    };
    const again = makeRow("4");
    const rows = [...makeRows(3), again, again, makeRow("6"), makeRow("7"), makeRow("8")];
    const answers = await Promise.all(rows.map((row) => outbox.enqueue([row])));
    assertEquals(writes, 2, "one for the rows, one for the eviction");
    assertEquals(answers.map((answer) => answer.evicted), [0, 0, 0, 0, 0, 0, 0, 1]);
    assertEquals((await waitingContents(outbox)).slice(1), ["message 2", "message 3", "4", "6", "7", "8"]);
  }));

Deno.test("of callers at the same time only the one whose message does not fit on the disk is told so", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    await outbox.enqueue(makeRows(1));
    const pages = Number((await db.client.execute("PRAGMA page_count")).rows[0]!.page_count);
    await db.client.execute(`PRAGMA max_page_count=${pages + 4}`);
    const large = outbox.enqueue([makeRow("x".repeat(100_000))]);
    const [, ...told] = await Promise.allSettled([
      large,
      outbox.enqueue([makeRow("a")]),
      outbox.enqueue([makeRow("b")]),
    ]);
    await assertRejects(() => large, Error, "full");
    assertEquals(told.map(({ status }) => status), ["fulfilled", "fulfilled"]);
    assertEquals(await waitingContents(outbox), ["message 1", "a", "b"]);
    assertEquals(await outbox.depth(), 3);
  }));

Deno.test("dead letters that somebody wants sent again come back behind what waits, as many as there is room for", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxRows: 3 });
    await outbox.enqueue(makeRows(3));
    await outbox.deadLetterAll(WORKSPACE, { status: 410, reason: "gone" });
    await outbox.enqueue([makeRow("new")]);
    await outbox.takeBack();
    assertEquals(await waitingContents(outbox), ["new"], "nobody has asked");

    const heard: number[] = [];
    outbox.onRows(({ rows }) => heard.push(rows));
    await db.client.execute("UPDATE dead_letters SET again_at = '2026-01-01'");
    await outbox.takeBack();
    assertEquals(await waitingContents(outbox), ["new", "message 1", "message 2"]);
    assertEquals((await deadLetters(db)).map(({ content }) => content), ["message 3"]);
    await outbox.deleteSent((await waitingMessages(outbox)).map(({ id }) => id));
    await outbox.takeBack();
    assertEquals(await waitingContents(outbox), ["message 3"]);
    assertEquals(heard, [2, 1]);
  }));

Deno.test("rows that somebody deletes from the file by hand do not hold up the others", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    await outbox.enqueue(makeRows(3));
    await db.client.execute("DELETE FROM message_outbox WHERE id = 2");
    await assertRejects(() => waitingContents(outbox), Error, "gone");
    assertEquals(await waitingContents(outbox), ["message 1", "message 3"]);
  }));

Deno.test("T021-15 many callers may enqueue at once: every message is stored once, each caller's in its order", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    const callers = 20;
    const each = 25;
    await Promise.all(Array.from({ length: callers }, async (_, caller) => {
      for (let n = 0; n < each; n++) await outbox.enqueue([makeRow(`${caller}:${n}`)]);
    }));

    const contents = await waitingContents(outbox);
    assertEquals(new Set(contents).size, callers * each);
    assertEquals(contents.length, callers * each);
    for (let caller = 0; caller < callers; caller++) {
      const own = contents.filter((content) => content.startsWith(`${caller}:`));
      assertEquals(own, Array.from({ length: each }, (_, n) => `${caller}:${n}`));
    }
  }));

Deno.test("T021-9 a full outbox takes the new message, and says in its answer what had to go", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxRows: 3 });
    assertEquals(await outbox.enqueue(makeRows(3)), { evicted: 0 });
    assertEquals(await outbox.enqueue([makeRow("new")]), { evicted: 1 });

    const contents = await waitingContents(outbox);
    assertEquals(contents.slice(1), ["message 2", "message 3", "new"]);
    const [first] = await outbox.oldest(WORKSPACE, { ...ALL, maxRows: 1 });
    assertStringIncludes(first!.json, "missing here", "the mark is in the place of what went");
    assertEquals(await outbox.counts(), { outboxDepth: 4, deadLetters: 1, dropped: 1 });
  }));

Deno.test("T021-17 overflow moves the oldest to the dead letters, warns, and marks the place and the count", () =>
  withDatabase(async (db) => {
    const { log, lines } = recordingLogger();
    const outbox = makeOutbox(db, { maxRows: 3, log });
    for (const row of makeRows(8)) await outbox.enqueue([row]);

    assertEquals((await deadLetters(db)).map((dead) => `${dead.reason} ${dead.content}`), [
      "overflow message 1",
      "overflow message 2",
      "overflow message 3",
      "overflow message 4",
      "overflow message 5",
    ]);
    const [mark, ...rest] = await waitingMessages(outbox);
    assertEquals(mark!.role, "system");
    assertStringIncludes(mark!.content, "5 messages are missing here");
    assertEquals(rest.map((row) => row.content), ["message 6", "message 7", "message 8"]);
    assert(lines.some((line) => line.includes('"level":"warn"') && line.includes("outbox_overflow")));
    assert(!lines.join().includes("message 1"), "contents are not logged");
  }));

Deno.test("the limit in bytes evicts as well, and each workspace has its own mark", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxBytes: 3_000 });
    await outbox.enqueue([makeRow("a".repeat(1_000)), makeRow("b".repeat(800), { workspaceId: OTHER_WORKSPACE })]);
    const { evicted } = await outbox.enqueue([makeRow("c".repeat(2_000))]);

    assertEquals(evicted, 2);
    assertEquals((await waitingContents(outbox)).map((content) => content.slice(0, 20)), [
      "1 message is missing",
      "c".repeat(20),
    ]);
    assertEquals((await waitingContents(outbox, OTHER_WORKSPACE)).length, 1);
  }));

Deno.test("rows in flight are never evicted; released ones are", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxRows: 3 });
    await outbox.enqueue(makeRows(3));
    const held = await outbox.oldest(WORKSPACE, { maxRows: 2, maxBytes: 1e9, hold: true });
    await outbox.enqueue([makeRow("new")]);
    assertEquals((await deadLetters(db)).map((dead) => dead.content), ["message 3"]);
    const contents = await waitingContents(outbox);
    assertEquals([contents[0], contents[1], contents[3]], ["message 1", "message 2", "new"]);

    outbox.release(held.map((row) => row.id));
    await outbox.enqueue([makeRow("newer")]);
    assertEquals((await deadLetters(db)).map((dead) => dead.content), ["message 3", "message 1"]);
  }));

Deno.test("the diff is cut first, then the content, never inside a character, and the flags count the bytes", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db, { maxContentBytes: 4_096 });
    const metadata = { tool: "Edit", status: "completed" as const, toolCallId: "t" };
    await outbox.enqueue([
      makeRow("short", { toolMetadata: { ...metadata, diff: "+é".repeat(4_000) } }),
      makeRow("😀".repeat(3_000), { toolMetadata: { ...metadata, diff: "+1" } }),
      makeRow("\u0001".repeat(2_000)),
    ]);
    const [byDiff, byContent, escaped] = await waitingMessages(outbox);

    assertEquals(byDiff!.content, "short");
    const diff = byDiff!.toolMetadata!.diff!;
    assert("+é".repeat(4_000).startsWith(diff) && diff.length > 2_000);
    assertEquals(byDiff!.flags, { truncatedBytes: 12_000 - new TextEncoder().encode(diff).length });

    assertEquals(byContent!.toolMetadata!.diff, undefined);
    assert(/^😀+$/u.test(byContent!.content), "whole characters only");
    assertEquals(byContent!.flags, { truncatedBytes: 12_000 - 4 * [...byContent!.content].length + 2 });

    assert(escaped!.content.length < 700, "six bytes of JSON each");
    for (const row of [byDiff!, byContent!, escaped!]) {
      const json = JSON.stringify(row.content) + JSON.stringify(row.toolMetadata ?? "");
      assert(new TextEncoder().encode(json).length <= 4_098);
    }
  }));

Deno.test("metadata keeps to the size that the edge takes, though the limit of the message is larger", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    const metadata = { tool: "Edit", status: "completed" as const, toolCallId: "t" };
    await outbox.enqueue([
      makeRow("edited", { toolMetadata: { ...metadata, diff: "+\n".repeat(20_000) } }),
      makeRow("read", { toolMetadata: { ...metadata, input: { text: "x".repeat(20_000) } } }),
      makeRow('"'.repeat(200_000)),
    ]);
    for (const row of await waitingMessages(outbox)) {
      assert(row.bytes <= 240 * 1024);
      assert(row.flags!.truncatedBytes! > 0);
    }
  }));

Deno.test("closing a message takes its open row away in the same transaction", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    const open = new OpenMessages(db);
    const growing = makeRow("so f");
    await open.save(growing);
    await open.save({ ...growing, content: "so far\0" });
    assertEquals((await open.list(WORKSPACE)).map((row) => row.content), ["so far\0"]);

    await outbox.enqueue([{ ...growing, content: "so far, so good" }], { closeOpen: growing.messageId });
    assertEquals(await open.list(WORKSPACE), []);
    assertEquals(await waitingContents(outbox), ["so far, so good"]);
  }));

Deno.test("whenEmpty resolves when the last row is sent or dead, at once for none, and can be given up", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    await outbox.whenEmpty(WORKSPACE);
    await outbox.enqueue(makeRows(2));
    const [first, second] = await outbox.oldest(WORKSPACE, ALL);
    const giveUp = new AbortController();
    const given = assertRejects(() => outbox.whenEmpty(WORKSPACE, giveUp.signal), Error, "enough");
    let empty = false;
    const waiting = outbox.whenEmpty(WORKSPACE).then(() => empty = true);

    await outbox.deleteSent([first!.id]);
    giveUp.abort(new Error("enough"));
    await given;
    assertEquals(empty, false);
    await outbox.deadLetter([second!.id], { status: null, reason: "test" });
    await waiting;
    assertEquals(await outbox.workspacesWithRows(), []);
  }));

Deno.test("a batch ends at its limits, and a single larger message still comes alone", () =>
  withDatabase(async (db) => {
    const outbox = makeOutbox(db);
    await outbox.enqueue([makeRow("x".repeat(5_000)), ...makeRows(9)]);
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 4, maxBytes: 1e9 })).length, 4);
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 4, maxBytes: 1_000 })).length, 1);
    const all = await waitingMessages(outbox);
    const bytes = all[0]!.bytes + all[1]!.bytes + 2;
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 10, maxBytes: bytes })).length, 2);
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 10, maxBytes: bytes - 1 })).length, 1);
  }));

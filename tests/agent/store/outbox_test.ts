import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { OpenMessages } from "../../../agent/store/open_messages.ts";
import { toWire } from "../../../agent/store/fit.ts";
import { batchMessage } from "../../../lib/wire/message.ts";
import {
  deadLetters,
  makeOutbox,
  makeRow,
  makeRows,
  OTHER_WORKSPACE,
  recordingLogger,
  waitingContents,
  withDatabase,
  withDataDir,
  WORKSPACE,
} from "./fixture.ts";

const ALL = { maxRows: 1_000, maxBytes: Number.MAX_SAFE_INTEGER };

Deno.test("T021-3 enqueue puts the message into the outbox's table, whole", () =>
  withDatabase(async (db) => {
    const row = makeRow('nul \0, quote ", 😀, line\nend', {
      toolMetadata: { tool: "Edit", target: "a\0b", status: "completed", toolCallId: "t1", input: { path: "x" } },
      flags: { retry: true },
    });
    const outbox = makeOutbox(db);
    assertEquals(await outbox.enqueue([row]), { evicted: 0 });

    const [stored, ...more] = await outbox.oldest(WORKSPACE, ALL);
    const { id: _id, bytes, attempts, ...kept } = stored!;
    assertEquals(kept, row);
    assertEquals(attempts, 0);
    assertEquals(bytes, new TextEncoder().encode(JSON.stringify(toWire(row))).length);
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

    assertEquals(await outbox.depth(), 0);
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
    const [mark, ...rest] = await outbox.oldest(WORKSPACE, ALL);
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
    const [byDiff, byContent, escaped] = await outbox.oldest(WORKSPACE, ALL);

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
      batchMessage.parse(toWire(row));
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
    for (const row of await outbox.oldest(WORKSPACE, ALL)) {
      batchMessage.parse(toWire(row));
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
    const all = await outbox.oldest(WORKSPACE, { maxRows: 10, maxBytes: 1e9 });
    const bytes = all[0]!.bytes + all[1]!.bytes + 2;
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 10, maxBytes: bytes })).length, 2);
    assertEquals((await outbox.oldest(WORKSPACE, { maxRows: 10, maxBytes: bytes - 1 })).length, 1);
  }));

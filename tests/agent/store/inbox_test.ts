import { assertEquals } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { Inbox } from "../../../agent/store/inbox.ts";
import type { CommandFrame } from "../../../lib/wire/control.ts";
import { withDatabase, withDataDir, WORKSPACE } from "./fixture.ts";

function makeStart(seq: number, commandId: string = crypto.randomUUID()): CommandFrame {
  return { type: "command", commandId, seq, kind: "workspace.start", workspaceId: WORKSPACE, run: 1 };
}

Deno.test("a stored command is pending until it was applied, also after a restart, in order", () =>
  withDataDir(async (dataDir) => {
    const frames = [makeStart(1), makeStart(2), makeStart(3)];
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      const inbox = new Inbox(db);
      assertEquals(await inbox.lastSeq(), 0);
      for (const frame of frames) assertEquals(await inbox.store(frame), true);
      await inbox.applied(2);
    }
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const inbox = new Inbox(db);
    assertEquals(await inbox.lastSeq(), 3);
    assertEquals(await inbox.pending(), [frames[0]!, frames[2]!]);
  }));

Deno.test("an old seq or a known command is not stored again", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    const frame = makeStart(5);
    assertEquals(await inbox.store(frame), true);
    assertEquals(await inbox.store(frame), false);
    assertEquals(await inbox.store(makeStart(4)), false);
    assertEquals(await inbox.store(makeStart(6, frame.commandId)), false);
    const both = await Promise.all([inbox.store(makeStart(7)), inbox.store(makeStart(7))]);
    assertEquals(both.toSorted(), [false, true]);
    assertEquals((await inbox.pending()).map((pending) => pending.seq), [5, 7]);
  }));

Deno.test("applied commands are forgotten in time, the last seq is not", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    await inbox.store(makeStart(1));
    await inbox.applied(1);
    await inbox.store(makeStart(2_000));
    await inbox.applied(2_000);
    const found = await db.client.execute("SELECT seq FROM commands");
    assertEquals(found.rows.map((row) => Number(row.seq)), [2_000]);
    assertEquals(await inbox.store(makeStart(1)), false);
  }));

Deno.test("a stored command that this version cannot read does nothing, and holds up no other", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    await inbox.store(makeStart(1));
    await inbox.store(makeStart(2));
    await db.client.execute('UPDATE commands SET frame = \'{"kind":"tea.make"}\' WHERE seq = 1');
    assertEquals((await inbox.pending()).map((frame) => [frame.seq, frame.kind]), [[1, "noop"], [
      2,
      "workspace.start",
    ]]);
  }));

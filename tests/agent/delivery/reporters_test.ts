import { assertEquals } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { Reporters } from "../../../agent/delivery/reporters.ts";
import { FakeEdge } from "../../fakes/edge_server.ts";
import { makeOutbox, makeRows, OTHER_WORKSPACE, silent, withDataDir, WORKSPACE } from "../store/fixture.ts";
import { makeClient, QUICK } from "./fixture.ts";

Deno.test("every workspace with rows has a reporter: those of before a restart and those that begin now", () =>
  withDataDir(async (dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      await makeOutbox(db).enqueue(makeRows(3));
    }
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    await using edge = new FakeEdge();
    const outbox = makeOutbox(db);
    await using reporters = new Reporters({
      outbox,
      edge: await makeClient(dataDir, edge),
      config: QUICK,
      log: silent,
    });
    await reporters.look();
    await outbox.enqueue(makeRows(2, { workspaceId: OTHER_WORKSPACE }));
    await Promise.all([outbox.whenEmpty(WORKSPACE), outbox.whenEmpty(OTHER_WORKSPACE)]);

    assertEquals(edge.contents(WORKSPACE), ["message 1", "message 2", "message 3"]);
    assertEquals(edge.contents(OTHER_WORKSPACE), ["message 1", "message 2"]);
    for (const request of edge.seen("/messages")) {
      assertEquals((request.body as { messages: unknown[] }).messages.length <= 3, true);
    }
  }));

Deno.test("a workspace has one reporter, and one without a session its own that does nothing", () =>
  withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    await using edge = new FakeEdge();
    const outbox = makeOutbox(db);
    await using reporters = new Reporters({
      outbox,
      edge: await makeClient(dataDir, edge),
      config: QUICK,
      log: silent,
    });
    assertEquals(reporters.for(WORKSPACE, "s") === reporters.for(WORKSPACE, "s"), true);
    const none = reporters.for(OTHER_WORKSPACE, null);
    await none.enqueue(makeRows(1, { workspaceId: OTHER_WORKSPACE }));
    assertEquals([none.enabled, await outbox.depth()], [false, 0]);
  }));

Deno.test("a slow or refused workspace does not hold up another", () =>
  withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    await using edge = new FakeEdge();
    const outbox = makeOutbox(db);
    const held = Promise.withResolvers<undefined>();
    edge.script = ({ path }) => path.includes(WORKSPACE) ? held.promise : undefined;
    await using reporters = new Reporters({
      outbox,
      edge: await makeClient(dataDir, edge),
      config: QUICK,
      log: silent,
    });
    await reporters.look();
    await outbox.enqueue([...makeRows(2), ...makeRows(2, { workspaceId: OTHER_WORKSPACE })]);
    await outbox.whenEmpty(OTHER_WORKSPACE);
    assertEquals(await outbox.depth(WORKSPACE), 2);
    held.resolve(undefined);
    await outbox.whenEmpty(WORKSPACE);
  }));

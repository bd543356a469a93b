import { assert, assertEquals } from "@std/assert";
import { Heartbeat, type HeartbeatOptions, type WorkspaceState } from "../../../agent/node/heartbeat.ts";
import { heartbeat } from "../../../lib/wire/node.ts";
import { problemOf } from "../../fakes/edge_server.ts";
import { makeOutbox, makeRows, OTHER_WORKSPACE, silent, WORKSPACE } from "../store/fixture.ts";
import { type NodeBench, withNode } from "./fixture.ts";

/** Workspaces that only remember what they were told. */
class Told {
  states: WorkspaceState[] = [];
  readonly retained: string[][] = [];
  snapshot = () => this.states;
  stopped = 0;
  retain = (wanted: string[]) => void this.retained.push(wanted);
  stopAll = () => void this.stopped++;
}

function makeHeartbeat(bench: NodeBench, workspaces: Told, change: Partial<HeartbeatOptions> = {}): Heartbeat {
  const beats = new Heartbeat({
    config: { nodeId: bench.config.nodeId, nodeHardLifetimeMs: 600_000 },
    intervalMs: 600_000,
    edge: bench.client,
    outbox: makeOutbox(bench.db),
    heldLines: () => 0,
    inbox: bench.inbox,
    workspaces,
    onBehind: () => {},
    onFuse: () => {},
    log: silent,
    ...change,
  });
  beats.start();
  return beats;
}

Deno.test("a heartbeat tells the workspaces, what waits and what was refused", () =>
  withNode(async (bench) => {
    const outbox = makeOutbox(bench.db);
    await outbox.enqueue(makeRows(3));
    const [first] = await outbox.oldest(WORKSPACE, { maxRows: 1, maxBytes: 1e6 });
    await outbox.deadLetter([first!.id], { status: 400, reason: "invalid_request" });
    const told = new Told();
    told.states = [{ id: WORKSPACE, status: "running", turn: "running" }];
    const answered = Promise.withResolvers<void>();
    await using _beats = makeHeartbeat(bench, told, {
      outbox,
      heldLines: () => 3,
      onAnswer: () => answered.resolve(),
    });
    await answered.promise;
    const body = heartbeat.parse(bench.edge.seen("/heartbeat")[0]!.body);
    assertEquals(body.workspaces, [{ id: WORKSPACE, status: "running", turn: "running", pendingRows: 2 }]);
    assertEquals([body.outboxDepth, body.deadLetters, body.dropped, body.heldLines], [2, 1, 0, 3]);
    assert(Math.abs(Date.parse(body.clock) - Date.now()) < 600_000);
  }));

Deno.test("workspaces that the edge does not want end, but not those that are younger than the heartbeat", () =>
  withNode(async (bench) => {
    const told = new Told();
    told.states = [{ id: WORKSPACE, status: "running", turn: "idle" }];
    const young = "0197f000-0000-7000-8000-0000000000cc";
    bench.edge.wanted = [OTHER_WORKSPACE];
    bench.edge.script = ({ path }) => {
      if (path.endsWith("/heartbeat")) told.states = [...told.states, { id: young, status: "creating", turn: "idle" }];
      return undefined;
    };
    const answered = Promise.withResolvers<void>();
    await using _beats = makeHeartbeat(bench, told, { onAnswer: () => answered.resolve() });
    await answered.promise;
    assertEquals(told.retained, [[OTHER_WORKSPACE, young]]);
  }));

Deno.test("commands that did not come are fetched, new tokens are taken, and a fenced node is told so", () =>
  withNode(async (bench) => {
    bench.edge.fenced = true;
    bench.edge.command({ kind: "node.drain", commandId: crypto.randomUUID() });
    const token = bench.edge.giveToken();
    bench.edge.script = ({ path }) =>
      path.endsWith("/heartbeat")
        ? Response.json({ commandSeq: 1, wanted: [], fenced: true, workspaceTokens: { [WORKSPACE]: token } })
        : undefined;
    const behind = Promise.withResolvers<number>();
    const answered = Promise.withResolvers<{ fenced: boolean; idle: boolean }>();
    const onAnswer = (answer: { fenced: boolean; idle: boolean }) => answered.resolve(answer);
    const told = new Told();
    await using _beats = makeHeartbeat(bench, told, { onBehind: behind.resolve, onAnswer });
    assertEquals(await behind.promise, 1);
    assertEquals(await answered.promise, { fenced: true, idle: true });
    assertEquals([told.stopped, told.retained], [1, []], "all of it ends, whatever its age");
    await bench.client.request({ method: "GET", path: "/api/x", as: WORKSPACE });
    assertEquals(bench.edge.seen("/x")[0]!.token, token);
  }));

Deno.test("poke sends the next heartbeat now, and an answer that is none changes nothing", () =>
  withNode(async (bench) => {
    const told = new Told();
    bench.edge.script = ({ path }) => path.endsWith("/heartbeat") ? new Response("<html>") : undefined;
    const answered = Promise.withResolvers<void>();
    await using beats = makeHeartbeat(bench, told, { onAnswer: () => answered.resolve() });
    await bench.edge.until(() => bench.edge.seen("/heartbeat").length === 1);
    bench.edge.script = () => undefined;
    beats.poke();
    await answered.promise;
    assertEquals(bench.edge.seen("/heartbeat").length, 2);
    assertEquals(told.retained.length, 1);
  }));

Deno.test("a node that cannot reach its edge for its hard lifetime gives up, and not before", () =>
  withNode(async (bench) => {
    const lifetimeMs = 60;
    const fuse = Promise.withResolvers<number>();
    bench.edge.script = ({ path }) => path.endsWith("/heartbeat") ? problemOf(503, "store_busy") : undefined;
    const startedAt = performance.now();
    await using _beats = makeHeartbeat(bench, new Told(), {
      config: { nodeId: bench.config.nodeId, nodeHardLifetimeMs: lifetimeMs },
      intervalMs: 10,
      onFuse: () => fuse.resolve(performance.now()),
    });
    assert(await fuse.promise - startedAt >= lifetimeMs);
    assert(bench.edge.seen("/heartbeat").length > 1);
  }));

Deno.test("a beat that fails does not end the heartbeats", () =>
  withNode(async (bench) => {
    const told = new Told();
    let failures = 1;
    told.snapshot = () => {
      if (failures-- > 0) throw new Error("disk");
      return [];
    };
    const answered = Promise.withResolvers<void>();
    await using _beats = makeHeartbeat(bench, told, { intervalMs: 5, onAnswer: () => answered.resolve() });
    await answered.promise;
  }));

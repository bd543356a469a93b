import { assert, assertEquals } from "@std/assert";
import { ControlLink, type ControlLinkOptions } from "../../../agent/node/link.ts";
import { Inbox } from "../../../agent/store/inbox.ts";
import { createLogger } from "../../../lib/log.ts";
import type { ToEdgeFrame } from "../../../lib/wire/control.ts";
import { type FakeEdge, problemOf } from "../../fakes/edge_server.ts";
import { recordingLogger, silent, WORKSPACE } from "../store/fixture.ts";
import { type NodeBench, withNode } from "./fixture.ts";

function makeLink(bench: NodeBench, change: Partial<ControlLinkOptions> = {}): ControlLink {
  const link = new ControlLink({
    config: bench.config,
    edge: bench.client,
    inbox: bench.inbox,
    instanceId: bench.db.instanceId,
    onCommand: () => {},
    onRefresh: () => {},
    onFenced: () => {},
    log: silent,
    ...change,
  });
  link.start();
  return link;
}

const start = () => ({
  kind: "workspace.start" as const,
  commandId: crypto.randomUUID(),
  workspaceId: WORKSPACE,
  run: 1,
});
const framesOf = (edge: FakeEdge, type: ToEdgeFrame["type"]) => edge.frames.filter((frame) => frame.type === type);
const isOpen = (socket: WebSocket | undefined) => socket?.readyState === WebSocket.OPEN;

Deno.test("the link opens with the node's token in its header and a hello that says what is stored", () =>
  withNode(async (bench) => {
    await using _link = makeLink(bench);
    await bench.edge.until(() => bench.edge.frames.length > 0);
    assertEquals(bench.edge.frames[0], {
      type: "hello",
      protocol: 1,
      agentVersion: "0.1.0",
      instanceId: bench.db.instanceId,
      lastSeq: 0,
    });
    const dialled = bench.edge.seen("/control")[0]!;
    assert(dialled.token !== null && !dialled.path.includes(dialled.token));
  }));

Deno.test("a node that is given up learns of it at once, by its open link and by the next dial", () =>
  withNode(async (bench) => {
    let given = Promise.withResolvers<void>();
    await using _link = makeLink(bench, { onFenced: () => given.resolve() });
    await bench.edge.until(() => framesOf(bench.edge, "hello").length > 0);
    bench.edge.sockets[0]!.close(4410, "This node was given up.");
    await given.promise;
    given = Promise.withResolvers();
    await bench.edge.until(() => isOpen(bench.edge.sockets[1]));
    bench.edge.script = ({ path }) => path.endsWith("/control") ? problemOf(410, "node_fenced") : undefined;
    bench.edge.sockets[1]!.close();
    await given.promise;
  }));

Deno.test("a command is stored before it is acknowledged, and applied only afterwards", () =>
  withNode(async (bench) => {
    const order: string[] = [];
    class WatchedInbox extends Inbox {
      override async store(frame: Parameters<Inbox["store"]>[0]): Promise<boolean> {
        order.push(`acknowledged ${bench.edge.acked} when storing`);
        const fresh = await super.store(frame);
        order.push(`stored ${(await this.pending()).length}`);
        return fresh;
      }
    }
    const applied = Promise.withResolvers<void>();
    const onCommand = () => {
      order.push("applying");
      applied.resolve();
    };
    await using _link = makeLink(bench, { inbox: new WatchedInbox(bench.db), onCommand });
    const command = bench.edge.command(start());
    await bench.edge.until(() => bench.edge.acked === command.seq);
    await applied.promise;
    assertEquals(order, ["acknowledged 0 when storing", "stored 1", "applying"]);
    assertEquals(await bench.inbox.pending(), [command]);
  }));

Deno.test("a command that is repeated, or old, is acknowledged and ignored", () =>
  withNode(async (bench) => {
    let applied = 0;
    await using _link = makeLink(bench, { onCommand: () => applied++ });
    const first = bench.edge.command(start());
    const second = bench.edge.command(start());
    await bench.edge.until(() => framesOf(bench.edge, "ack").length === 2);
    bench.edge.send(first);
    bench.edge.send(second);
    await bench.edge.until(() => framesOf(bench.edge, "ack").length === 4);
    assertEquals(framesOf(bench.edge, "ack").map((frame) => "seq" in frame && frame.seq), [1, 2, 1, 2]);
    assertEquals(applied, 2);
    assertEquals((await bench.inbox.pending()).length, 2);
  }));

Deno.test("after a broken connection the link comes back and gets what it missed, once", () =>
  withNode(async (bench) => {
    await using _link = makeLink(bench);
    bench.edge.command(start());
    await bench.edge.until(() => bench.edge.acked === 1);
    bench.edge.sockets[0]!.close();
    await bench.edge.until(() => !isOpen(bench.edge.sockets[0]));
    bench.edge.command(start());
    bench.edge.command(start());
    await bench.edge.until(() => bench.edge.acked === 3);
    const hellos = framesOf(bench.edge, "hello");
    assertEquals(hellos.map((frame) => "lastSeq" in frame && frame.lastSeq), [0, 1]);
    assertEquals(await bench.inbox.pending(), bench.edge.commands);
  }));

Deno.test("a command that could not be stored is not acknowledged, and comes again", () =>
  withNode(async (bench) => {
    let failures = 2;
    class FailingInbox extends Inbox {
      override store(frame: Parameters<Inbox["store"]>[0]): Promise<boolean> {
        return failures-- > 0 ? Promise.reject(new Error("disk")) : super.store(frame);
      }
    }
    await using _link = makeLink(bench, { inbox: new FailingInbox(bench.db) });
    bench.edge.command(start());
    await bench.edge.until(() => bench.edge.acked === 1);
    assertEquals(framesOf(bench.edge, "hello").length, 3);
    assertEquals(framesOf(bench.edge, "ack").length, 1);
    assertEquals((await bench.inbox.pending()).length, 1);
  }));

Deno.test("a token that has expired is renewed and the link dialled again", () =>
  withNode(async (bench) => {
    await bench.client.renew([]);
    bench.edge.expireTokens();
    await using _link = makeLink(bench);
    await bench.edge.until(() => bench.edge.frames.length > 0);
    assertEquals(bench.edge.seen("/control").length, 2);
    assertEquals(bench.edge.seen("/token").length, 2);
  }));

Deno.test("a command of a kind that only a newer edge knows is acknowledged and does nothing", () =>
  withNode(async (bench) => {
    await using _link = makeLink(bench);
    await bench.edge.until(() => bench.edge.frames.length > 0);
    const socket = bench.edge.sockets[0]!;
    socket.send("not JSON");
    socket.send(JSON.stringify({ type: "surprise" }));
    socket.send(JSON.stringify({ type: "command", commandId: crypto.randomUUID(), seq: 1, kind: "tea.make", cups: 2 }));
    await bench.edge.until(() => bench.edge.acked === 1);
    assertEquals((await bench.inbox.pending()).map((frame) => frame.kind), ["noop"]);
  }));

Deno.test("live text goes over an open link, is dropped without one, and never in a frame over the limit", () =>
  withNode(async (bench) => {
    await using link = makeLink(bench);
    const frame = { workspaceId: WORKSPACE, messageId: crypto.randomUUID(), role: "assistant" as const, rev: 1, at: 0 };
    assertEquals(link.sendLive({ ...frame, text: "too early" }), false);
    await bench.edge.until(() => framesOf(bench.edge, "hello").length === 1);
    // The edge's own hello is on its way; an acknowledged command shows that it has arrived.
    bench.edge.command(start());
    await bench.edge.until(() => bench.edge.acked === 1);
    assertEquals(link.connected, true);
    assertEquals(link.sendLive({ ...frame, text: "é".repeat(40_000) }), false);
    assertEquals(link.sendLive({ ...frame, text: "hello" }), true);
    await bench.edge.until(() => framesOf(bench.edge, "live").length === 1);
    assertEquals(framesOf(bench.edge, "live"), [{ type: "live", ...frame, text: "hello" }]);
  }));

Deno.test("a refresh is handed on, and an edge that is too new is told to a person", () =>
  withNode(async (bench) => {
    const { log, lines } = recordingLogger();
    const refreshed = Promise.withResolvers<string>();
    await using _link = makeLink(bench, { onRefresh: refreshed.resolve, log });
    await bench.edge.until(() => bench.edge.frames.length > 0);
    bench.edge.send({ type: "upgrade_required", message: "Install agent 2." });
    bench.edge.send({ type: "refresh", workspaceId: WORKSPACE });
    assertEquals(await refreshed.promise, WORKSPACE);
    assert(lines.some((line) => line.includes('"level":"critical"') && line.includes("Install agent 2.")));
  }));

Deno.test("a node that is behind dials at once out of a wait, and anew over a link that does not bring the commands", () =>
  withNode(async (bench) => {
    bench.edge.script = ({ path }) => path.endsWith("/control") ? new Response(null, { status: 426 }) : undefined;
    const failed = Promise.withResolvers<void>();
    await using link = makeLink(bench, { log: createLogger("warn", () => failed.resolve()) });
    // 426 makes the link wait for minutes.
    await failed.promise;
    bench.edge.script = () => undefined;
    link.catchUp(1);
    await bench.edge.until(() => framesOf(bench.edge, "hello").length === 1);
    while (!link.connected) await new Promise((resolve) => setTimeout(resolve));
    link.catchUp(1);
    await bench.edge.until(() => framesOf(bench.edge, "hello").length === 2);
  }));

Deno.test("a node that is behind leaves a link alone that is being opened or that brings the commands", () =>
  withNode(async (bench) => {
    await using link = makeLink(bench);
    link.catchUp(1);
    await bench.edge.until(() => framesOf(bench.edge, "hello").length === 1);
    bench.edge.command({ kind: "node.drain", commandId: crypto.randomUUID() });
    link.catchUp(1);
    await bench.edge.until(() => bench.edge.acked === 1);
    // Longer than the link is given to bring what is missing.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assertEquals(framesOf(bench.edge, "hello").length, 1);
  }));

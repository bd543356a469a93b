import { assert, assertEquals } from "@std/assert";
import { HandOver } from "../../../agent/delivery/hand_over.ts";
import { DeadLetters } from "../../../agent/store/dead_letters.ts";
import { deadLetterBatch } from "../../../lib/wire/dead_letter.ts";
import { type FakeEdge, NODE, type SeenRequest } from "../../fakes/edge_server.ts";
import { makeRow, makeRows, silent } from "../store/fixture.ts";
import { type Line, QUICK, withLine } from "./fixture.ts";

const ANSWERS = { persisted: 0, duplicates: 0 };

/** Answers as an edge that takes everything over, after what `before` answers. */
function takeOver(edge: FakeEdge, before: (request: SeenRequest) => Response | undefined = () => undefined): string[] {
  const taken: string[] = [];
  edge.script = (request) => {
    if (!request.path.endsWith("/dead-letters")) return undefined;
    const refused = before(request);
    if (refused) return refused;
    const { deadLetters } = deadLetterBatch.parse(request.body);
    const fresh = deadLetters.filter(({ content }) => !taken.includes(content));
    taken.push(...fresh.map(({ content }) => content));
    const duplicates = deadLetters.length - fresh.length;
    return Response.json({ ...ANSWERS, persisted: fresh.length, duplicates });
  };
  return taken;
}

async function bury(line: Line, contents: string[]): Promise<void> {
  await line.outbox.enqueue(contents.map((content) => makeRow(content)));
  await line.outbox.deadLetterAll(makeRow("").workspaceId, { status: 400, reason: "invalid_request" });
}

function handOverOf(line: Line, done: () => void): HandOver {
  const config = { ...QUICK, nodeId: NODE };
  return new HandOver({
    config,
    deadLetters: new DeadLetters(line.db),
    edge: line.client,
    onProgress: done,
    log: silent,
  });
}

Deno.test("dead letters are handed over in order, whole, over faults and lost answers, and are counted no more", () =>
  withLine(async (line) => {
    const faults = [new Response(null, { status: 503 }), new Response("<html>", { status: 200 })];
    const taken = takeOver(line.edge, () => faults.shift());
    await bury(line, ["one", "x".repeat(180_000), "three"]);
    assertEquals((await line.outbox.counts()).deadLetters, 3);
    const done = Promise.withResolvers<void>();
    await using handOver = handOverOf(line, done.resolve);
    assertEquals(await handOver.isDone(), false);
    handOver.start();
    await done.promise;
    assertEquals(taken, ["one", "x".repeat(180_000), "three"]);
    assertEquals((await line.outbox.counts()).deadLetters, 0);
    const [first] = deadLetterBatch.parse(line.edge.seen("/dead-letters").at(-1)!.body).deadLetters;
    assertEquals([first!.status, first!.reason, first!.role], [400, "invalid_request", "assistant"]);
  }));

Deno.test("a dead letter that the edge refuses holds up no other, and stays", () =>
  withLine(async (line) => {
    const taken = takeOver(line.edge, ({ body }) => {
      const { deadLetters } = deadLetterBatch.parse(body);
      const isBad = deadLetters.some(({ content }) => content === "bad");
      return isBad ? new Response(null, { status: 400 }) : undefined;
    });
    await bury(line, ["a", "b", "bad", "c", "d"]);
    const done = Promise.withResolvers<void>();
    await using handOver = handOverOf(line, done.resolve);
    handOver.start();
    await done.promise;
    assertEquals(taken, ["a", "b", "c", "d"]);
    assertEquals((await line.outbox.counts()).deadLetters, 1);
    assert(await handOver.isDone(), "nothing is left that the edge would take");
  }));

Deno.test("many dead letters travel in several requests, none above the edge's limits", () =>
  withLine(async (line) => {
    const taken = takeOver(line.edge);
    await line.outbox.enqueue(makeRows(250));
    await line.outbox.deadLetterAll(makeRow("").workspaceId, { status: null, reason: "overflow" });
    const done = Promise.withResolvers<void>();
    await using handOver = handOverOf(line, done.resolve);
    handOver.start();
    await done.promise;
    assertEquals(taken, makeRows(250).map((row) => row.content));
    assertEquals(line.edge.seen("/dead-letters").length, 3);
    assertEquals((await line.outbox.counts()).dropped, 250, "what overflowed is counted for good");
  }));

import { assert, assertEquals } from "@std/assert";
import { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import { Reporter } from "../../../agent/delivery/reporter.ts";
import { FakeEdge, NODE, problemOf } from "../../fakes/edge_server.ts";
import { createLogger } from "../../../lib/log.ts";
import {
  deadLetters,
  makeRow,
  makeRows,
  recordingLogger,
  SESSION,
  silent,
  waitingContents,
  WORKSPACE,
} from "../store/fixture.ts";
import { batches, QUICK, withLine } from "./fixture.ts";

/** What stands in a conversation in place of a message that the edge refused. */
const MARK =
  "A message is missing here: it could not be stored (invalid_request, 400). It is kept on the node as a dead letter.";

/** What `Math.random()` answers until it is disposed of. */
function setRandom(value: number): Disposable {
  const real = Math.random;
  Math.random = () => value;
  return { [Symbol.dispose]: () => void (Math.random = real) };
}

/** Answers the first `times` posts of messages with what `make` gives. */
function failFirst(times: number, make: () => Response): (request: { path: string }) => Response | undefined {
  let left = times;
  return ({ path }) => path.endsWith("/messages") && left-- > 0 ? make() : undefined;
}

Deno.test("T021-4 the oldest rows travel first, in the order in which they were made", () =>
  withLine(async ({ outbox, edge, start }) => {
    await outbox.enqueue(makeRows(7));
    start({ msgBatchMaxSize: 3 });
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(batches(edge).map((batch) => batch.length), [3, 3, 1]);
    assertEquals(edge.contents(WORKSPACE), makeRows(7).map((row) => row.content));
  }));

Deno.test("T021-5 an answer that accounts for the batch deletes exactly the rows sent", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    await outbox.enqueue(makeRows(2));
    const late = makeRow("came while the first were under way");
    const hanging = Promise.withResolvers<undefined>();
    edge.script = async ({ path }) => {
      if (!path.endsWith("/messages") || batches(edge).length > 1) return undefined;
      await outbox.enqueue([late]);
      edge.script = () => hanging.promise;
      return Response.json({ persisted: 1, duplicates: 1, lastSeq: 2 });
    };
    await using stack = new AsyncDisposableStack();
    stack.defer(() => hanging.resolve(undefined));
    start();
    await edge.until(() => batches(edge).length === 2);
    assertEquals(batches(edge), [["message 1", "message 2"], [late.content]]);
    assertEquals(await waitingContents(outbox), [late.content]);
    const onDisk = await db.client.execute("SELECT message_id FROM message_outbox");
    assertEquals(onDisk.rows.map((row) => row.message_id), [late.messageId]);
  }));

Deno.test("T021-6 a 500 is tried again with growing waits, and nothing is lost or doubled", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    edge.script = failFirst(4, () => problemOf(500, "internal_error"));
    await outbox.enqueue(makeRows(2));
    // Each wait as long as it may be.
    using _longest = setRandom(0.999);
    start({ msgRetryInitialIntervalMs: 16, msgRetryMaxIntervalMs: 1_000 });
    await outbox.whenEmpty(WORKSPACE);

    assertEquals(edge.contents(WORKSPACE), ["message 1", "message 2"]);
    assertEquals(await deadLetters(db), []);
    const at = edge.seen("/messages").map((request) => request.at);
    const waits = at.slice(1).map((time, n) => time - at[n]!);
    assertEquals(waits.length, 4);
    for (const [n, ms] of waits.entries()) assert(ms >= 16 * 2 ** (n + 1) - 4, `wait ${n} was ${ms} ms`);
  }));

for (const status of [400, 401, 403]) {
  Deno.test(`T021-7 rows that the edge refuses with ${status} become dead letters with a warning`, () => {
    const { log, lines } = recordingLogger();
    return withLine(async ({ outbox, edge, start, db }) => {
      edge.script = ({ path }) => path.endsWith("/messages") ? problemOf(status, "forbidden") : undefined;
      await outbox.enqueue([makeRow("poison one"), makeRow("poison two")]);
      start();
      await outbox.whenEmpty(WORKSPACE);

      assertEquals(await deadLetters(db), [
        { content: "poison one", reason: "forbidden", status },
        { content: "poison two", reason: "forbidden", status },
      ]);
      assertEquals((await outbox.counts()).deadLetters, 2);
      assert(lines.some((line) => line.includes('"level":"warn"') && line.includes("messages_refused")));
      assert(!lines.join().includes("poison"), "contents are not logged");
      if (status === 401) assertEquals(edge.seen("/token").length >= 2, true, "a new token was asked for first");
    }, { log });
  });
}

Deno.test("T021-8 a 429 is tried again, and Retry-After wins over our own wait", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    edge.script = failFirst(1, () => new Response(null, { status: 429, headers: { "retry-after": "0" } }));
    await outbox.enqueue(makeRows(1));
    start({ msgRetryInitialIntervalMs: 600_000, msgRetryMaxIntervalMs: 600_000 });
    await outbox.whenEmpty(WORKSPACE, AbortSignal.timeout(60_000));
    assertEquals(edge.contents(WORKSPACE), ["message 1"]);
    assertEquals(await deadLetters(db), []);
  }));

Deno.test("T021-10 shutdown delivers what waits before it returns", () =>
  withLine(async ({ outbox, edge, start }) => {
    const reporter = start({ msgBatchMaxSize: 2, msgBatchMaxWaitMs: 60_000 });
    await outbox.enqueue(makeRows(1));
    await edge.until(() => batches(edge).length === 1);
    await outbox.enqueue(makeRows(5));
    await reporter.shutdown(10_000);
    assertEquals(edge.contents(WORKSPACE).length, 6);
    assertEquals(await outbox.depth(), 0);
  }));

Deno.test("T021-10 shutdown ends at its deadline, and what was not delivered is still there", () =>
  withLine(async ({ outbox, edge, start }) => {
    const posted = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    edge.script = ({ path }) => {
      if (!path.endsWith("/messages")) return undefined;
      posted.resolve();
      return answer.promise;
    };
    await outbox.enqueue(makeRows(3));
    const reporter = start();
    await posted.promise;
    await reporter.shutdown(30);
    answer.resolve(Response.json({}));
    assertEquals(await waitingContents(outbox), ["message 1", "message 2", "message 3"]);
  }));

Deno.test("T021-11 a workspace without a session has a reporter that does nothing", () =>
  withLine(async ({ outbox, edge, client }) => {
    await using reporter = new Reporter({
      workspaceId: WORKSPACE,
      sessionId: null,
      outbox,
      edge: client,
      config: QUICK,
      log: silent,
    });
    assertEquals(await reporter.enqueue(makeRows(2)), { evicted: 0 });
    reporter.setToken("token");
    reporter.poke();
    await reporter.shutdown(1_000);
    assertEquals(await outbox.depth(), 0);
    assertEquals(edge.requests, []);
  }));

Deno.test("T021-12 a token that is set is the one that the next request carries", () =>
  withLine(async ({ outbox, edge, start }) => {
    const reporter = start();
    const [first, second] = [edge.giveToken(), edge.giveToken()];
    for (const token of [first, second]) {
      reporter.setToken(token);
      await outbox.enqueue(makeRows(1));
      await outbox.whenEmpty(WORKSPACE);
    }
    assertEquals(edge.seen("/messages").map((request) => request.token), [first, second]);
    assertEquals(edge.seen("/token"), []);
  }));

Deno.test("T021-13 no batch has more rows than MSG_BATCH_MAX_SIZE", () =>
  withLine(async ({ outbox, edge, start }) => {
    await outbox.enqueue(makeRows(23));
    start({ msgBatchMaxSize: 10 });
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(batches(edge).map((batch) => batch.length), [10, 10, 3]);
  }));

Deno.test("T021-14 no batch is larger than MSG_BATCH_MAX_BYTES, but a single larger message travels alone", () =>
  withLine(async ({ outbox, edge, start }) => {
    const rows = [
      ...Array.from({ length: 12 }, () => makeRow('"'.repeat(1_000))),
      makeRow("x".repeat(20_000)),
      makeRow("y"),
    ];
    await outbox.enqueue(rows);
    start({ msgBatchMaxBytes: 8_192 });
    await outbox.whenEmpty(WORKSPACE);

    const posts = edge.seen("/messages").map((request) => JSON.stringify(request.body).length);
    for (const [at, batch] of batches(edge).entries()) assert(posts[at]! <= 8_192 || batch.length === 1);
    assert(posts.some((bytes) => bytes > 20_000), "the large one was sent whole");
    assert(posts.length <= 7, "batches are filled");
    assertEquals(edge.contents(WORKSPACE), rows.map((row) => row.content));
  }));

Deno.test("T021-16 an answer that does not come in time is tried again, and nothing is stored twice", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    const late = Promise.withResolvers<Response>();
    let first = true;
    edge.script = ({ path }) => {
      if (!path.endsWith("/messages") || !first) return undefined;
      first = false;
      return late.promise;
    };
    await outbox.enqueue(makeRows(2));
    start();
    await outbox.whenEmpty(WORKSPACE);
    late.resolve(Response.json({}));
    assertEquals(edge.contents(WORKSPACE), ["message 1", "message 2"]);
    assert(batches(edge).length >= 2);
    assertEquals(await deadLetters(db), []);
  }, { config: { msgHttpTimeoutMs: 100 } }));

Deno.test("an answer that was lost after the edge had stored the batch doubles nothing", () =>
  withLine(async ({ outbox, edge, start }) => {
    const rows = makeRows(3);
    edge.loseAnswer = true;
    await outbox.enqueue(rows);
    start();
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), rows.map((row) => row.content));
    assertEquals(batches(edge).length, 2);
  }));

for (
  const [name, make] of [
    ["a proxy's page", () => new Response("<html>sign in</html>")],
    ["a count that does not fit", () => Response.json({ persisted: 1, duplicates: 0, lastSeq: 1 })],
    ["a redirect", () => new Response(null, { status: 307, headers: { location: "/api/elsewhere" } })],
    ["another 2xx", () => Response.json({ persisted: 2, duplicates: 0, lastSeq: 2 }, { status: 202 })],
  ] as const
) {
  Deno.test(`${name} is no acknowledgement: the rows stay and are sent again`, () =>
    withLine(async ({ outbox, edge, start }) => {
      edge.script = failFirst(1, make);
      await outbox.enqueue(makeRows(2));
      start();
      await outbox.whenEmpty(WORKSPACE);
      assertEquals(edge.contents(WORKSPACE), ["message 1", "message 2"]);
      assertEquals(edge.seen("/elsewhere"), []);
    }));
}

Deno.test("a bad row that the edge names is the only one that is lost", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    edge.script = ({ body, path }) => {
      if (!path.endsWith("/messages")) return undefined;
      const index = (body as { messages: { content: string }[] }).messages.findIndex(({ content }) =>
        content === "bad"
      );
      return index === -1 ? undefined : problemOf(400, "invalid_request", { index });
    };
    await outbox.enqueue([makeRow("a"), makeRow("bad"), makeRow("b"), makeRow("c")]);
    start();
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), ["a", MARK, "b", "c"]);
    assertEquals(edge.stored.get(WORKSPACE)![1]!.role, "system");
    assertEquals((await deadLetters(db)).map((dead) => dead.content), ["bad"]);
    assertEquals(batches(edge).length, 2);
  }));

Deno.test("a bad row that the edge does not name is found by sending one at a time", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    edge.script = ({ path }) =>
      path.endsWith("/messages") && batches(edge).at(-1)!.includes("bad")
        ? problemOf(400, "invalid_request")
        : undefined;
    await outbox.enqueue([makeRow("a"), makeRow("bad"), makeRow("b")]);
    start();
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), ["a", MARK, "b"]);
    assertEquals((await deadLetters(db)).map((dead) => dead.content), ["bad"]);
    // Not one at a time for ever after.
    await outbox.enqueue(makeRows(3));
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(batches(edge).at(-1), ["message 1", "message 2", "message 3"]);
  }));

Deno.test("413 halves the batch, then the message, down to a dead letter below 1 KB", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    const limit = { bytes: 9_000 };
    edge.script = ({ body, path }) =>
      path.endsWith("/messages") && JSON.stringify(body).length > limit.bytes
        ? problemOf(413, "payload_too_large")
        : undefined;
    const small = Array.from({ length: 8 }, (_, n) => makeRow(`${n}`.repeat(2_000)));
    await outbox.enqueue([...small, makeRow("é".repeat(10_000))]);
    start();
    await outbox.whenEmpty(WORKSPACE);
    const stored = edge.stored.get(WORKSPACE)!;
    assertEquals(stored.slice(0, 8).map((message) => message.content), small.map((row) => row.content));
    assert(/^é+$/.test(stored[8]!.content) && stored[8]!.content.length > 2_000);
    assertEquals(stored[8]!.flags!.truncatedBytes, 20_000 - 2 * stored[8]!.content.length);

    const toolMetadata = { tool: "Write", status: "completed" as const, toolCallId: "1", diff: "+x\n".repeat(4_000) };
    await outbox.enqueue([makeRow("written", { role: "tool", toolMetadata })]);
    await outbox.whenEmpty(WORKSPACE);
    const written = edge.stored.get(WORKSPACE)![9]!;
    assertEquals(written.content, "written", "the diff is cut first");
    assertEquals(written.flags!.truncatedBytes, 12_000 - written.toolMetadata!.diff!.length);

    limit.bytes = 10;
    await outbox.enqueue([makeRow("too large for any edge")]);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals((await deadLetters(db)).map((dead) => dead.status), [413]);
  }));

Deno.test("a workspace that the edge refuses holds its line, and loses nothing when the edge comes to its senses", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    const held: boolean[] = [];
    const refuse = failFirst(3, () => problemOf(404, "session_not_found"));
    edge.script = (request) => {
      if (request.path.endsWith("/messages")) held.push(reporter.isHeld);
      return refuse(request);
    };
    await outbox.enqueue(makeRows(3));
    const reporter = start({ msgRefusedHoldMs: 600_000 });
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(held, [false, true, true, true], "so that the heartbeat can tell it");
    assertEquals(reporter.isHeld, false);
    assertEquals(edge.contents(WORKSPACE).length, 3);
    assertEquals(await deadLetters(db), []);
    assertEquals(batches(edge).length, 4);
  }));

Deno.test("after the hold time all rows of the refused workspace are dead letters, without a request for each", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    edge.script = ({ path }) => path.endsWith("/messages") ? problemOf(410, "node_fenced") : undefined;
    await outbox.enqueue(makeRows(20));
    start({ msgBatchMaxSize: 2 });
    await outbox.whenEmpty(WORKSPACE);
    assertEquals((await deadLetters(db)).length, 20);
    assertEquals(batches(edge).length, 1);
  }));

Deno.test("session_full: what still fits is delivered, the rest becomes dead letters", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    const rows = makeRows(6);
    edge.room = 4;
    // The first two are stored, but their answer was lost: they need no room any more.
    edge.loseAnswer = true;
    await outbox.enqueue(rows.slice(0, 2));
    start();
    await edge.until(() => edge.contents(WORKSPACE).length === 2);
    await outbox.enqueue(rows.slice(2));
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), ["message 1", "message 2", "message 3", "message 4"]);
    assertEquals((await deadLetters(db)).map((dead) => `${dead.reason} ${dead.content}`), [
      "session_full message 5",
      "session_full message 6",
    ]);
  }));

Deno.test("an edge that cannot be reached costs nothing: rows wait, and go when it is back", () =>
  withLine(async ({ outbox, db }) => {
    const gone = new FakeEdge();
    const { port, url } = gone;
    await gone[Symbol.asyncDispose]();
    const delayed = Promise.withResolvers<void>();
    const log = createLogger("warn", (line) => line.includes("delivery_delayed") && delayed.resolve());
    await outbox.enqueue(makeRows(2));
    await using _reporter = new Reporter({
      workspaceId: WORKSPACE,
      sessionId: SESSION,
      outbox,
      edge: new EdgeClient({
        config: { controlPlaneUrl: url, nodeId: NODE, dataDir: db.dataDir, msgHttpTimeoutMs: 1_000 },
        log: silent,
      }),
      config: QUICK,
      log,
    });
    await delayed.promise;
    await using back = new FakeEdge(port);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(back.contents(WORKSPACE), ["message 1", "message 2"]);
  }));

Deno.test("the first row goes at once, later ones are gathered", () =>
  withLine(async ({ outbox, edge, start }) => {
    start({ msgBatchMaxWaitMs: 60_000, msgBatchMaxSize: 4 });
    await outbox.enqueue([makeRow("first")]);
    await edge.until(() => edge.contents(WORKSPACE).length === 1);
    const fullFrom = performance.now();
    for (const row of makeRows(4)) await outbox.enqueue([row]);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(batches(edge), [["first"], ["message 1", "message 2", "message 3", "message 4"]]);

    await outbox.enqueue([makeRow("gathered")]);
    // A round trip, in which a reporter that does not wait would have sent it.
    await (await fetch(`${edge.url}/api/health/live`)).body?.cancel();
    await outbox.enqueue([makeRow("with this")]);
    const inTime = performance.now() - fullFrom < 250;
    await outbox.whenEmpty(WORKSPACE);
    if (inTime) assertEquals(batches(edge).slice(2), [["gathered", "with this"]]);
    assertEquals(edge.contents(WORKSPACE).slice(-2), ["gathered", "with this"]);
  }));

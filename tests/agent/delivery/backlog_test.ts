/** A backlog: the disk is written and read beside the request under way, and the order of the line holds all the same. */
import { assertEquals } from "@std/assert";
import { FakeEdge, problemOf } from "../../fakes/edge_server.ts";
import { eventually } from "../node/node_harness.ts";
import { deadLetters, makeRow, makeRows, waitingContents, WORKSPACE } from "../store/fixture.ts";
import { batches, withLine } from "./fixture.ts";

const ROWS = 40;
const BATCH = { msgBatchMaxSize: 5 };

/** Runs `before` with the number of each post of messages before it is answered, and counts those at once. */
function watchPosts(edge: FakeEdge, before: (post: number) => Promise<Response | undefined>): { most: () => number } {
  let [posts, open, most] = [0, 0, 0];
  edge.script = async ({ path }) => {
    if (!path.endsWith("/messages")) return undefined;
    most = Math.max(most, ++open);
    const answer = await before(++posts);
    open--;
    return answer;
  };
  return { most: () => most };
}

Deno.test("rows of one answer are deleted while the next request is under way, and there is one request at a time", () =>
  withLine(async ({ outbox, edge, start }) => {
    await outbox.enqueue(makeRows(ROWS));
    let isDeleted = false;
    const seen = watchPosts(edge, async (post) => {
      // The fifth batch hangs until what was acknowledged before it is gone from the disk.
      if (post === 5) isDeleted = await eventually(async () => (await waitingContents(outbox)).length === ROWS - 20);
      return undefined;
    });
    start(BATCH);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), makeRows(ROWS).map((row) => row.content));
    assertEquals(batches(edge).map((batch) => batch.length), Array(ROWS / 5).fill(5));
    assertEquals([isDeleted, seen.most()], [true, 1]);
  }));

Deno.test("a fault in a backlog stops the line there: what was read ahead waits its turn", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    await outbox.enqueue(makeRows(ROWS));
    const seen = watchPosts(edge, (post) => {
      if (post === 9) edge.loseAnswer = true;
      const faults: Record<number, Response> = {
        3: problemOf(503, "store_busy"),
        6: problemOf(413, "payload_too_large"),
      };
      return Promise.resolve(faults[post]);
    });
    start(BATCH);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), makeRows(ROWS).map((row) => row.content));
    assertEquals(batches(edge)[3], batches(edge)[2], "the refused batch is the next one, too");
    assertEquals(await deadLetters(db), []);
    assertEquals(seen.most(), 1);
  }));

Deno.test("rows read ahead may be evicted again once the request before them has failed", () =>
  withLine(async ({ outbox, edge, start }) => {
    await outbox.enqueue(makeRows(10));
    const failed = Promise.withResolvers<void>();
    watchPosts(edge, (post) => {
      if (post > 1) failed.resolve();
      return Promise.resolve(problemOf(503, "store_busy"));
    });
    start(BATCH);
    await failed.promise;
    // Of the ten the five under way stay, and the oldest of the others has to go.
    await outbox.enqueue([makeRow("new")]);
    const kept = (await waitingContents(outbox)).filter((content) => !content.includes("missing here"));
    assertEquals(kept, [...makeRows(10).map((row) => row.content).toSpliced(5, 1), "new"]);
    edge.script = () => undefined;
    await outbox.whenEmpty(WORKSPACE);
  }, { maxRows: 10 }));

Deno.test("a disk that refuses the deletion costs nothing: the rows are sent again, and the edge knows them", () =>
  withLine(async ({ outbox, edge, start, db }) => {
    await outbox.enqueue(makeRows(ROWS));
    const write = db.writeLightly.bind(db);
    let refused = 0;
    db.writeLightly = (statements) => {
      const isDeletion = JSON.stringify(statements).includes("DELETE FROM message_outbox");
      return isDeletion && refused++ < 2 ? Promise.reject(new Error("no room")) : write(statements);
    };
    start(BATCH);
    await outbox.whenEmpty(WORKSPACE);
    assertEquals(edge.contents(WORKSPACE), makeRows(ROWS).map((row) => row.content));
    assertEquals(refused > 2, true);
  }));

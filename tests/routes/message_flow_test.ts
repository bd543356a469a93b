/** A message's whole way: the agent's own outbox and reporter, the edge, its store, the API and the live socket. */
import { assertEquals } from "@std/assert";
import { EdgeClient } from "../../agent/delivery/edge_client.ts";
import { Reporter } from "../../agent/delivery/reporter.ts";
import { writeIdentity } from "../../agent/store/identity.ts";
import { QUICK } from "../agent/delivery/fixture.ts";
import { makeOutbox, makeRow, silent, withDatabase } from "../agent/store/fixture.ts";
import type { TestEdgeOptions } from "../edge.ts";
import { watchCommits } from "../fakes/faulty_kv.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";
import { SocketFollower } from "../lib/live/follower.ts";

type Enqueue = (contents: string[]) => Promise<void>;

interface Line {
  running: RunningTask;
  enqueue: Enqueue;
  /** Resolves when the outbox of the workspace is empty. */
  delivered(): Promise<void>;
  deadLetters(): Promise<number>;
}

/** An outbox and a reporter of the workspace of a running task. */
async function withLine(work: (line: Line) => Promise<void>, options: TestEdgeOptions = {}): Promise<void> {
  await withDatabase(async (db) => {
    await using running = await startRunningTask(options);
    const { agent, workspaceId, sessionId, projectId } = running;
    const { nodeSecret } = agent.registered!;
    const { nodeId } = agent;
    await writeIdentity(db.dataDir, { nodeId, nonce: "n".repeat(43), nodeSecret, heartbeatMs: 1_000, limits: null });
    const config = { controlPlaneUrl: running.test.url, nodeId, dataDir: db.dataDir, msgHttpTimeoutMs: 10_000 };
    const edge = new EdgeClient({ config, log: silent });
    const outbox = makeOutbox(db);
    await using reporter = new Reporter({ workspaceId, sessionId, outbox, edge, config: QUICK, log: silent });
    await work({
      running,
      enqueue: async (contents) => {
        const facts = { workspaceId, projectId, sessionId };
        await reporter.enqueue(contents.map((content) => makeRow(content, facts)));
      },
      delivered: () => outbox.whenEmpty(workspaceId),
      deadLetters: async () => (await outbox.counts()).deadLetters,
    });
  });
}

Deno.test("T027 what the agent enqueues is stored, read back by the API and shown on the live socket", () =>
  withLine(async ({ running, enqueue, delivered, deadLetters }) => {
    const path = `/api/projects/${running.projectId}/ws?session=${running.sessionId}`;
    await using follower = SocketFollower.on(running.test, path, running.test.admin);
    const { cursor } = await follower.first("hello");
    await using shown = SocketFollower.on(running.test, `${path}&after=${cursor}`, running.test.admin);
    const contents = Array.from({ length: 120 }, (_, i) => `${i} ${"é€🙂".repeat(i)}`);
    for (let at = 0; at < contents.length; at += 7) await enqueue(contents.slice(at, at + 7));
    await delivered();

    const stored = await running.messages();
    assertEquals(stored.map((message) => message.content), ["Do it", ...contents]);
    assertEquals(stored.map((message) => message.seq), Array.from({ length: 121 }, (_, i) => i + 1));
    await shown.first("message.new", (frame) => frame.message.seq === 121);
    assertEquals(shown.ofType("message.new").map((frame) => frame.message), stored.slice(1));
    assertEquals([await deadLetters(), (await running.readSession()).messageCount], [0, 121]);
  }));

Deno.test("answers lost and commits refused by the store: every message once and in order", () =>
  withLine(async ({ running, enqueue, delivered, deadLetters }) => {
    let [commits, lost, refused] = [0, 0, 0];
    running.test.edge.store.kv = watchCommits(running.test.edge.store.kv, async ({ keys, commit }) => {
      if (!keys.some((key) => key[0] === "msg")) return await commit();
      commits++;
      if (commits % 3 === 0) {
        refused++;
        throw new TypeError("the store is out of order");
      }
      const result = await commit();
      if (commits % 3 !== 1) return result;
      lost++;
      throw new TypeError("the answer was lost");
    });
    const contents = Array.from({ length: 60 }, (_, i) => `message ${i}`);
    for (let at = 0; at < contents.length; at += 5) {
      await enqueue(contents.slice(at, at + 5));
      await delivered();
    }
    assertEquals((await running.messages()).map((message) => message.content), ["Do it", ...contents]);
    assertEquals([await deadLetters(), lost > 3, refused > 3], [0, true, true]);
  }));

Deno.test("a session that is full takes what fits, and the rest is kept as dead letters", () =>
  withLine(async ({ running, enqueue, delivered, deadLetters }) => {
    await enqueue(Array.from({ length: 15 }, (_, i) => `message ${i}`));
    await delivered();
    const stored = (await running.messages()).map((message) => message.content);
    assertEquals([stored.length, stored.at(-1), await deadLetters()], [10, "message 8", 6]);
  }, { env: { MAX_MESSAGES_PER_SESSION: "10" } }));

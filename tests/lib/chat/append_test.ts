/** Appending a batch, through the real endpoint into the real store: T011, and what must hold under concurrency. */
import { assert, assertEquals } from "@std/assert";
import { byteLength } from "../../../lib/bytes.ts";
import { msgIdKey, msgKey, msgPartKey } from "../../../lib/store/keys.ts";
import { newMessage } from "../../fakes/agent.ts";
import { SocketFollower } from "../live/follower.ts";
import { startRunningTask } from "./fixture.ts";

Deno.test("T011-1 a batch of 5 messages is stored whole and shown to those who follow", async () => {
  await using running = await startRunningTask();
  const path = `/api/projects/${running.projectId}/ws?session=${running.sessionId}`;
  await using before = SocketFollower.on(running.test, path, running.test.admin);
  const { cursor } = await before.first("hello");
  await using follower = SocketFollower.on(running.test, `${path}&after=${cursor}`, running.test.admin);

  const answer = await running.post(running.batch("a", "b", "c", "d", "e"));
  assertEquals([answer.status, answer.body], [200, { persisted: 5, duplicates: 0, lastSeq: 6 }]);
  await follower.first("message.new", (frame) => frame.message.seq === 6);
  const shown = follower.ofType("message.new").map((
    { sessionId, message },
  ) => [sessionId, message.seq, message.content]);
  assertEquals(shown, ["a", "b", "c", "d", "e"].map((content, i) => [running.sessionId, i + 2, content]));
  assertEquals((await running.messages()).map((message) => message.content), ["Do it", "a", "b", "c", "d", "e"]);
});

Deno.test("T011-2 a messageId that is known is skipped and counted", async () => {
  await using running = await startRunningTask();
  const [message] = running.batch("once");
  await running.post([message]);
  const again = await running.post([{ ...message, content: "another text under the same id" }]);
  assertEquals([again.status, again.body], [200, { persisted: 0, duplicates: 1, lastSeq: 2 }]);
  const upper = await running.post([{ ...message, messageId: message!.messageId.toUpperCase() }]);
  assertEquals(upper.body, { persisted: 0, duplicates: 1, lastSeq: 2 });
  assertEquals((await running.messages()).map((each) => each.content), ["Do it", "once"]);
});

Deno.test("T011-3 new and known messages in one batch are counted apart", async () => {
  await using running = await startRunningTask();
  const [a, b, c] = running.batch("a", "b", "c");
  await running.post([a, b]);
  const mixed = await running.post([a, c, b, c]);
  assertEquals(mixed.body, { persisted: 1, duplicates: 3, lastSeq: 4 });
  assertEquals((await running.messages()).map((each) => each.content), ["Do it", "a", "b", "c"]);
});

Deno.test("T011-4 the session counts what was persisted and nothing else", async () => {
  await using running = await startRunningTask();
  const messages = running.batch("a", "b");
  await running.post(messages);
  await running.post(messages);
  await running.post([...messages, ...running.batch("c")]);
  const { messageCount, lastSeq } = await running.readSession();
  assertEquals([messageCount, lastSeq], [4, 4]);
});

Deno.test("T011-5 the first user message becomes the topic of a session without one", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  await running.post([newMessage(running.sessionId, "not a topic", { role: "user" })]);
  assertEquals((await running.readSession()).topic, "Do it", "a topic that is there stays");

  const opened = await test.admin.call("POST /api/workspaces", { projectId: running.projectId });
  const { sessionId, id } = opened.body;
  await running.agent.messages(id, [
    newMessage(sessionId, "hello"),
    newMessage(sessionId, `  Fix ${"ü".repeat(200)}\nand more`, { role: "user" }),
    newMessage(sessionId, "second", { role: "user" }),
  ]);
  const session = (await test.admin.call(`GET /api/projects/${running.projectId}/sessions/${sessionId}`)).body;
  assertEquals(session.topic, `Fix ${"ü".repeat(96)}`);
});

Deno.test("T011-6 a batch moves the session's updatedAt and puts it on top of the list", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  await test.admin.call(`POST /api/projects/${running.projectId}/tasks`, { description: "younger" });
  const before = await running.readSession();
  test.skewMs += 5_000;
  await running.post(running.batch("later"));
  const after = await running.readSession();
  assert(Date.parse(after.updatedAt) >= Date.parse(before.updatedAt) + 5_000);
  const list = (await test.admin.call(`GET /api/projects/${running.projectId}/sessions`)).body.items;
  assertEquals(list[0].id, running.sessionId);
  test.skewMs += 5_000;
  await running.post([]);
  assertEquals((await running.readSession()).updatedAt, after.updatedAt);
});

Deno.test("T011-7 messages for a session that is not the workspace's are an error, and none is stored", async () => {
  await using running = await startRunningTask();
  const other = await running.test.admin.call(`POST /api/projects/${running.projectId}/tasks`, { description: "x" });
  for (const sessionId of [crypto.randomUUID(), other.body.sessionId]) {
    const answer = await running.post([...running.batch("mine"), newMessage(sessionId, "not mine")]);
    assertEquals([answer.status, answer.body.error], [404, "session_not_found"]);
  }
  assertEquals((await running.messages()).length, 1);
});

Deno.test("overlapping batches from parallel callers are stored exactly once each, without holes", async () => {
  await using running = await startRunningTask();
  let expected = 1;
  for (let round = 0; round < 20; round++) {
    const messages = running.batch(...Array.from({ length: 12 }, (_, i) => `${round}.${i}`));
    const [a, b, c] = [messages.slice(0, 8), messages.slice(4, 12), messages.slice(2, 10)];
    const answers = await Promise.all([a, a, b, c].map((batch) => running.post(batch)));
    assertEquals(answers.map((answer) => answer.status), [200, 200, 200, 200]);
    const persisted = answers.reduce((sum, answer) => sum + answer.body.persisted, 0);
    const counted = answers.reduce((sum, answer) => sum + answer.body.persisted + answer.body.duplicates, 0);
    assertEquals([persisted, counted], [12, 32], `round ${round}`);
    expected += 12;
  }
  const stored = await running.messages();
  assertEquals(stored.map((message) => message.seq), Array.from({ length: expected }, (_, i) => i + 1));
  assertEquals(new Set(stored.map((message) => message.messageId)).size, expected);
  assertEquals((await running.readSession()).messageCount, expected);
});

Deno.test("a full session says how many it still takes and stores nothing of a batch that is too many", async () => {
  await using running = await startRunningTask({ env: { MAX_MESSAGES_PER_SESSION: "10" } });
  await running.post(running.batch("1", "2", "3", "4", "5", "6"));
  const messages = running.batch("7", "8", "9", "10");
  const refused = await running.post(messages);
  assertEquals([refused.status, refused.body.error, refused.body.remaining], [409, "session_full", 3]);
  assertEquals((await running.messages()).length, 7);
  const fitting = await running.post(messages.slice(0, 3));
  assertEquals(fitting.body, { persisted: 3, duplicates: 0, lastSeq: 10 });
  assertEquals((await running.post(messages.slice(0, 3))).status, 200, "known ones always fit");
  assertEquals((await running.post(messages.slice(3))).body.remaining, 0);
});

Deno.test("content over 32 KiB lies in parts and comes back whole, with a preview cut at a character", async () => {
  await using running = await startRunningTask();
  // Each "€" is three bytes of UTF-8: 4,096 is no multiple of it.
  const long = "€".repeat(86_000);
  const inline = "a".repeat(32 * 1024);
  assertEquals((await running.post(running.batch(long))).status, 200);
  assertEquals((await running.post(running.batch(inline))).status, 200);
  const [, cut, whole] = await running.messages();
  assertEquals([cut!.truncated, cut!.contentBytes], [true, byteLength(long)]);
  assertEquals(cut!.content, "€".repeat(1_365));
  assertEquals([whole!.truncated, whole!.content], [undefined, inline]);
  const read = await running.test.admin.call(`GET ${running.session}/messages/2`);
  assertEquals([read.body.content === long, read.body.truncated], [true, undefined]);
  const { kv } = running.test.edge.store;
  const parts = await Array.fromAsync(kv.list<Uint8Array>({ prefix: ["msgPart", running.sessionId, 2] }));
  assertEquals(parts.map((part) => part.value.length), [60_000, 60_000, 60_000, 60_000, 18_000]);
});

Deno.test("text of many scripts, and halves of characters, never break a message", async () => {
  await using running = await startRunningTask();
  const texts = ["日本語 🏳️‍🌈 e\u0301", "\u0000\u0001\u007f", " \n ", "🙂".repeat(9_000)];
  await running.post(running.batch(...texts));
  const raw = JSON.stringify({ messages: running.batch("HALF") }).replace("HALF", "x\\ud83d");
  assertEquals((await running.postRaw(raw)).status, 200);
  const stored = (await running.messages()).slice(1);
  assertEquals(stored.slice(0, 3).map((message) => message.content), texts.slice(0, 3));
  assertEquals(stored[3]!.content, "🙂".repeat(1_024));
  assertEquals(stored[4]!.content, "x\ufffd");
});

Deno.test("the largest batch fits one commit: 100 messages, 256 KiB, all visible under one versionstamp", async () => {
  await using running = await startRunningTask();
  const empty = byteLength(JSON.stringify({ messages: running.batch(...Array<string>(100).fill("")) }));
  const room = 262_144 - empty;
  const each = Math.floor(room / 100);
  const contents = Array.from({ length: 100 }, (_, i) => "x".repeat(i === 99 ? room - 99 * each : each));
  const body = JSON.stringify({ messages: running.batch(...contents) });
  assertEquals(byteLength(body), 262_144);
  assertEquals((await running.postRaw(body)).body, { persisted: 100, duplicates: 0, lastSeq: 101 });
  const { kv } = running.test.edge.store;
  const written = await Array.fromAsync(
    kv.list({ start: msgKey(running.sessionId, 2), end: msgKey(running.sessionId, 102) }),
  );
  assertEquals(new Set(written.map((entry) => entry.versionstamp)).size, 1);
});

Deno.test("a batch with eight long messages of wide characters fits one commit", async () => {
  await using running = await startRunningTask();
  const messages = running.batch(...Array.from({ length: 7 }, () => "\u{1F600}".repeat(9_200)));
  assertEquals((await running.post(messages)).body.persisted, 7);
  const { kv } = running.test.edge.store;
  const keys = [msgKey(running.sessionId, 8), msgPartKey(running.sessionId, 8, 0)];
  const id = msgIdKey(running.sessionId, messages[6]!.messageId);
  const entries = await kv.getMany([...keys, id]);
  assertEquals(new Set(entries.map((entry) => entry.versionstamp)).size, 1);
});

Deno.test("a batch that unfolds beyond one commit is too large, like one that came so", async () => {
  await using running = await startRunningTask();
  // 1e20 takes five bytes on the way and 22 in the store.
  const numbers = Array<string>(480).fill("1e20").join();
  const meta = { tool: "t", status: "completed", toolCallId: "c", input: "NUMBERS" };
  const messages = running.batch(...Array<string>(90).fill("x")).map((each) => ({ ...each, toolMetadata: meta }));
  const body = JSON.stringify({ messages }).replaceAll('"NUMBERS"', `[${numbers}]`);
  assert(byteLength(body) < 262_144);
  const answer = await running.postRaw(body);
  assertEquals([answer.status, answer.body.error], [413, "payload_too_large"]);
  const half = JSON.stringify({ messages: messages.slice(0, 45) }).replaceAll('"NUMBERS"', `[${numbers}]`);
  assertEquals((await running.postRaw(half)).status, 200);
  const [, stored] = await running.messages();
  assertEquals(stored!.toolMetadata?.input, Array<number>(480).fill(1e20));
});

/** Reading messages: pages by seq in both directions, bounded by count and by bytes. */
import { assert, assertEquals } from "@std/assert";
import { newMessage } from "../fakes/agent.ts";
import { watchReads } from "../fakes/faulty_kv.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";

const seqsOf = (page: { items: { seq: number }[] }) => page.items.map((message) => message.seq);

Deno.test("the newest page comes first, older ones before it, newer ones after", async () => {
  await using running = await startRunningTask();
  await running.post(running.batch(...Array.from({ length: 24 }, (_, i) => `${i}`)));
  const read = async (query: string) =>
    (await running.test.admin.call(`GET ${running.session}/messages?${query}`)).body;
  const newest = await read("limit=10");
  assertEquals([seqsOf(newest), newest.hasMore, newest.lastSeq], [[16, 17, 18, 19, 20, 21, 22, 23, 24, 25], true, 25]);
  const older = await read("limit=10&before=16");
  assertEquals([seqsOf(older)[0], seqsOf(older).at(-1), older.hasMore], [6, 15, true]);
  const oldest = await read("limit=10&before=6");
  assertEquals([seqsOf(oldest), oldest.hasMore], [[1, 2, 3, 4, 5], false]);
  const newer = await read("limit=3&after=20");
  assertEquals([seqsOf(newer), newer.hasMore], [[21, 22, 23], true]);
  assertEquals([seqsOf(await read("after=23")), (await read("after=23")).hasMore], [[24, 25], false]);
  assertEquals(seqsOf(await read("after=0&limit=2")), [1, 2]);
});

Deno.test("positions beyond the end, before the start or in both directions are answered, not failed", async () => {
  await using running = await startRunningTask();
  const read = (query: string) => running.test.admin.call(`GET ${running.session}/messages?${query}`);
  for (const after of [1, 2, 1_000_000, Number.MAX_SAFE_INTEGER]) {
    const { status, body } = await read(`after=${after}`);
    assertEquals([status, body], [200, { items: [], hasMore: false, lastSeq: 1 }], `${after}`);
  }
  assertEquals((await read(`before=${Number.MAX_SAFE_INTEGER}`)).body.items.length, 1);
  assertEquals((await read("before=1")).body, { items: [], hasMore: false, lastSeq: 1 });
  for (
    const query of ["before=0", "after=-1", "after=1&before=2", "limit=501", "after=1e400", "after=1.5", "before=x"]
  ) {
    assertEquals((await read(query)).status, 400, query);
  }
  const one = (seq: string) => running.test.admin.call(`GET ${running.session}/messages/${seq}`);
  assertEquals([(await one("1")).status, (await one("2")).status, (await one("999999999")).status], [200, 404, 404]);
  for (const seq of ["0", "-1", "1e3", "01", "9999999999", "x"]) assertEquals((await one(seq)).status, 400, seq);
});

Deno.test("a page ends after 1 MiB of what it shows, in bytes, and says that there is more", async () => {
  await using running = await startRunningTask();
  // Three bytes a character: 10,000 of them are 30,000 bytes of content each, beside 10 KiB of metadata.
  const toolMetadata = { tool: "t", status: "completed", toolCallId: "c", diff: "d".repeat(10_000) };
  for (let i = 0; i < 8; i++) {
    const messages = Array.from(
      { length: 6 },
      () => newMessage(running.sessionId, "€".repeat(10_000), { toolMetadata }),
    );
    assertEquals((await running.post(messages)).status, 200);
  }
  const path = `GET ${running.session}/messages` as const;
  const newest = (await running.test.admin.call(`${path}?limit=500`)).body;
  assertEquals([newest.items.length, newest.hasMore], [27, true]);
  const forward = (await running.test.admin.call(`${path}?limit=500&after=1`)).body;
  assertEquals([seqsOf(forward)[0], forward.items.length, forward.hasMore], [2, 27, true]);
  assertEquals((await running.messages()).length, 49);
});

Deno.test("the cost of a page depends on the page, not on the session", async () => {
  await using running = await startRunningTask();
  for (let i = 0; i < 5; i++) await running.post(running.batch(...Array.from({ length: 100 }, (_, n) => `${i}.${n}`)));
  let lists = 0;
  const { store } = running.test.edge;
  store.kv = watchReads(store.kv, (key) => {
    if (key[0] === "msg") lists++;
    assert(key[0] !== "msgPart" && key[0] !== "msgId");
  });
  const { body } = await running.test.admin.call(`GET ${running.session}/messages?before=250&limit=5`);
  assertEquals([seqsOf(body), lists], [[245, 246, 247, 248, 249], 1]);
});

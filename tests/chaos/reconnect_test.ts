/**
 * The page's own store behind a socket that is cut at random a thousand times while messages stream in. What it shows
 * never has a hole, never goes back, and in the end equals the store, without a reload.
 */
import { effect } from "@preact/signals";
import { assert, assertEquals } from "@std/assert";
import { wait } from "../../lib/backoff.ts";
import { ProjectStore } from "../../islands/_project.ts";
import { withoutHoles } from "../../lib/ui/transcript.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { BearerProxy } from "./bearer_proxy.ts";
import { PageGlobals } from "./page_globals.ts";
import { Random } from "./random.ts";

const CUTS = 1_000;
const SETTLE_MAX_MS = 30_000;
/** More than the largest commit: a connection that never carries a whole one gets nowhere. */
const BYTES_MAX = 10_000;
/** After so many rounds one connection holds until it has everything: who is a thousand commits behind starts anew. */
const ROUNDS_BEHIND = 100;

Deno.test({
  name: `a page whose socket is cut ${CUTS} times shows what is stored, without a hole, a duplicate or a reload`,
  // A connection that is cut in the middle of its upgrade leaves an operation of the runtime's own pending.
  sanitizeOps: false,
  fn: streamThroughCuts,
});

async function streamThroughCuts(): Promise<void> {
  await using running = await startRunningTask();
  const { test, projectId, sessionId } = running;
  const proxy = new BearerProxy(new URL(test.url), test.admin.key);
  using page = new PageGlobals(proxy.url);
  const first = await running.messages();
  const store = new ProjectStore({
    projectId,
    userId: running.test.admin.user.id,
    sessions: [],
    sessionsNextCursor: null,
    tasks: [],
    selected: {
      session: await running.readSession(),
      page: { items: first, hasMore: false, lastSeq: first.length },
    },
    cursor: (await firstCursor(running)).cursor,
    connectionUrl: `/api/projects/${projectId}/ws`,
  });
  const shown = watchShown(store);
  store.start();
  const random = new Random(7);
  await until(store, () => store.connection.value === "connected");
  for (let n = 0, sent = first.length; proxy.cuts < CUTS; n++) {
    if (n % ROUNDS_BEHIND === 0) {
      proxy.cutAfter(Infinity);
      await until(store, () => withoutHoles(store.transcript.value).length === sent);
    }
    // Now and then it is cut again while it still comes back.
    if (random.chance(0.95)) await until(store, () => store.connection.value === "connected");
    proxy.cutAfter(random.between(1, BYTES_MAX));
    const size = random.between(1, 4);
    const contents = Array.from({ length: size }, (_, i) => `${n}.${i} ${"x".repeat(random.between(0, 400))}`);
    assertEquals((await running.post(running.batch(...contents))).status, 200);
    sent += size;
    if (random.chance(0.5)) proxy.cutAfter(0);
    page.comeOnline();
  }

  const stored = await running.messages();
  await until(store, () => withoutHoles(store.transcript.value).length === stored.length);
  assertEquals(store.transcript.value.messages.map(strip), stored.map(strip));
  assertEquals([shown.faults, shown.resyncs, page.assigned], [[], 0, []]);
  assertEquals(store.selected.value?.id, sessionId);
  assert(stored.length > CUTS, `${stored.length} messages`);
  store[Symbol.dispose]();
  await proxy[Symbol.asyncDispose]();
  while (test.edge.live.followers > 0) await wait(5);
}

function strip({ seq, messageId, content }: { seq: number; messageId: string; content: string }) {
  return [seq, messageId, content];
}

async function firstCursor(running: Awaited<ReturnType<typeof startRunningTask>>): Promise<{ cursor: string }> {
  const { edge } = running.test;
  const { projectTopic } = await import("../../lib/store/keys.ts");
  const { writeCursor } = await import("../../lib/live/cursor.ts");
  const versionstamp = await edge.live.cursor(projectTopic(running.projectId));
  return { cursor: writeCursor({ versionstamp, at: edge.clock() }) };
}

/** Looks at every state that the page would show. */
function watchShown(store: ProjectStore): { faults: string[]; resyncs: number } {
  const seen = { faults: [] as string[], resyncs: 0 };
  let length = 0;
  effect(() => {
    if (store.state.value.stale) seen.resyncs++;
    const messages = withoutHoles(store.transcript.value);
    if (messages.length < length) seen.faults.push(`went back from ${length} to ${messages.length} messages`);
    if (messages.at(-1)?.seq !== messages.length) {
      seen.faults.push(`${messages.length} messages end with another number`);
    }
    length = messages.length;
  });
  return seen;
}

async function until(store: ProjectStore, holds: () => boolean): Promise<void> {
  const reached = Promise.withResolvers<void>();
  const late = setTimeout(() => reached.reject(new Error("the page does not come to rest")), SETTLE_MAX_MS);
  const stop = effect(() => {
    void store.state.value;
    if (holds()) reached.resolve();
  });
  try {
    await reached.promise;
  } finally {
    clearTimeout(late);
    stop();
  }
}

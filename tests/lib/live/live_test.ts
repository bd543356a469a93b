/** The live hub on a real store: order, completeness, joining and leaving, faults, several handles. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { Live } from "../../../lib/live/live.ts";
import { OpenTexts } from "../../../lib/live/open_text.ts";
import type { Follower } from "../../../lib/live/topic.ts";
import { createLogger } from "../../../lib/log.ts";
import { change } from "../../../lib/store/change.ts";
import { FEED_START, listFeed } from "../../../lib/store/feed.ts";
import { HEAD_SHARDS, headShard } from "../../../lib/store/keys.ts";
import { openStore, type Store } from "../../../lib/store/store.ts";
import type { ServerFrame } from "../../../lib/wire/feed.ts";
import { watchReads } from "../../fakes/faulty_kv.ts";
import { withStore } from "../store/fixture.ts";
import { startTestEdge } from "../../edge.ts";
import { SocketFollower } from "./follower.ts";
import { within } from "./within.ts";

const TOPIC = "p:01970000-0000-7000-8000-000000000001";
const silent = createLogger("critical", () => {});

/** Keeps what it gets, and tells when there is enough. */
class Recorder implements Follower {
  readonly frames: ServerFrame[] = [];
  #changed = Promise.withResolvers<void>();

  wants(): boolean {
    return true;
  }

  send(frame: ServerFrame): void {
    this.frames.push(frame);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  live(frame: ServerFrame): void {
    this.send(frame);
  }

  get deleted(): string[] {
    return this.frames.flatMap((frame) => frame.type === "task.deleted" ? [frame.taskId] : []);
  }

  async until(count: number): Promise<void> {
    while (this.deleted.length < count) {
      await within(`${count} frames, of which ${this.deleted.length} came`, this.#changed.promise);
    }
  }
}

function openLive(store: Store): Live {
  return new Live({ store, log: silent, clock: Date.now });
}

/** Announces something whose frame carries `name`; a record is written, as in every real commit. */
async function announce(store: Store, name: string, topic = TOPIC): Promise<void> {
  await change(store, (tx) => {
    tx.set(["thing", name], 1).announce(topic, ["taskDeleted", name, "s"]);
    return Promise.resolve();
  });
}

Deno.test("the feed has every commit of many writers once, in the order of the commits", () =>
  withStore(async (store) => {
    const names = (writer: number) => Array.from({ length: 40 }, (_, i) => `${writer}.${i}`);
    await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
      for (const name of names(writer)) await announce(store, name);
    }));
    const entries = await listFeed(store, TOPIC, { after: FEED_START, limit: 1_000 });
    const stamps = entries.map((entry) => entry.versionstamp);
    assertEquals(stamps, stamps.toSorted());
    assertEquals(new Set(stamps).size, 320);
    const found = entries.flatMap((entry) => entry.changes.map((pointer) => pointer[1]));
    for (let writer = 0; writer < 8; writer++) {
      assertEquals(found.filter((name) => String(name).startsWith(`${writer}.`)), names(writer));
    }
    // Pages by the last one's versionstamp leave nothing out and bring nothing twice.
    const paged: string[] = [];
    for (let after = FEED_START;;) {
      const page = await listFeed(store, TOPIC, { after, limit: 7 });
      if (page.length === 0) break;
      paged.push(...page.map((entry) => entry.versionstamp));
      after = page.at(-1)!.versionstamp;
    }
    assertEquals(paged, stamps);
  }));

Deno.test("several things of one topic in one commit are one entry, and each topic has its own", () =>
  withStore(async (store) => {
    await change(store, (tx) => {
      tx.set(["thing"], 1).announce(TOPIC, ["task", "a"]).announce("p:other", ["task", "c"]);
      tx.announce(TOPIC, ["task", "b"], ["task", "a"]);
      return Promise.resolve();
    });
    const [entry, ...more] = await listFeed(store, TOPIC, { after: FEED_START, limit: 10 });
    assertEquals([entry!.changes, more], [[["task", "a"], ["task", "b"]], []]);
    const [other] = await listFeed(store, "p:other", { after: FEED_START, limit: 10 });
    assertEquals([other!.changes, other!.versionstamp], [[["task", "c"]], entry!.versionstamp]);
  }));

Deno.test("topics are spread over all head shards", () => {
  const shards = Array.from({ length: 400 }, (_, i) => headShard(`p:${i}`));
  assertEquals(new Set(shards).size, HEAD_SHARDS);
  assert(shards.every((shard) => Number.isInteger(shard) && shard >= 0 && shard < HEAD_SHARDS));
});

Deno.test("many followers of many topics get everything of theirs, while eight write", () =>
  withStore(async (store) => {
    await using live = openLive(store);
    const topics = Array.from({ length: 12 }, (_, i) => `p:topic-${i}`);
    const recorders = topics.map(() => new Recorder());
    await Promise.all(topics.map((topic, i) => live.follow(topic, recorders[i]!, null)));
    await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; i < 24; i++) await announce(store, `${writer}.${i}`, topics[(writer + i) % 12]!);
    }));
    await Promise.all(recorders.map((recorder) => recorder.until(16)));
    const all = recorders.flatMap((recorder) => recorder.deleted);
    assertEquals([all.length, new Set(all).size], [192, 192]);
  }));

Deno.test("who joins while the last other one leaves is not forgotten", () =>
  withStore(async (store) => {
    await using live = openLive(store);
    const [first, second] = [new Recorder(), new Recorder()];
    const leave = await live.follow(TOPIC, first, null);
    const joining = live.follow(TOPIC, second, null);
    leave();
    const leaveSecond = await joining;
    await announce(store, "a");
    await second.until(1);
    assertEquals([first.deleted, second.deleted, live.followers], [[], ["a"], 1]);
    leaveSecond();
    assertEquals(live.followers, 0);
  }));

Deno.test("who has left gets nothing more and is not counted", () =>
  withStore(async (store) => {
    await using live = openLive(store);
    const [stays, goes] = [new Recorder(), new Recorder()];
    await live.follow(TOPIC, stays, null);
    const leave = await live.follow(TOPIC, goes, null);
    leave();
    await announce(store, "a");
    await stays.until(1);
    assertEquals([goes.frames, live.followers], [[], 1]);
  }));

Deno.test("nothing falls between what is replayed and what comes live", () =>
  withStore(async (store) => {
    await using live = openLive(store);
    const writing = (async () => {
      for (let i = 0; i < 300; i++) await announce(store, `${i}`);
    })();
    const recorders: Recorder[] = [];
    while (recorders.length < 30) {
      const recorder = new Recorder();
      await live.follow(TOPIC, recorder, `${FEED_START}.${Date.now().toString(36)}`);
      recorders.push(recorder);
      await announce(store, `between ${recorders.length}`);
    }
    await writing;
    for (const recorder of recorders) {
      await recorder.until(330);
      assertEquals(new Set(recorder.deleted).size, 330);
      const numbered = recorder.deleted.filter((name) => /^\d/.test(name));
      assertEquals(numbered, Array.from({ length: 300 }, (_, i) => `${i}`));
    }
  }));

Deno.test("what another handle on the same file writes is told too", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-live-" });
  const [ours, theirs] = [await openStore(join(directory, "kv")), await openStore(join(directory, "kv"))];
  try {
    await using live = openLive(ours);
    const recorder = new Recorder();
    await live.follow(TOPIC, recorder, null);
    for (let i = 0; i < 20; i++) await announce(theirs, `${i}`);
    await recorder.until(20);
    assertEquals(recorder.deleted, Array.from({ length: 20 }, (_, i) => `${i}`));
  } finally {
    ours.close();
    theirs.close();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a store that fails while somebody joins costs them their socket and nobody else anything", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const { kv } = test.edge.store;
  test.edge.store.kv = watchReads(kv, (key) => {
    if (key[0] === "feed") throw new TypeError("the store is out of order");
  });
  await using unlucky = SocketFollower.on(test, `/api/projects/${id}/ws`, test.admin);
  assertEquals(await unlucky.end(), 1011);
  assertEquals((await test.admin.call("GET /api/me")).status, 200);
  test.edge.store.kv = kv;
  await using lucky = SocketFollower.on(test, `/api/projects/${id}/ws`, test.admin);
  const { cursor } = await lucky.first("hello");
  await using next = SocketFollower.on(test, `/api/projects/${id}/ws?after=${cursor}`, test.admin);
  await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "x" });
  await next.first("task.updated");
});

Deno.test("the open text is kept up to its limit, and what is beyond it still reaches those who follow", () => {
  const open = new OpenTexts();
  const frame = { type: "live" as const, workspaceId: "w", messageId: "m", role: "assistant" as const, rev: 1 };
  const piece = "z".repeat(60_000);
  for (let i = 0; i < 10; i++) {
    const passed = open.accept("s", { ...frame, at: i * piece.length, text: piece });
    assertEquals([passed?.at, passed?.text.length], [i * piece.length, piece.length]);
  }
  assertEquals(open.list("s").map((each) => [each.at, each.text.length]), [[0, 256 * 1024]]);
  assertEquals(open.accept("s", { ...frame, at: 5, text: "no" }), null);
  assertEquals(open.accept("s", { ...frame, at: 0, text: "anew" })?.text, "anew");
  assertEquals(open.list("s").map((each) => each.text), ["anew"]);
  open.close("s", "m");
  assertEquals(open.list("s"), []);
});

Deno.test("who leaves twice takes along nobody who asked for the same news since", () =>
  withStore(async (store) => {
    await using live = openLive(store);
    const leave = live.onNews(TOPIC, () => {});
    leave();
    const told = Promise.withResolvers<void>();
    live.onNews(TOPIC, told.resolve);
    leave();
    await announce(store, "news");
    await within("the news", told.promise);
  }));

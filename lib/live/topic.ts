/**
 * One reader for one topic of the feed: lists what is new once, turns it into frames once, and hands them to every
 * follower. A serial line (`#run`) keeps joining, replaying and pumping apart.
 */
import { type FeedEntry, lastVersionstamp, listFeed, newestVersionstamp } from "../store/feed.ts";
import type { Store } from "../store/store.ts";
import type { Pointer } from "../store/change.ts";
import type { ServerFrame } from "../wire/feed.ts";
import { type Cursor, isFresh, readCursor, writeCursor } from "./cursor.ts";
import { readFrames } from "./frames.ts";

/** More entries than this behind, and the reader must start anew from the state. */
const REPLAY_MAX = 1_000;
const READ_AT_ONCE = 200;

export interface Follower {
  /** Whether messages of this session are wanted whole. */
  wants(sessionId: string): boolean;
  /** A frame of the feed, in order. */
  send(frame: ServerFrame): void;
  /** A frame from memory: may be dropped. */
  live(frame: ServerFrame): void;
}

export class TopicReader {
  readonly #store: Store;
  readonly #topic: string;
  readonly #clock: () => number;
  readonly #followers = new Set<Follower>();
  /** Those who are still being told what they missed: nobody may drop this reader under them. */
  readonly #joining = new Set<Follower>();
  #at: string | null = null;
  #line: Promise<void> = Promise.resolve();
  #pumping = false;

  constructor(store: Store, topic: string, clock: () => number) {
    this.#store = store;
    this.#topic = topic;
    this.#clock = clock;
  }

  get size(): number {
    return this.#followers.size + this.#joining.size;
  }

  /** Adds a follower: first what it missed since `after`, in order, or a `resync` when that is not to be had. */
  async join(follower: Follower, after: string | null): Promise<void> {
    this.#joining.add(follower);
    await this.#run(async () => {
      this.#at ??= await lastVersionstamp(this.#store, this.#topic);
      await this.#read();
      if (after !== null) await this.#replay(follower, after);
      if (this.#joining.delete(follower)) this.#followers.add(follower);
    });
  }

  leave(follower: Follower): void {
    this.#joining.delete(follower);
    this.#followers.delete(follower);
  }

  /** Hands on what is new. Calls while one is under way are joined into one more. */
  async pump(): Promise<void> {
    if (this.#pumping) return await this.#line;
    this.#pumping = true;
    await this.#run(async () => {
      this.#pumping = false;
      if (this.#followers.size > 0) await this.#read();
    });
  }

  broadcast(frame: ServerFrame): void {
    for (const follower of this.#followers) follower.live(frame);
  }

  /** Resolves when nothing is being read. */
  async settled(): Promise<void> {
    await this.#line.catch(() => {});
  }

  async #read(): Promise<void> {
    while (true) {
      const entries = await listFeed(this.#store, this.#topic, { after: this.#at!, limit: READ_AT_ONCE });
      for (const entry of entries) {
        const frames = await this.#framesOf(entry.changes, (id) => this.#anyWants(id));
        for (const follower of this.#followers) this.#hand(follower, frames, entry);
        this.#at = entry.versionstamp;
      }
      if (entries.length < READ_AT_ONCE) return;
    }
  }

  async #replay(follower: Follower, after: string): Promise<void> {
    const cursor = readCursor(after);
    const missed = cursor && await this.#isOurs(cursor)
      ? await listFeed(this.#store, this.#topic, { after: cursor.versionstamp, limit: REPLAY_MAX + 1 })
      : null;
    if (!missed || missed.length > REPLAY_MAX) {
      const reason = missed ? "too far behind" : "the cursor is too old or not one of ours";
      return follower.send({ type: "resync", reason, cursor: this.#cursor(this.#at!) });
    }
    const upTo = missed.filter((entry) => entry.versionstamp <= this.#at!);
    for (const entry of newestOfEach(upTo)) {
      this.#hand(follower, await this.#framesOf(entry.changes, (id) => follower.wants(id)), entry);
    }
  }

  /** A cursor ahead of the store is of another one, or of this one before it was put back from a copy. */
  async #isOurs(cursor: Cursor): Promise<boolean> {
    if (!isFresh(cursor, this.#clock())) return false;
    return cursor.versionstamp <= await newestVersionstamp(this.#store, this.#topic);
  }

  async #framesOf(changes: Pointer[], wants: (sessionId: string) => boolean): Promise<ServerFrame[]> {
    const options = { topic: this.#topic, wants };
    return (await Promise.all(changes.map((pointer) => readFrames(this.#store, pointer, options)))).flat();
  }

  /** Only the last frame of a commit carries its cursor: a cut half way repeats the commit. */
  #hand(follower: Follower, frames: ServerFrame[], entry: FeedEntry): void {
    const cursor = this.#cursor(entry.versionstamp);
    const wanted = frames.filter((frame) => !isBody(frame) || follower.wants(frame.sessionId));
    if (wanted.length === 0) return follower.send({ type: "cursor", cursor });
    wanted.forEach((frame, i) => follower.send(i === wanted.length - 1 ? { ...frame, cursor } as ServerFrame : frame));
  }

  #cursor(versionstamp: string): string {
    return writeCursor({ versionstamp, at: this.#clock() });
  }

  #anyWants(sessionId: string): boolean {
    for (const follower of this.#followers) if (follower.wants(sessionId)) return true;
    return false;
  }

  #run(work: () => Promise<void>): Promise<void> {
    const next = this.#line.then(work, work);
    this.#line = next.catch(() => {});
    return next;
  }
}

function isBody(frame: ServerFrame): frame is Extract<ServerFrame, { type: "message.new" | "message.updated" }> {
  return frame.type === "message.new" || frame.type === "message.updated";
}

/** Entities come once and in their newest state: earlier pointers to the same one are dropped, messages are not. */
function newestOfEach(entries: FeedEntry[]): FeedEntry[] {
  const last = new Map<string, Pointer>();
  for (const entry of entries) for (const pointer of entry.changes) last.set(entityOf(pointer), pointer);
  return entries.map((entry) => ({
    ...entry,
    changes: entry.changes.filter((pointer) => pointer[0] === "message" || last.get(entityOf(pointer)) === pointer),
  }));
}

/** A session that is new and then changed is one entity. */
function entityOf(pointer: Pointer): string {
  return pointer[0] === "sessionCreated" ? `session,${pointer[1]}` : pointer.join();
}

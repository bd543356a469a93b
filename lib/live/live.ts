/**
 * The live hub of one process: one watch of the head shards, one reader per topic, any number of followers. Every
 * follower of a topic gets the same frames in the order of the commits; one that joins with a cursor gets first what it
 * has missed, under the topic's lock, so that nothing falls between replay and live.
 */
import type { Logger } from "../log.ts";
import { messageOf } from "../errors.ts";
import { wait } from "../backoff.ts";
import { lastVersionstamp, readHeads, watchHeads } from "../store/feed.ts";
import { headShard } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { OpenTexts } from "./open_text.ts";
import { type Follower, TopicReader } from "./topic.ts";

/** The net under the watch, which does not cross processes on a local file. */
const NET_MS = 2_000;
/** After the first change of a burst the readers gather for this long. */
const GATHER_MS = 25;

export class Live {
  readonly open = new OpenTexts();
  readonly #store: Store;
  readonly #log: Logger;
  readonly #clock: () => number;
  readonly #topics = new Map<string, TopicReader>();
  readonly #pokes = new Map<string, Set<() => void>>();
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];

  constructor(options: { store: Store; log: Logger; clock: () => number }) {
    this.#store = options.store;
    this.#log = options.log;
    this.#clock = options.clock;
    options.store.onAnnounce = (topics) => topics.forEach((topic) => this.#wake(topic));
    this.#loops = [this.#watch(), this.#net()];
  }

  /** Follows a topic from `after` (null: from now on). Returns how to leave. */
  async follow(topic: string, follower: Follower, after: string | null): Promise<() => void> {
    const reader = this.#topics.get(topic) ?? new TopicReader(this.#store, topic, this.#clock);
    this.#topics.set(topic, reader);
    const leave = () => {
      reader.leave(follower);
      if (reader.size === 0 && this.#topics.get(topic) === reader) this.#topics.delete(topic);
    };
    try {
      await reader.join(follower, after);
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  /** The cursor to read before a state that is then shown. */
  async cursor(topic: string): Promise<string> {
    return await lastVersionstamp(this.#store, topic);
  }

  /** Calls `poke` whenever a topic may have news, without reading them. Returns how to end it. */
  onNews(topic: string, poke: () => void): () => void {
    const pokes = this.#pokes.get(topic) ?? new Set();
    this.#pokes.set(topic, pokes.add(poke));
    return () => {
      pokes.delete(poke);
      // Whoever leaves twice, as a socket whose close fires twice, takes nobody along who came since.
      if (pokes.size === 0 && this.#pokes.get(topic) === pokes) this.#pokes.delete(topic);
    };
  }

  /** Passes a frame from memory to those who follow the session in this process; never in the feed. */
  broadcast(topic: string, frame: Parameters<Follower["live"]>[0]): void {
    this.#topics.get(topic)?.broadcast(frame);
  }

  /** Sockets that follow topics in this process. */
  get followers(): number {
    return [...this.#topics.values()].reduce((sum, reader) => sum + reader.size, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#store.onAnnounce = () => {};
    await Promise.allSettled(this.#loops);
    await Promise.allSettled([...this.#topics.values()].map((reader) => reader.settled()));
  }

  #wake(topic: string): void {
    this.#topics.get(topic)?.pump().catch((error) => {
      if (!this.#stop.signal.aborted) this.#log.error("feed_read_failed", { topic, error });
    });
    this.#pokes.get(topic)?.forEach((poke) => poke());
  }

  #wakeShards(shards: number[]): void {
    const topics = new Set([...this.#topics.keys(), ...this.#pokes.keys()]);
    for (const topic of topics) if (shards.includes(headShard(topic))) this.#wake(topic);
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        for await (const shards of watchHeads(this.#store, this.#stop.signal)) {
          this.#wakeShards(shards);
          await wait(GATHER_MS, this.#stop.signal);
        }
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.warn("head_watch_broke", { reason: messageOf(error) });
      }
      await wait(NET_MS, this.#stop.signal);
    }
  }

  async #net(): Promise<void> {
    let known: (string | null)[] = [];
    while (!this.#stop.signal.aborted) {
      await wait(NET_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const heads = await readHeads(this.#store).catch(() => known);
      this.#wakeShards(heads.flatMap((head, shard) => (head === known[shard] ? [] : [shard])));
      known = heads;
    }
  }
}

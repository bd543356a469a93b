/**
 * The feed: what changed, in the order of the commits, without a counter. An entry's key ends in its commit's
 * versionstamp. A list's start is inclusive, so the walk begins at cursor + "\0".
 */
import type { Pointer } from "./change.ts";
import { feedPrefix, HEAD_SHARDS, headKey, headShard } from "./keys.ts";
import type { Store } from "./store.ts";

export interface FeedEntry {
  versionstamp: string;
  at: number;
  changes: Pointer[];
}

/** The first cursor that there is: before every commit. */
export const FEED_START = "00000000000000000000";

/** Entries of `topic` after the versionstamp, oldest first, at most `limit`. */
export async function listFeed(
  store: Store,
  topic: string,
  options: { after: string; limit: number },
): Promise<FeedEntry[]> {
  const prefix = feedPrefix(topic);
  const range = { start: [...prefix, options.after + "\0"], end: [...prefix, "g"] };
  const entries = store.kv.list<{ at: number; changes: Pointer[] }>(range, { limit: options.limit, batchSize: 100 });
  return (await Array.fromAsync(entries)).map((entry) => ({
    versionstamp: entry.key.at(-1) as string,
    at: entry.value.at,
    changes: entry.value.changes,
  }));
}

/** The newest versionstamp of a topic, or the start when it has no entries. */
export async function lastVersionstamp(store: Store, topic: string): Promise<string> {
  for await (const entry of store.kv.list({ prefix: feedPrefix(topic) }, { reverse: true, limit: 1 })) {
    return entry.key.at(-1) as string;
  }
  return FEED_START;
}

/** A versionstamp at or after every entry that the topic ever had: entries go after an hour, its head stays. */
export async function newestVersionstamp(store: Store, topic: string): Promise<string> {
  return (await store.kv.get(headKey(headShard(topic)))).versionstamp ?? FEED_START;
}

/** Yields the shards whose head has changed; the first answer holds the state at the start. Ends with the store. */
export async function* watchHeads(store: Store, signal: AbortSignal): AsyncGenerator<number[]> {
  const keys = Array.from({ length: HEAD_SHARDS }, (_, shard) => headKey(shard));
  const reader = store.watchKv.watch(keys).getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  let known: (string | null)[] = [];
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      const stamps = value.map((entry) => entry.versionstamp);
      const changed = stamps.flatMap((stamp, shard) => (stamp === known[shard] ? [] : [shard]));
      known = stamps;
      yield changed;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    await reader.cancel().catch(() => {});
  }
}

/** The versionstamps of the ten heads: the net below the watch, which may sleep or not cross processes. */
export async function readHeads(store: Store): Promise<(string | null)[]> {
  const keys = Array.from({ length: HEAD_SHARDS }, (_, shard) => headKey(shard));
  return (await store.kv.getMany(keys)).map((entry) => entry.versionstamp);
}

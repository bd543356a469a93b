/** Counters per window of time in the store, for what costs money or guesses secrets: they hold across processes. */
import { windowKey } from "./keys.ts";
import type { Store } from "./store.ts";

/** Adds one to the subject's counter in the current window and returns the new count. */
export async function countInWindow(
  store: Store,
  window: { kind: string; subject: string; lengthMs: number; now: number },
): Promise<number> {
  const key = windowKey(window.kind, window.subject, startOf(window));
  await store.kv.atomic().sum(key, 1n).commit();
  return Number((await store.kv.get<Deno.KvU64>(key)).value?.value ?? 0n);
}

export async function readWindow(
  store: Store,
  window: { kind: string; subject: string; lengthMs: number; now: number },
): Promise<number> {
  const key = windowKey(window.kind, window.subject, startOf(window));
  return Number((await store.kv.get<Deno.KvU64>(key)).value?.value ?? 0n);
}

/** Removes the counters of windows that began before `beforeMs`. Sums drop a key's expiry, so a sweep does it. */
export async function purgeWindows(store: Store, beforeMs: number): Promise<number> {
  let removed = 0;
  for await (const entry of store.kv.list({ prefix: ["window"] })) {
    if ((entry.key[3] as number) >= beforeMs) continue;
    await store.kv.delete(entry.key);
    removed++;
  }
  return removed;
}

function startOf(window: { lengthMs: number; now: number }): number {
  return Math.floor(window.now / window.lengthMs) * window.lengthMs;
}

/** Servers at a provider that no record knows, and since when: they are only destroyed at a second look. */
import { strayKey } from "./keys.ts";
import type { Store } from "./store.ts";

interface StrayRecord {
  v: 1;
  firstSeenAt: number;
}

/** Notes a stray, unless it is noted already. Returns when it was first seen. */
export async function noteStray(store: Store, providerRef: string, now: number): Promise<number> {
  const entry = await store.kv.get<StrayRecord>(strayKey(providerRef));
  if (entry.value) return entry.value.firstSeenAt;
  const record: StrayRecord = { v: 1, firstSeenAt: now };
  await store.kv.atomic().check(entry).set(entry.key, record).commit();
  return now;
}

export async function forgetStray(store: Store, providerRef: string): Promise<void> {
  await store.kv.delete(strayKey(providerRef));
}

export async function listStrays(store: Store): Promise<string[]> {
  return (await Array.fromAsync(store.kv.list({ prefix: ["stray"] }))).map((entry) => entry.key[1] as string);
}

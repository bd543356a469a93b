/** Providers whose servers could not be compared with the records, how often in a row, and since when. One small record. */
import { type Change, change, type Versioned } from "./change.ts";
import { metaKey } from "./keys.ts";
import type { Store } from "./store.ts";

export interface InventoryFailure {
  provider: string;
  /** Null: of no person's account. */
  ownerId: string | null;
  reason: string;
  /** Failures in a row. */
  times: number;
  since: number;
}

interface FailuresRecord extends Versioned {
  accounts: Record<string, InventoryFailure>;
}

const KEY = metaKey("inventoryFailures");

/** Notes how a comparison of an account went; null: it succeeded. Returns the failures in a row. */
export async function noteInventory(
  store: Store,
  account: string,
  failure: Pick<InventoryFailure, "provider" | "ownerId" | "reason"> | null,
): Promise<number> {
  return await change(store, async (tx: Change) => {
    const entry = await tx.get<FailuresRecord>(KEY);
    const { [account]: known, ...others } = entry.value?.accounts ?? {};
    const times = failure ? (known?.times ?? 0) + 1 : 0;
    const accounts = failure ? { ...others, [account]: { ...failure, times, since: known?.since ?? tx.now } } : others;
    if (failure || known) tx.put(entry, { v: 1, accounts });
    return times;
  });
}

/** Forgets accounts that are not among these: they are gone, and nobody compares them again. Returns the most of all. */
export async function keepInventories(store: Store, names: readonly string[]): Promise<number> {
  return await change(store, async (tx: Change) => {
    const entry = await tx.get<FailuresRecord>(KEY);
    const all = Object.entries(entry.value?.accounts ?? {});
    const accounts = Object.fromEntries(all.filter(([name]) => names.includes(name)));
    if (Object.keys(accounts).length < all.length) tx.put(entry, { v: 1, accounts });
    return Math.max(0, ...Object.values(accounts).map(({ times }) => times));
  });
}

export async function listInventoryFailures(store: Store): Promise<InventoryFailure[]> {
  return Object.values((await store.kv.get<FailuresRecord>(KEY)).value?.accounts ?? {});
}

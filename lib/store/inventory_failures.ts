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

/** Notes how a comparison of an account went; null: it succeeded. Returns the failures in a row, and the most of all. */
export async function noteInventory(
  store: Store,
  account: string,
  failure: Pick<InventoryFailure, "provider" | "ownerId" | "reason"> | null,
): Promise<{ times: number; most: number }> {
  return await change(store, async (tx: Change) => {
    const entry = await tx.get<FailuresRecord>(KEY);
    const { [account]: known, ...others } = entry.value?.accounts ?? {};
    const times = failure ? (known?.times ?? 0) + 1 : 0;
    const accounts = failure ? { ...others, [account]: { ...failure, times, since: known?.since ?? tx.now } } : others;
    if (failure || known) tx.put(entry, { v: 1, accounts });
    return { times, most: Math.max(0, ...Object.values(accounts).map((each) => each.times)) };
  });
}

export async function listInventoryFailures(store: Store): Promise<InventoryFailure[]> {
  return Object.values((await store.kv.get<FailuresRecord>(KEY)).value?.accounts ?? {});
}

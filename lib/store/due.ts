/**
 * Work that is due at a time. The key is written in the commit that changes the record; a worker takes an item by
 * moving its key a minute ahead, so that after a crash it comes back by itself. The handler re-reads the record and does
 * nothing when the token no longer fits.
 */
import type { Change, DueKind, Dues } from "./change.ts";
import { dueKey } from "./keys.ts";
import { isLocked, type Store } from "./store.ts";

/** How long a worker has an item for itself. */
export const DUE_LEASE_MS = 60_000;

export interface DueItem {
  kind: DueKind;
  id: string;
  token: string;
  /** The key under which the item is held now, and the commit that wrote it. */
  key: Deno.KvKey;
  versionstamp: string;
  /** When it was due. */
  at: number;
}

/** Up to `limit` items that are due by `now`, oldest first. */
export async function listDue(store: Store, now: number, limit: number): Promise<DueItem[]> {
  const items: DueItem[] = [];
  for await (const entry of store.kv.list<{ token: string }>({ start: ["due"], end: ["due", now + 1] }, { limit })) {
    items.push(toItem(entry));
  }
  return items;
}

/** When the next item is due, or null when there is none. */
export async function nextDueAt(store: Store): Promise<number | null> {
  for await (const entry of store.kv.list({ prefix: ["due"] }, { limit: 1 })) return entry.key[1] as number;
  return null;
}

/** Takes an item for a minute. Null: another worker has it, or it is gone. */
export async function takeDue(store: Store, item: DueItem, now: number): Promise<DueItem | null> {
  const entry = await store.kv.get<{ token: string }>(item.key);
  if (entry.value === null) return null;
  const key = dueKey(now + DUE_LEASE_MS, item.kind, item.id);
  // Where the same thing is due at just that time already, its key must not be lost: the next look takes this one.
  const free = { key, versionstamp: null };
  try {
    const taken = await store.kv.atomic().check(entry, free).delete(item.key).set(key, entry.value).commit();
    // The record may have made it due anew at the very same time since the look: what is taken is what is there now.
    return taken.ok ? { ...item, token: entry.value.token, key, versionstamp: taken.versionstamp } : null;
  } catch (error) {
    if (isLocked(error)) return null;
    throw error;
  }
}

/** Removes an item that was taken, unless the handler made the same thing due again at the very same time. */
export async function settleDue(store: Store, item: DueItem): Promise<void> {
  try {
    await store.kv.atomic().check(item).delete(item.key).commit();
  } catch (error) {
    // It comes back when its time with the worker is over, and finds nothing to do.
    if (!isLocked(error)) throw error;
  }
}

/** Whether the record still wants what the item was written for. */
export function isWanted(dues: Dues, item: DueItem): boolean {
  return dues[item.kind]?.token === item.token;
}

/** A due key without a record's token: work that is safe to do at any time, such as going on with a task. */
export function scheduleLoose(tx: Change, due: { kind: DueKind; id: string; at: number }): void {
  tx.schedule({}, due);
}

function toItem({ key, value, versionstamp }: Deno.KvEntry<{ token: string }>): DueItem {
  const [, at, kind, id] = key as [string, number, DueKind, string];
  return { kind, id, token: value.token, key, versionstamp, at };
}

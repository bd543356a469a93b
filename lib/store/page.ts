/** Lists in pages: an opaque cursor, a limit, and a bound on the keys that one request looks at. */
import { AppError } from "../errors.ts";
import { fnv1a } from "./keys.ts";

/** How many keys a filtered page looks at before it ends with a cursor. */
const SCAN_MAX = 1_000;

export interface PageOptions {
  limit: number;
  cursor?: string;
  reverse?: boolean;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/**
 * Walks `prefix` from the cursor, mapping each entry to an item (null: left out), until `limit` items are found or
 * 1,000 keys were looked at. Throws `invalid_request` for a cursor of another list.
 */
export async function listPage<T>(
  kv: Deno.Kv,
  prefix: Deno.KvKey,
  options: PageOptions & { pick: (key: Deno.KvKey, value: unknown) => Promise<T | null> },
): Promise<Page<T>> {
  const items: T[] = [];
  const tag = tagOf(prefix, options);
  const iterator = kv.list({ prefix }, {
    reverse: options.reverse ?? false,
    cursor: readCursor(tag, options.cursor),
    batchSize: Math.min(500, options.limit + 1),
  });
  for (let looked = 0; items.length < options.limit && looked < SCAN_MAX; looked++) {
    const step = await nextEntry(iterator);
    if (step.done) return { items, nextCursor: null };
    const item = await options.pick(step.value.key, step.value.value);
    if (item !== null) items.push(item);
  }
  const cursor = iterator.cursor;
  return { items, nextCursor: (await nextEntry(iterator)).done ? null : tag + cursor };
}

/** The store takes the cursor of any list and goes on somewhere: so each names the list and the direction it is of. */
function tagOf(prefix: Deno.KvKey, options: PageOptions): string {
  return `${fnv1a(JSON.stringify([prefix, options.reverse ?? false])).toString(36)}.`;
}

function readCursor(tag: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  if (!cursor.startsWith(tag) || cursor.length === tag.length) throw foreignCursor();
  return cursor.slice(tag.length);
}

async function nextEntry(iterator: Deno.KvListIterator<unknown>): Promise<IteratorResult<Deno.KvEntry<unknown>>> {
  try {
    return await iterator.next();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw foreignCursor(error);
  }
}

function foreignCursor(cause?: unknown): AppError {
  return new AppError("invalid_request", "The cursor is not one of this list. Start again without it.", { cause });
}

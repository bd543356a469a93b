/**
 * The only read-decide-commit loop. An attempt reads, decides and collects writes; the commit carries the checks, the
 * feed entries, the head keys and the due keys with it, so that a change is visible whole or not at all. A lost check
 * runs the attempt again. Ids and tokens are made outside the attempt: it may run several times.
 */
import { backoffMs, wait } from "../backoff.ts";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import { dueKey, feedPrefix, headKey, headShard } from "./keys.ts";
import { isLocked, type Store } from "./store.ts";

const TRIES_MAX = 10;
const RETRY = { initialMs: 4, maxMs: 200 };
const FEED_LIFETIME_MS = 3_600_000;
/** The longest delay that a queue takes. */
const QUEUE_DELAY_MAX_MS = 30 * 24 * 3_600_000;

/** What a feed entry points to: first the kind, then the ids needed to read it. */
export type Pointer =
  | ["message", sessionId: string, from: number, to: number]
  | ["messageUpdated", sessionId: string, seq: number]
  | ["sessionCreated" | "session" | "sessionStopped", sessionId: string]
  | ["task", taskId: string]
  | ["taskDeleted", taskId: string, sessionId: string]
  | ["workspace", workspaceId: string]
  | ["node", nodeId: string]
  | ["prompt", sessionId: string, messageId: string]
  | ["permission", sessionId: string, requestId: string]
  | ["command", seq: number];

export type DueKind =
  | "task.advance"
  | "task.deadline"
  | "node.warmExpiry"
  | "node.delete"
  | "workspace.release"
  | "workspace.keptUntil"
  | "permission.expiry"
  | "purge";

/** The times at which something is due for a record, kept in the record itself. */
export type Dues = Partial<Record<DueKind, { at: number; token: string }>>;

/** A record that is checked and written as a whole. `change` names the commit that wrote it. */
export interface Versioned {
  v: 1;
  change?: string;
}

/** One attempt: what it read decides, what it collected is committed in one atomic operation. */
export class Change {
  readonly #store: Store;
  readonly #op: Deno.AtomicOperation;
  readonly #topics = new Map<string, Pointer[]>();
  readonly #checks: Deno.AtomicCheck[] = [];
  readonly #puts: Deno.KvKey[] = [];
  readonly #dues: number[] = [];
  readonly now: number;
  readonly id: string;
  #writes = 0;

  constructor(store: Store, id: string, now: number) {
    this.#store = store;
    this.#op = store.kv.atomic();
    this.id = id;
    this.now = now;
  }

  get kv(): Deno.Kv {
    return this.#store.kv;
  }

  get written(): boolean {
    return this.#writes > 0;
  }

  get puts(): Deno.KvKey[] {
    return this.#puts;
  }

  get dues(): number[] {
    return this.#dues;
  }

  get topics(): string[] {
    return [...this.#topics.keys()];
  }

  get<T>(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<T>> {
    return this.kv.get<T>(key);
  }

  check(entry: Deno.AtomicCheck): this {
    this.#checks.push(entry);
    this.#op.check(entry);
    return this;
  }

  /** Whether what was checked so far is still as it was read. */
  async holds(): Promise<boolean> {
    if (this.#checks.length === 0) return true;
    return await isOk(this.#store.kv.atomic().check(...this.#checks));
  }

  set(key: Deno.KvKey, value: unknown, options?: { expireIn?: number }): this {
    this.#writes++;
    this.#op.set(key, value, options);
    return this;
  }

  delete(key: Deno.KvKey): this {
    this.#writes++;
    this.#op.delete(key);
    return this;
  }

  /** Adds `by` to a KvU64 counter in a family of its own. */
  sum(key: Deno.KvKey, by: bigint): this {
    this.#writes++;
    this.#op.sum(key, by);
    return this;
  }

  /** Writes a record under a check on what was read of it. */
  put<T extends Versioned>(entry: Deno.KvEntryMaybe<T>, record: T): this {
    this.check(entry).set(entry.key, { ...record, change: this.id });
    this.#puts.push(entry.key);
    return this;
  }

  /** Says in the feed of `topic` that something changed; all of a commit's news of a topic are one entry. */
  announce(topic: string, ...pointers: Pointer[]): this {
    const known = this.#topics.get(topic) ?? [];
    const fresh = pointers.filter((pointer) => !known.some((other) => other.join() === pointer.join()));
    this.#topics.set(topic, [...known, ...fresh]);
    return this;
  }

  /** Moves the due key of `kind` of a record to `at`, or removes it (null). Returns the record's new dues. */
  schedule(dues: Dues, due: { kind: DueKind; id: string; at: number | null }): Dues {
    const { [due.kind]: old, ...rest } = dues;
    if (old) this.delete(dueKey(old.at, due.kind, due.id));
    if (due.at === null) return rest;
    const token = this.id;
    this.set(dueKey(due.at, due.kind, due.id), { token });
    this.#dues.push(due.at);
    return { ...rest, [due.kind]: { at: due.at, token } };
  }

  async commit(): Promise<boolean> {
    this.#addFeed();
    this.#addWakeUps();
    return await isOk(this.#op);
  }

  #addFeed(): void {
    for (const [topic, changes] of this.#topics) {
      const entry = { v: 1, at: this.now, changes };
      this.#op.set([...feedPrefix(topic), this.kv.commitVersionstamp()], entry, { expireIn: FEED_LIFETIME_MS });
      this.#op.set(headKey(headShard(topic)), 1);
    }
  }

  #addWakeUps(): void {
    if (!this.#store.queues) return;
    for (const at of this.#dues) {
      const delay = Math.min(Math.max(0, at - this.now), QUEUE_DELAY_MAX_MS);
      this.#op.enqueue({ wake: at }, { delay });
    }
  }
}

/**
 * Runs `attempt` until its commit holds: at most ten tries within the store's patience, then `store_busy`. What the
 * attempt throws goes to the caller and nothing is written; but a refusal, too, must rest on what is still so: a twin of
 * the same call may have come first, and the next attempt finds its answer. When a commit is refused the loop first
 * looks whether its own write is already there, because a client may repeat a commit whose answer was lost.
 */
export async function change<T>(
  store: Store,
  attempt: (tx: Change) => Promise<T>,
  clock: () => number = Date.now,
): Promise<T> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // A remote store never times out by itself.
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(storeBusy()), store.patienceMs);
  });
  try {
    return await Promise.race([tryUntilCommitted(store, attempt, { clock, late: late.signal }), limit]);
  } finally {
    late.abort();
    clearTimeout(timer);
  }
}

async function tryUntilCommitted<T>(
  store: Store,
  attempt: (tx: Change) => Promise<T>,
  { clock, late }: { clock: () => number; late: AbortSignal },
): Promise<T> {
  const id = newId();
  for (let tries = 0; tries < TRIES_MAX && !late.aborted; tries++) {
    const tx = new Change(store, id, clock());
    const done = await tryOnce(store, tx, { attempt, late });
    if (done) return done.result;
    await wait(backoffMs(tries, RETRY, Math.random()), late);
  }
  throw storeBusy();
}

/** Null: something changed under the attempt, and it has to be run again. */
async function tryOnce<T>(
  store: Store,
  tx: Change,
  { attempt, late }: { attempt: (tx: Change) => Promise<T>; late: AbortSignal },
): Promise<{ result: T } | null> {
  let result: T;
  try {
    result = await attempt(tx);
  } catch (error) {
    if (!(error instanceof AppError) || await tx.holds()) throw error;
    return null;
  }
  if (!tx.written || late.aborted) return { result };
  if (!await isCommitted(tx)) return null;
  store.onAnnounce(tx.topics);
  tx.dues.forEach((at) => store.onDue(at));
  return { result };
}

async function isOk(op: Deno.AtomicOperation): Promise<boolean> {
  try {
    return (await op.commit()).ok;
  } catch (error) {
    if (isLocked(error)) return false;
    throw error;
  }
}

async function isCommitted(tx: Change): Promise<boolean> {
  try {
    if (await tx.commit()) return true;
  } catch (cause) {
    if (await isThere(tx).catch(() => false)) return true;
    throw new AppError("store_busy", "The store could not take the change. Try again in a moment.", {
      cause,
      retryAfterSeconds: 1,
    });
  }
  return await isThere(tx);
}

/** Any one record tells: a commit lands whole, and another writer may have changed some of them since. */
async function isThere(tx: Change): Promise<boolean> {
  const records = await Promise.all(tx.puts.map((key) => tx.get<Versioned>(key)));
  return records.some((record) => record.value?.change === tx.id);
}

function storeBusy(): AppError {
  return new AppError("store_busy", "The store is busy with other changes to the same thing. Try again in a moment.", {
    retryAfterSeconds: 1,
  });
}

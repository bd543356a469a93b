/**
 * The loop that does what is due. It looks when something rings: a commit of this process, a queued message at the exact
 * time where the store has queues, a timer where it has none, the minute cron in any case. Whoever rings, the due keys
 * in the store say what is to be done. What takes long, such as a machine that a provider is deleting, holds up nothing
 * else.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { type DueItem, listDue, nextDueAt, settleDue, takeDue } from "../store/due.ts";
import { handleDue } from "./handlers.ts";

const ITEMS_AT_ONCE = 50;
/** Most of them wait for a provider; more at once would only get into each other's way in the store. */
const WORKERS = 8;
/** A timer is not set further ahead than this: clocks jump, and the cron comes every minute. */
const TIMER_MAX_MS = 60_000;
/** A due key this near in the future is waited for by a timer, also where there are queues: those come late. */
const NEAR_MS = 1_000;
/** After the store failed it is asked again this soon. */
const RETRY_MS = 1_000;

export interface LoopOptions {
  /** Ring by queued messages (needs a store with queues) or by timers alone. */
  queues: boolean;
}

export class DueLoop {
  readonly #edge: Edge;
  readonly #queues: boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #running: Promise<void> | null = null;
  /** What is being done now, by item. */
  readonly #doing = new Map<string, Promise<void>>();
  #again = false;
  #stopped = false;
  #listening: Promise<void> = Promise.resolve();

  constructor(edge: Edge, options: LoopOptions) {
    this.#edge = edge;
    this.#queues = options.queues;
  }

  /** Begins to listen and does what has become due meanwhile. */
  start(): void {
    this.#edge.store.onDue = (at) => this.#onDue(at);
    if (this.#queues) this.#listening = this.#listen();
    this.ring();
  }

  /** Looks now. Rings during a run lead to one more run. */
  ring(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing that was due is left undone. */
  async settled(): Promise<void> {
    while (this.#running || this.#doing.size > 0) await (this.#running ?? Promise.race(this.#doing.values()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#edge.store.onDue = () => {};
    clearTimeout(this.#timer);
    await this.#running;
    await Promise.all(this.#doing.values());
  }

  /** Resolves after the store was closed: the queue's listener ends with it. */
  async closed(): Promise<void> {
    await this.#listening;
  }

  #onDue(at: number): void {
    const now = this.#edge.clock();
    if (at <= now) this.ring();
    else if (!this.#queues || at - now <= NEAR_MS) this.#setTimer(at, now);
  }

  #setTimer(at: number, now: number): void {
    if (this.#stopped || at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.ring();
    }, Math.min(TIMER_MAX_MS, Math.max(1, at - now)));
  }

  /** A message only wakes the loop and is done at once: a handler over five seconds would be delivered again. */
  async #listen(): Promise<void> {
    try {
      await this.#edge.store.kv.listenQueue(() => this.ring());
    } catch (error) {
      if (!this.#stopped) this.#edge.log.error("queue_listener_broke", { error });
    }
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        await this.#beginDue();
        await this.#setNextTimer();
      } catch (error) {
        if (this.#stopped) break;
        this.#edge.log.error("due_loop_failed", { error });
        this.#setTimer(this.#edge.clock() + RETRY_MS, this.#edge.clock());
      }
    }
    // In the same turn as the last look at `again`, so that no ring falls between the two.
    this.#running = null;
  }

  /** Begins all that is due, as there is room for it, and does not wait for its end. */
  async #beginDue(): Promise<void> {
    while (!this.#stopped) {
      const items = await listDue(this.#edge.store, this.#edge.clock(), ITEMS_AT_ONCE);
      if (items.length === 0) return;
      for (const item of items) {
        while (this.#doing.size >= WORKERS) await Promise.race(this.#doing.values());
        if (this.#stopped) return;
        const taken = await takeDue(this.#edge.store, item, this.#edge.clock());
        if (taken) this.#begin(taken);
      }
    }
  }

  /** An item that takes longer than its lease is due again, and is not done twice at once. */
  #begin(item: DueItem): void {
    const name = `${item.kind} ${item.id} ${item.token}`;
    if (this.#doing.has(name)) return;
    const done = this.#doItem(item).finally(() => {
      this.#doing.delete(name);
      // What it made due, whoever heard of it.
      this.ring();
    });
    this.#doing.set(name, done);
  }

  async #doItem(item: DueItem): Promise<void> {
    try {
      await handleDue(this.#edge, item);
      await settleDue(this.#edge.store, item);
      this.#edge.metrics.count("hearth_due_items_total", { kind: item.kind, outcome: "ok" });
    } catch (error) {
      // The key stays where it was moved to: the item comes back by itself.
      if (this.#stopped) return;
      this.#edge.metrics.count("hearth_due_items_total", { kind: item.kind, outcome: "failed" });
      this.#edge.log.error("due_item_failed", { kind: item.kind, id: item.id, reason: messageOf(error), error });
    }
  }

  async #setNextTimer(): Promise<void> {
    const at = await nextDueAt(this.#edge.store);
    if (at !== null) this.#setTimer(at, this.#edge.clock());
  }
}

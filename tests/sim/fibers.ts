/**
 * Operations that take turns. Each is real code that runs until it asks for something outside (the store, a provider, a
 * short wait): there it is parked, and goes on only when it is picked. So one operation runs at a time, the order is the
 * seed's, and one that is killed stays for ever between two steps, as if its process had died.
 */
import { setImmediate } from "node:timers";

/** A wait this short is a turn like any other; a longer one ends when the virtual clock gets there. */
const SHORT_WAIT_MS = 1_000;
/** Real time without any progress of an operation that is not parked: it awaits something that is not simulated. */
const STUCK_MS = 20_000;

/** What of the platform's cryptography takes its own time. */
const CRYPTO = ["digest", "sign", "verify", "importKey"] as const;

interface Ticket {
  label: string;
  timer: number | null;
  fire: () => Promise<void>;
}

interface LongTimer {
  id: number;
  at: number;
  fiber: Fiber;
  fire: () => void;
}

export type Outcome<T> = { kind: "ok"; value: T } | { kind: "error"; error: unknown } | { kind: "lost" };

/** One operation of one process of the edge. */
export interface Fiber {
  readonly id: number;
  readonly name: string;
  readonly process: number;
  readonly tickets: Ticket[];
  done: boolean;
  killed: boolean;
  /** Faults that were injected into it. */
  injected: string[];
  /** How many of them were reads: what a whole step of a sweep rests on. */
  readsFailed: number;
  onEnd: (outcome: Outcome<unknown>) => void;
}

export class Fibers implements Disposable {
  /** Those that can be picked. */
  live: Fiber[] = [];
  #current: Fiber | null = null;
  #timers: LongTimer[] = [];
  #lastId = 0;
  #lastTimer = 0;
  readonly #clock: () => number;
  #outside = 0;
  readonly #crypto: Record<string, unknown> = {};
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  constructor(clock: () => number) {
    this.#clock = clock;
    globalThis.setTimeout = ((run: () => void, ms = 0) => this.#setTimeout(run, ms)) as typeof setTimeout;
    globalThis.clearTimeout = ((id?: number) => this.#clearTimeout(id)) as typeof clearTimeout;
    for (const name of CRYPTO) this.#count(name);
  }

  get current(): Fiber | null {
    return this.#current;
  }

  /** Adds an operation; it begins when it is picked for the first time. */
  spawn<T>(
    about: { name: string; process: number },
    work: (fiber: Fiber) => Promise<T>,
    onEnd: (outcome: Outcome<T>) => void = () => {},
  ): Fiber {
    const fiber: Fiber = {
      ...about,
      id: ++this.#lastId,
      tickets: [],
      done: false,
      killed: false,
      injected: [],
      readsFailed: 0,
      onEnd: onEnd as (outcome: Outcome<unknown>) => void,
    };
    this.live.push(fiber);
    const end = (outcome: Outcome<T>) => {
      if (fiber.killed) return;
      fiber.done = true;
      onEnd(outcome);
    };
    this.park(fiber, "begin", () => {}).then(() => work(fiber)).then(
      (value) => end({ kind: "ok", value }),
      (error) => end({ kind: "error", error }),
    );
    return fiber;
  }

  /** Waits to be picked, then does `act` as one step. */
  park<T>(fiber: Fiber, label: string, act: () => Promise<T> | T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#addTicket(fiber, label, null, async () => {
      try {
        resolve(await act());
      } catch (error) {
        reject(error);
      }
    });
    return promise;
  }

  /** Lets `fiber` do one step; resolves when it is parked again or has ended. */
  async step(fiber: Fiber): Promise<void> {
    const ticket = fiber.tickets.shift()!;
    this.#current = fiber;
    await ticket.fire();
    await this.#settle(fiber);
    this.#current = null;
    if (fiber.done && fiber.tickets.length === 0) this.#forget(fiber);
  }

  /** It never goes on. Whoever waits for its answer gets none. */
  kill(fiber: Fiber): void {
    fiber.killed = true;
    fiber.tickets.length = 0;
    this.#timers = this.#timers.filter((timer) => timer.fiber !== fiber);
    this.#forget(fiber);
    if (!fiber.done) fiber.onEnd({ kind: "lost" });
  }

  /** Ends the long waits that are over by now. */
  async fireTimers(): Promise<void> {
    while (true) {
      const due = this.#timers.find((timer) => timer.at <= this.#clock());
      if (!due) return;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#current = due.fiber;
      due.fire();
      await this.#settle(due.fiber);
      this.#current = null;
      if (due.fiber.done && due.fiber.tickets.length === 0) this.#forget(due.fiber);
    }
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
    Object.assign(SubtleCrypto.prototype, this.#crypto);
  }

  /** Counts what is under way outside of the simulation. */
  #count(name: (typeof CRYPTO)[number]): void {
    const real = SubtleCrypto.prototype[name] as (...args: unknown[]) => Promise<unknown>;
    this.#crypto[name] = real;
    const counted = (subtle: SubtleCrypto, args: unknown[]) => {
      this.#outside++;
      return real.apply(subtle, args).finally(() => this.#outside--);
    };
    Object.assign(SubtleCrypto.prototype, {
      [name](this: SubtleCrypto, ...args: unknown[]) {
        return counted(this, args);
      },
    });
  }

  #forget(fiber: Fiber): void {
    this.live = this.live.filter((each) => each !== fiber);
  }

  #addTicket(fiber: Fiber, label: string, timer: number | null, fire: () => Promise<void>): void {
    if (fiber.killed) return;
    fiber.tickets.push({ label, timer, fire });
  }

  async #settle(fiber: Fiber): Promise<void> {
    const began = performance.now();
    await flush();
    // Hashing and signing run on threads of their own, as long as they like: nobody else goes on meanwhile.
    while (this.#outside > 0 || (!fiber.done && fiber.tickets.length === 0)) {
      if (performance.now() - began > STUCK_MS) throw new Error(`${fiber.name} awaits what is not simulated`);
      await flush();
    }
  }

  #setTimeout(run: () => void, ms: number): number {
    const fiber = this.#current;
    if (!fiber) return Number(this.#real.setTimeout(run, ms));
    const id = -(++this.#lastTimer);
    if (ms >= SHORT_WAIT_MS) this.#timers.push({ id, at: this.#clock() + ms, fiber, fire: run });
    else this.#addTicket(fiber, "wait", id, () => Promise.resolve(run()));
    return id;
  }

  #clearTimeout(id: number | undefined): void {
    if (id === undefined || id >= 0) return this.#real.clearTimeout(id);
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
    for (const fiber of this.live) {
      const at = fiber.tickets.findIndex((ticket) => ticket.timer === id);
      if (at >= 0) fiber.tickets.splice(at, 1);
    }
  }
}

/** Resolves when everything that could run has run. */
function flush(): Promise<void> {
  return new Promise((resolve) => void setImmediate(() => resolve()));
}

/**
 * Ends a turn that is silent for too long. While a tool call executes the limit is another one: a silent build is
 * normal, a silent model is not. While a person is asked the clock stands still.
 */
export interface StallLimits {
  turnStallTimeoutMs: number;
  toolStallTimeoutMs: number;
}

/** Open tool calls that are remembered; more than any agent runs at once. */
const TOOLS_MAX = 1_000;

export class Watchdog {
  readonly #limits: StallLimits;
  readonly #onStall: (afterMs: number) => void;
  readonly #tools = new Set<string>();
  /** By `performance.now()`, like all times here: a clock that is set forward is no silence. */
  #touchedAtMs = performance.now();
  #lastChanceMs: number | null = null;
  #holds = 0;
  #stopped = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(limits: StallLimits, onStall: (afterMs: number) => void) {
    this.#limits = limits;
    this.#onStall = onStall;
    this.#arm();
  }

  /** Something came from the coding agent. */
  touch(): void {
    this.#touchedAtMs = performance.now();
  }

  noteTool(toolCallId: string, status: string | null): void {
    const before = this.#tools.size;
    if (status === "completed" || status === "failed") this.#tools.delete(toolCallId);
    else if (this.#tools.size < TOOLS_MAX) this.#tools.add(toolCallId);
    if (this.#tools.size !== before) this.#arm();
  }

  /** Somebody is asked: until the answer, which ends the hold, silence means nothing. */
  hold(): Disposable {
    this.#holds++;
    return {
      [Symbol.dispose]: () => {
        this.#holds--;
        this.touch();
        this.#arm();
      },
    };
  }

  /** The turn has this long from now on to end, whatever comes meanwhile. */
  limitTo(ms: number): void {
    this.#lastChanceMs ??= performance.now() + ms;
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#disarm();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #limitMs(): number {
    return this.#tools.size > 0 ? this.#limits.toolStallTimeoutMs : this.#limits.turnStallTimeoutMs;
  }

  #arm(): void {
    this.#disarm();
    if (this.#stopped) return;
    const silentUntil = this.#touchedAtMs + this.#limitMs();
    const until = this.#lastChanceMs === null ? silentUntil : Math.min(silentUntil, this.#lastChanceMs);
    this.#timer = setTimeout(() => this.#check(), Math.max(1, until - performance.now()));
  }

  #check(): void {
    const now = performance.now();
    const isOver = this.#lastChanceMs !== null && now >= this.#lastChanceMs;
    if (this.#holds > 0 && !isOver) this.touch();
    if (isOver || now - this.#touchedAtMs >= this.#limitMs()) {
      this.#onStall(Math.round(now - this.#touchedAtMs));
    } else this.#arm();
  }
}

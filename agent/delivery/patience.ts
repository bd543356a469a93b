/**
 * How long a line waits after a try that failed: anything between the shortest interval and one that doubles, so that
 * many who failed together do not return together. It never gives up; after a long failure it only asks rarely.
 */
import type { AgentConfig } from "../config.ts";

export type PatienceConfig = Pick<
  AgentConfig,
  "msgRetryInitialIntervalMs" | "msgRetryMaxIntervalMs" | "msgRetryMaxElapsedTimeMs"
>;

/** Beyond it a number is no help any more. */
const DOUBLINGS_MAX = 30;

export class Patience {
  #config: PatienceConfig;
  readonly #random: () => number;
  #attempt = 0;
  #failingSince: number | null = null;

  constructor(config: PatienceConfig, random = Math.random) {
    this.#config = config;
    this.#random = random;
  }

  succeeded(): void {
    this.#attempt = 0;
    this.#failingSince = null;
  }

  /** Milliseconds until the next try. `now` is monotonic; what the edge asks for wins. */
  failed(now: number, retryAfterMs?: number): number {
    const { msgRetryInitialIntervalMs: shortest, msgRetryMaxIntervalMs: longest } = this.#config;
    this.#failingSince ??= now;
    if (now - this.#failingSince > this.#config.msgRetryMaxElapsedTimeMs) return retryAfterMs ?? longest;
    const ceiling = Math.min(longest, shortest * 2 ** Math.min(++this.#attempt, DOUBLINGS_MAX));
    return retryAfterMs ?? Math.round(shortest + (ceiling - shortest) * this.#random());
  }
}

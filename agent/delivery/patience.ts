/** How long a line waits after a try that failed. It never gives up; after a long failure it only asks rarely. */
import { backoffMs } from "../../lib/backoff.ts";
import type { AgentConfig } from "../config.ts";

export type PatienceConfig = Pick<
  AgentConfig,
  "msgRetryInitialIntervalMs" | "msgRetryMaxIntervalMs" | "msgRetryMaxElapsedTimeMs"
>;

export class Patience {
  #config: PatienceConfig;
  #attempt = 0;
  #failingSince: number | null = null;

  constructor(config: PatienceConfig) {
    this.#config = config;
  }

  succeeded(): void {
    this.#attempt = 0;
    this.#failingSince = null;
  }

  /** Milliseconds until the next try. `now` is monotonic; what the edge asks for wins. */
  failed(now: number, retryAfterMs?: number): number {
    this.#failingSince ??= now;
    const worn = now - this.#failingSince > this.#config.msgRetryMaxElapsedTimeMs;
    const attempt = worn ? Infinity : this.#attempt++;
    const range = { initialMs: this.#config.msgRetryInitialIntervalMs, maxMs: this.#config.msgRetryMaxIntervalMs };
    return retryAfterMs ?? backoffMs(attempt, range, Math.random());
  }
}

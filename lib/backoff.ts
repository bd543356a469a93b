/**
 * Waiting between tries: exponential growth with jitter over the upper half, so that many who failed together do not
 * return together.
 */

export interface BackoffRange {
  initialMs: number;
  maxMs: number;
}

/** Milliseconds to wait before try number `attempt` + 1 (attempt 0 is the first that failed); `random` is in [0, 1). */
export function backoffMs(attempt: number, range: BackoffRange, random: number): number {
  const ceiling = Math.min(range.maxMs, range.initialMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

/** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

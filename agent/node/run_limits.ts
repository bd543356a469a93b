/** The limits of a run in money, time and turns, as its owner set them. Pure. */

export interface RunLimits {
  maxCostUsd: number | null;
  maxMinutes: number | null;
  maxTurns: number | null;
}

/** The limit that was reached, in a sentence; null while there is room. */
export function reachedLimit(
  limits: RunLimits,
  used: { costUsd: number | null; startedAtMs: number; turns: number; now: number },
): string | null {
  if (limits.maxCostUsd !== null && (used.costUsd ?? 0) >= limits.maxCostUsd) {
    return `The run reached its limit of ${limits.maxCostUsd} USD.`;
  }
  if (limits.maxMinutes !== null && used.now - used.startedAtMs >= limits.maxMinutes * 60_000) {
    return `The run reached its limit of ${limits.maxMinutes} minutes.`;
  }
  if (limits.maxTurns !== null && used.turns > limits.maxTurns) {
    return `The run reached its limit of ${limits.maxTurns} ${limits.maxTurns === 1 ? "turn" : "turns"}.`;
  }
  return null;
}

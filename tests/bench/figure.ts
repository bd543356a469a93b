/** What a bench measures: figures with units, compared with a baseline of the same run wherever the machine matters. */

export interface Figure {
  name: string;
  value: number;
  unit: "ms" | "per s" | "ratio" | "MB" | "bytes" | "count";
  /** What is aimed at, in the same unit. */
  goal?: { atLeast?: number; atMost?: number };
  /** What it was compared with, in words. */
  note?: string;
}

export interface Bench {
  title: string;
  measure(): Promise<Figure[]>;
}

/** The value below which `share` of the samples lie (0.5: the median). */
export function percentile(samples: number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function median(samples: number[]): number {
  return percentile(samples, 0.5);
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/**
 * Which rows of a long list are in the document: those around the place that is looked at. Heights are the measured
 * ones, and for rows that never were in the document the average of those. Pure but for the heights that are kept.
 */

/** Shown beyond either edge, so that a quick scroll meets rows that are there already. */
export const OVERSCAN_PX = 1_500;
/** Before anything was measured: about a short paragraph. */
const HEIGHT_GUESS_PX = 96;

export class Heights {
  readonly #known = new Map<string, number>();
  #sum = 0;

  of(key: string): number {
    return this.#known.get(key) ?? this.average;
  }

  get average(): number {
    return this.#known.size === 0 ? HEIGHT_GUESS_PX : this.#sum / this.#known.size;
  }

  set(key: string, height: number): void {
    this.#sum += height - (this.#known.get(key) ?? 0);
    this.#known.set(key, height);
  }

  /** The width has changed, or another list is shown. */
  clear(): void {
    this.#known.clear();
    this.#sum = 0;
  }
}

export interface Keyed {
  key: string;
}

/** A row and where its upper edge lies below the upper edge of what is seen. */
export interface Anchor {
  key: string;
  top: number;
}

export interface Range {
  start: number;
  end: number;
}

/** The rows to show around row `index`, whose upper edge lies `top` below the upper edge of a view `room` high. */
export function rangeAround(
  rows: readonly Keyed[],
  heights: Heights,
  { index, top, room, overscan = OVERSCAN_PX }: { index: number; top: number; room: number; overscan?: number },
): Range {
  let start = Math.min(index, rows.length);
  for (let y = top; start > 0 && y > -overscan;) y -= heights.of(rows[--start]!.key);
  let end = Math.min(index, rows.length);
  for (let y = top; end < rows.length && y < room + overscan;) y += heights.of(rows[end++]!.key);
  return { start, end };
}

/** The height of the rows from `start` up to `end`. */
export function heightBetween(rows: readonly Keyed[], heights: Heights, { start, end }: Range): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += heights.of(rows[at]!.key);
  return sum;
}

/** The row at `y` below the first row's upper edge. */
export function rowAt(rows: readonly Keyed[], heights: Heights, y: number): Anchor | null {
  let edge = 0;
  for (const { key } of rows) {
    const height = heights.of(key);
    if (edge + height > y) return { key, top: edge - y };
    edge += height;
  }
  const last = rows.at(-1);
  return last ? { key: last.key, top: edge - heights.of(last.key) - y } : null;
}

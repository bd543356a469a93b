/**
 * Holds the reader's place in a scrolling list of rows of which only some are in the document. At the bottom it stays
 * at the bottom; elsewhere the first row that is seen stays where it is, whatever comes, goes or grows around it.
 */
import {
  type Anchor,
  heightBetween,
  Heights,
  type Keyed,
  OVERSCAN_PX,
  type Range,
  rangeAround,
  rowAt,
} from "./row_window.ts";

/** Still counts as being at the bottom: a line or two, as trackpads stop short. */
const BOTTOM_PX = 60;
/** Rows in the very first rendering, before anything can be measured. */
const FIRST_ROWS = 30;

export interface Layout extends Range {
  /** Height in place of the rows before and after those in the document. */
  before: number;
  after: number;
}

export class RowScroller {
  bottom = true;
  readonly #heights = new Heights();
  #rows: readonly Keyed[] = [];
  #layout: Layout = { start: 0, end: 0, before: 0, after: 0 };
  #anchor: Anchor | null = null;
  #element: HTMLElement | null = null;
  /** Of the scrolling element as of the last look: to know a scroll from a change of size. */
  #seen = { top: 0, height: 0, room: 0, width: 0 };

  /** Another list is shown, from its end. */
  reset(): void {
    this.bottom = true;
    this.#anchor = null;
    this.#heights.clear();
  }

  /** Which rows to render now. Call while rendering, before the document changes. */
  plan(rows: readonly Keyed[]): Layout {
    this.#look();
    this.#rows = rows;
    const element = this.#element;
    if (!element) {
      return this.#layout = { start: Math.max(0, rows.length - FIRST_ROWS), end: rows.length, before: 0, after: 0 };
    }
    const room = element.clientHeight;
    const index = this.#anchor && !this.bottom ? rows.findIndex(({ key }) => key === this.#anchor!.key) : -1;
    const from = index < 0 ? { index: rows.length, top: room } : { index, top: this.#anchor!.top };
    const { start, end } = rangeAround(rows, this.#heights, { ...from, room });
    const before = heightBetween(rows, this.#heights, { start: 0, end: start });
    const after = heightBetween(rows, this.#heights, { start: end, end: rows.length });
    return this.#layout = { start, end, before, after };
  }

  /** Call when the document holds what was planned: measures it and puts the reader's place right. */
  settle(element: HTMLElement | null): void {
    this.#element = element;
    if (!element || element.clientHeight === 0) return;
    this.#look();
    if (this.#seen.width !== element.clientWidth) this.#heights.clear();
    for (const row of rowsIn(element)) this.#heights.set(row.dataset.row!, row.offsetHeight);
    if (this.bottom) element.scrollTop = element.scrollHeight;
    else this.#holdAnchor(element);
    this.#remember(element);
  }

  /** Call on a scroll; true when other rows are needed in the document. */
  scrolled(): boolean {
    const element = this.#element;
    if (!element || element.clientHeight === 0 || this.#isResized(element)) return false;
    // Who leaves the end goes up. What has grown below, or got narrow, since the last look is put right by `settle`.
    const up = element.scrollTop < this.#seen.top - 1;
    this.bottom = distance(element) < BOTTOM_PX || (this.bottom && !up);
    this.#anchor = this.#findAnchor(element);
    this.#remember(element);
    const wanted = this.#wanted(element);
    return wanted.start < this.#layout.start || wanted.end > this.#layout.end;
  }

  toBottom(): void {
    this.bottom = true;
    if (this.#element) this.#element.scrollTop = this.#element.scrollHeight;
  }

  /** Scrolled in this very frame: its event comes only after the change that is about to be drawn. */
  #look(): void {
    const element = this.#element;
    if (!element || element.clientHeight === 0 || element.scrollTop === this.#seen.top) return;
    if (this.#isResized(element)) return;
    if (this.#seen.height - element.scrollTop - this.#seen.room >= BOTTOM_PX) this.bottom = false;
    const moved = element.scrollTop - this.#seen.top;
    const near = this.#anchor && Math.abs(moved) < OVERSCAN_PX;
    this.#anchor = near ? { key: this.#anchor!.key, top: this.#anchor!.top - moved } : this.#findAnchor(element);
    this.#seen.top = element.scrollTop;
  }

  /** Half the overscan still there is enough: so a scroll renders now and then, not at every event. */
  #wanted(element: HTMLElement): Range {
    if (!this.#anchor) return this.#layout;
    const index = this.#rows.findIndex(({ key }) => key === this.#anchor!.key);
    if (index < 0) return this.#layout;
    const { top } = this.#anchor;
    return rangeAround(this.#rows, this.#heights, {
      index,
      top,
      room: element.clientHeight,
      overscan: OVERSCAN_PX / 2,
    });
  }

  /** The first row that is seen; where none is in the document, the one that would be there. */
  #findAnchor(element: HTMLElement): Anchor | null {
    const top = element.scrollTop;
    let first = Infinity;
    for (const row of rowsIn(element)) {
      first = Math.min(first, row.offsetTop);
      if (row.offsetTop + row.offsetHeight <= top || row.offsetTop >= top + element.clientHeight) continue;
      return { key: row.dataset.row!, top: row.offsetTop - top };
    }
    if (first === Infinity) return null;
    return rowAt(this.#rows, this.#heights, top - (first - this.#layout.before));
  }

  #holdAnchor(element: HTMLElement): void {
    const anchor = this.#anchor;
    if (!anchor) return;
    const row = rowsIn(element).find((each) => each.dataset.row === anchor.key);
    const moved = row ? row.offsetTop - element.scrollTop - anchor.top : 0;
    if (Math.abs(moved) >= 1) element.scrollTop += moved;
    this.#anchor = this.#findAnchor(element);
  }

  /** A wider column is a shorter one: what moved is then not the reader, and `settle` comes with the new size. */
  #isResized(element: HTMLElement): boolean {
    return element.clientWidth !== this.#seen.width || element.clientHeight !== this.#seen.room;
  }

  #remember(element: HTMLElement): void {
    this.#seen = {
      top: element.scrollTop,
      height: element.scrollHeight,
      room: element.clientHeight,
      width: element.clientWidth,
    };
  }
}

function rowsIn(element: HTMLElement): HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>("[data-row]")];
}

function distance(element: HTMLElement): number {
  return element.scrollHeight - element.scrollTop - element.clientHeight;
}

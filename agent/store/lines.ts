/**
 * What waits in the outbox, known without asking the disk: the ids of each workspace's rows in their order, with their
 * sizes. The outbox is the only one that writes its table and keeps both in step, so that no index is written for this
 * with every message.
 */
import type { BatchLimits, Size } from "./outbox.ts";

export interface Entry {
  id: number;
  workspaceId: string;
  bytes: number;
  /** Stands for messages that went, and is none itself. */
  isMark: boolean;
}

interface Line {
  /** Ascending. */
  ids: number[];
  bytes: number;
}

export class Lines {
  readonly #entries = new Map<number, Entry>();
  readonly #byWorkspace = new Map<string, Line>();
  readonly #total: Size = { rows: 0, bytes: 0 };

  /** What the limits count: everything but the marks. */
  get total(): Readonly<Size> {
    return this.#total;
  }

  clear(): void {
    this.#entries.clear();
    this.#byWorkspace.clear();
    Object.assign(this.#total, { rows: 0, bytes: 0 });
  }

  /** An id that is not the highest is that of a mark, which stands where a message stood. */
  add(entry: Entry): void {
    const line = this.#byWorkspace.get(entry.workspaceId) ?? { ids: [], bytes: 0 };
    this.#byWorkspace.set(entry.workspaceId, line);
    line.ids.splice(firstAfter(line.ids, entry.id), 0, entry.id);
    line.bytes += entry.bytes;
    this.#entries.set(entry.id, entry);
    this.#count(entry, 1);
  }

  /** Answers whose rows those were. */
  remove(ids: number[]): string[] {
    const gone = ids.flatMap((id) => this.#entries.get(id) ?? []);
    for (const entry of gone) {
      this.#entries.delete(entry.id);
      this.#byWorkspace.get(entry.workspaceId)!.bytes -= entry.bytes;
      this.#count(entry, -1);
    }
    const byWorkspace = Map.groupBy(gone, (entry) => entry.workspaceId);
    for (const [workspaceId, some] of byWorkspace) this.#sweep(workspaceId, some.length);
    return [...byWorkspace.keys()];
  }

  resize(id: number, bytes: number): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#count(entry, -1);
    this.#byWorkspace.get(entry.workspaceId)!.bytes += bytes - entry.bytes;
    entry.bytes = bytes;
    this.#count(entry, 1);
  }

  workspaces(): string[] {
    return [...this.#byWorkspace.keys()];
  }

  has(workspaceId: string): boolean {
    return this.#byWorkspace.has(workspaceId);
  }

  size(workspaceId: string): Size {
    const line = this.#byWorkspace.get(workspaceId);
    return { rows: line?.ids.length ?? 0, bytes: line?.bytes ?? 0 };
  }

  /** How many rows wait, marks included. */
  get depth(): number {
    return this.#entries.size;
  }

  ids(workspaceId: string): number[] {
    return [...(this.#byWorkspace.get(workspaceId)?.ids ?? [])];
  }

  /** The oldest rows that fit into a JSON array of `maxBytes`, without a gap; at least one if there is any. */
  batch(workspaceId: string, limits: BatchLimits): number[] {
    const ids = this.#byWorkspace.get(workspaceId)?.ids ?? [];
    const start = firstAfter(ids, limits.after ?? 0);
    let bytes = 0;
    let end = start;
    for (; end < Math.min(ids.length, start + limits.maxRows); end++) {
      bytes += this.#entries.get(ids[end]!)!.bytes + 1;
      if (end > start && bytes > limits.maxBytes) break;
    }
    const isFull = end < ids.length || end - start === limits.maxRows;
    return limits.full && !isFull ? [] : ids.slice(start, end);
  }

  #count(entry: Entry, times: 1 | -1): void {
    if (entry.isMark) return;
    this.#total.rows += times;
    this.#total.bytes += times * entry.bytes;
  }

  /** Takes the ids of `count` rows that are gone out of their line: mostly they are its beginning. */
  #sweep(workspaceId: string, count: number): void {
    const line = this.#byWorkspace.get(workspaceId)!;
    const first = line.ids.findIndex((id) => this.#entries.has(id));
    if (first === -1) this.#byWorkspace.delete(workspaceId);
    else if (first === count) line.ids.splice(0, count);
    else line.ids = line.ids.filter((id) => this.#entries.has(id));
  }
}

/** Where in ascending `ids` the first that is above `id` stands. */
function firstAfter(ids: number[], id: number): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle]! <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

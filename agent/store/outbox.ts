/**
 * The durable queue of messages on their way to the edge. A row leaves it only by `deleteSent`, after an
 * acknowledgement that covers it, or into the dead letters. It never refuses a message for being full: it stores the
 * new one, moves the oldest to the dead letters and marks the place in the session. Rows in flight are never evicted.
 */
import type { InStatement } from "@libsql/client";
import type { Logger } from "../../lib/log.ts";
import type { MessageFlags, MessageRole, ToolMetadata } from "../../lib/wire/message.ts";
import type { Database } from "./database.ts";
import { fitRow, jsonBytes, toWire } from "./fit.ts";
import { Listeners, Waiters } from "./listeners.ts";
import { MESSAGE_NAMES } from "./message_columns.ts";
import {
  deleteRows,
  groupNews,
  insertRow,
  lastWithin,
  toEvictable,
  toMark,
  toStoredRow,
  updateContent,
} from "./outbox_rows.ts";
import { makeRefusalMark, moveToDeadLetters, planEviction } from "./overflow.ts";

/** A single message that the edge finds too large is halved until it is below this. */
const SHRINK_MIN_BYTES = 1_024;
const EVICTION_STEP_ROWS = 500;

export interface OutboxRow {
  messageId: string;
  workspaceId: string;
  projectId: string | null;
  sessionId: string;
  role: MessageRole;
  content: string;
  toolMetadata: ToolMetadata | null;
  flags: MessageFlags | null;
  /** ISO 8601. */
  createdAt: string;
}

export interface StoredRow extends OutboxRow {
  id: number;
  /** Size of the message as it travels, in bytes of JSON. */
  bytes: number;
  attempts: number;
}

export interface OutboxOptions {
  maxRows: number;
  maxBytes: number;
  maxContentBytes: number;
  log: Logger;
}

export interface OutboxCounts {
  outboxDepth: number;
  /** Those that the edge has not taken over. */
  deadLetters: number;
  /** All that ever had to make room for others. */
  dropped: number;
}

/** Rows that wait, and the bytes that they will take on the wire. */
export interface Size {
  rows: number;
  bytes: number;
}

export interface NewRows extends Size {
  workspaceId: string;
}

export interface BatchLimits {
  maxRows: number;
  maxBytes: number;
  /** Protects the rows from eviction until they are deleted, dead or released. */
  hold?: boolean;
  /** Only rows that come after the one with this id. */
  after?: number;
  /** Only a batch that no further row could join. */
  full?: boolean;
}

/** Why the edge would not have a row; `status` is null where no answer was the reason. */
export interface Refusal {
  status: number | null;
  reason: string;
}

export interface Burial extends Refusal {
  /** Says in the conversation that a message is missing there; for refusals that speak of a row alone. */
  mark?: boolean;
}

export class Outbox {
  #db: Database;
  #options: OutboxOptions;
  #news = new Listeners<NewRows>();
  #empty = new Waiters();
  #held = new Set<number>();
  #sizes = new Map<string, Size>();
  /** What the limits count: everything but the marks of evictions. */
  #total: Size = { rows: 0, bytes: 0 };
  #loaded = false;

  constructor(db: Database, options: OutboxOptions) {
    this.#db = db;
    this.#options = options;
  }

  /**
   * Resolves when the rows are durable; rows that are known by their messageId are left as they are. `closeOpen`: this
   * message's open row goes in the same transaction. `evicted`: how many of the oldest rows had to make room.
   */
  enqueue(rows: OutboxRow[], options: { closeOpen?: string } = {}): Promise<{ evicted: number }> {
    return this.#exclusive(async () => {
      const fitted = rows.map((row) => this.#fit(row));
      const close: InStatement[] = options.closeOpen === undefined ? [] : [
        { sql: "DELETE FROM open_messages WHERE message_id = ?", args: [options.closeOpen.toLowerCase()] },
      ];
      const results = await this.#db.write([...fitted.map(insertRow), ...close]);
      const added = fitted.filter((_, at) => results[at]!.rowsAffected > 0);
      for (const row of added) this.#count(row.workspaceId, { rows: 1, bytes: row.bytes });
      const evicted = await this.#evict();
      for (const news of groupNews(added)) this.#news.call(news);
      return { evicted };
    });
  }

  /** The oldest rows of a workspace, without a gap; at least one if there is any, whatever its size. */
  oldest(workspaceId: string, limits: BatchLimits): Promise<StoredRow[]> {
    const { after = 0 } = limits;
    return this.#exclusive(async () => {
      const sizes = await this.#db.client.execute({
        sql: "SELECT id, bytes FROM message_outbox WHERE workspace_id = ? AND id > ? ORDER BY id LIMIT ?",
        args: [workspaceId, after, limits.maxRows],
      });
      const last = lastWithin(sizes.rows, limits.maxBytes);
      const isFull = sizes.rows.length === limits.maxRows || Number(sizes.rows.at(-1)?.id) !== last;
      if (last === null || (limits.full && !isFull)) return [];
      const found = await this.#db.client.execute({
        sql: `SELECT id, bytes, attempts, ${MESSAGE_NAMES} FROM message_outbox
          WHERE workspace_id = ? AND id > ? AND id <= ? ORDER BY id`,
        args: [workspaceId, after, last],
      });
      const rows = found.rows.map(toStoredRow);
      if (limits.hold) { for (const row of rows) this.#held.add(row.id); }
      return rows;
    });
  }

  /** Lets rows that were held be evicted again. */
  release(ids: number[]): void {
    for (const id of ids) this.#held.delete(id);
  }

  /** Removes rows that the edge has acknowledged. */
  deleteSent(ids: number[]): Promise<void> {
    return this.#exclusive(() => this.#remove(ids));
  }

  /** Notes a try that failed. */
  noteAttempt(ids: number[]): Promise<void> {
    return this.#exclusive(async () => {
      await this.#db.write([{
        sql: `UPDATE message_outbox SET attempts = attempts + 1, last_attempt_at = ?
          WHERE id IN (SELECT value FROM json_each(?))`,
        args: [new Date().toISOString(), JSON.stringify(ids)],
      }]);
    });
  }

  /** Moves rows to the dead letters. Marks are no messages: they are deleted. */
  deadLetter(ids: number[], burial: Burial): Promise<void> {
    return this.#exclusive(() => this.#remove(ids, burial));
  }

  /** Moves everything that waits for a workspace to the dead letters; answers how many rows those were. */
  deadLetterAll(workspaceId: string, refusal: Refusal): Promise<number> {
    return this.#exclusive(async () => {
      const found = await this.#db.client.execute({
        sql: "SELECT id FROM message_outbox WHERE workspace_id = ?",
        args: [workspaceId],
      });
      const ids = found.rows.map((row) => Number(row.id));
      await this.#remove(ids, refusal);
      return ids.length;
    });
  }

  /** Cuts a row that the edge finds too large in half: its diff first, then its content. False when it is too small. */
  shrink(row: StoredRow): Promise<boolean> {
    return this.#exclusive(async () => {
      const halfBytes = Math.ceil((jsonBytes(row.content) + jsonBytes(row.toolMetadata)) / 2);
      const half = fitRow(row, halfBytes);
      if (row.bytes < SHRINK_MIN_BYTES || half === row) return false;
      const { bytes } = this.#measure(half);
      await this.#db.write([updateContent(row.id, { ...half, bytes })]);
      this.#count(row.workspaceId, { rows: 0, bytes: bytes - row.bytes });
      return true;
    });
  }

  depth(workspaceId?: string): Promise<number> {
    return this.#exclusive(() => {
      if (workspaceId !== undefined) return Promise.resolve(this.#sizes.get(workspaceId)?.rows ?? 0);
      return Promise.resolve([...this.#sizes.values()].reduce((sum, size) => sum + size.rows, 0));
    });
  }

  /** What waits for one workspace. */
  size(workspaceId: string): Promise<Size> {
    return this.#exclusive(() => Promise.resolve({ ...(this.#sizes.get(workspaceId) ?? { rows: 0, bytes: 0 }) }));
  }

  async counts(): Promise<OutboxCounts> {
    const found = await this.#db.client.execute(
      `SELECT count(*) FILTER (WHERE handed_at IS NULL) AS dead, count(*) FILTER (WHERE reason = 'overflow') AS dropped
        FROM dead_letters`,
    );
    const row = found.rows[0];
    return { outboxDepth: await this.depth(), deadLetters: Number(row?.dead), dropped: Number(row?.dropped) };
  }

  workspacesWithRows(): Promise<string[]> {
    return this.#exclusive(() => Promise.resolve([...this.#sizes.keys()]));
  }

  /** Counts anew: somebody may have put rows back with `hearth-agent outbox retry`. */
  recount(): Promise<void> {
    return this.#db.exclusive(() => this.#load());
  }

  /** Calls `listener` after rows became durable. Answers the function that ends it. */
  onRows(listener: (rows: NewRows) => void): () => void {
    return this.#news.add(listener);
  }

  /** Resolves when no row of the workspace is left (sent, or a dead letter). Rejects with the signal's reason. */
  async whenEmpty(workspaceId: string, signal?: AbortSignal): Promise<void> {
    const waiting = await this.#exclusive(() =>
      // Wrapped, because an async function would wait for the promise inside the exclusive section.
      Promise.resolve({ until: this.#sizes.has(workspaceId) ? this.#empty.wait(workspaceId, signal) : null })
    );
    await waiting.until;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#db.exclusive(async () => {
      if (!this.#loaded) await this.#load();
      return await work();
    });
  }

  async #load(): Promise<void> {
    const found = await this.#db.client.execute(
      `SELECT workspace_id, count(*) AS rows, sum(bytes) AS bytes, sum(lost = 0) AS counted,
        sum(CASE WHEN lost = 0 THEN bytes ELSE 0 END) AS counted_bytes FROM message_outbox GROUP BY workspace_id`,
    );
    this.#sizes.clear();
    this.#total = { rows: 0, bytes: 0 };
    for (const row of found.rows) {
      this.#sizes.set(String(row.workspace_id), { rows: Number(row.rows), bytes: Number(row.bytes) });
      this.#total.rows += Number(row.counted);
      this.#total.bytes += Number(row.counted_bytes);
    }
    this.#loaded = true;
  }

  #fit(row: OutboxRow): OutboxRow & { bytes: number } {
    const fitted = fitRow({ ...row, content: row.content.toWellFormed() }, this.#options.maxContentBytes);
    if (fitted.flags?.truncatedBytes !== row.flags?.truncatedBytes) {
      const { messageId, workspaceId } = row;
      this.#options.log.warn("message_truncated", { messageId, workspaceId, ...fitted.flags });
    }
    return this.#measure(fitted);
  }

  #measure<T extends OutboxRow>(row: T): T & { bytes: number } {
    return { ...row, bytes: jsonBytes(toWire(row)) };
  }

  #count(workspaceId: string, change: Size, mark = false): void {
    const size = this.#sizes.get(workspaceId) ?? { rows: 0, bytes: 0 };
    size.rows += change.rows;
    size.bytes += change.bytes;
    this.#sizes.set(workspaceId, size);
    if (!mark) {
      this.#total.rows += change.rows;
      this.#total.bytes += change.bytes;
    }
  }

  /** Looks whether a workspace that seems to be empty is: `hearth-agent outbox retry` adds rows from outside. */
  async #checkEmpty(workspaceId: string): Promise<void> {
    if ((this.#sizes.get(workspaceId)?.rows ?? 0) > 0) return;
    const found = await this.#db.client.execute({
      sql: "SELECT 1 FROM message_outbox WHERE workspace_id = ? LIMIT 1",
      args: [workspaceId],
    });
    if (found.rows.length > 0) return await this.#load();
    this.#sizes.delete(workspaceId);
    this.#empty.wake(workspaceId);
  }

  /** Deletes rows; with a refusal they are kept as dead letters. */
  async #remove(ids: number[], burial?: Burial): Promise<void> {
    const list = JSON.stringify(ids);
    const marks = burial?.mark ? await this.#refusalMarks(list, burial) : [];
    const move = burial ? [moveToDeadLetters(list, burial)] : [];
    // Rows whose deletion is lost with the machine are sent again, and the edge knows them.
    const statements = [...move, deleteRows(list), ...marks.map(insertRow)];
    const results = burial ? await this.#db.write(statements) : await this.#db.writeLightly(statements);
    this.release(ids);
    const gone = results[move.length]!.rows;
    for (const mark of marks) this.#count(mark.workspaceId, { rows: 1, bytes: mark.bytes }, true);
    for (const row of gone) {
      this.#count(String(row.workspace_id), { rows: -1, bytes: -Number(row.bytes) }, Number(row.lost) !== 0);
    }
    for (const id of new Set(gone.map((row) => String(row.workspace_id)))) await this.#checkEmpty(id);
  }

  /** One in the place of each message. */
  async #refusalMarks(ids: string, refusal: Refusal) {
    const found = await this.#db.client.execute({
      sql: `SELECT id, workspace_id, project_id, session_id, bytes FROM message_outbox
        WHERE lost = 0 AND id IN (SELECT value FROM json_each(?))`,
      args: [ids],
    });
    const at = new Date().toISOString();
    return found.rows.map((row) => this.#measure(makeRefusalMark(toEvictable(row), refusal, at)));
  }

  /** Moves the oldest rows away until the limits hold again; the newest row stays in any case. */
  async #evict(): Promise<number> {
    let evicted = 0;
    while (this.#total.rows > this.#options.maxRows || this.#total.bytes > this.#options.maxBytes) {
      const step = await this.#evictStep();
      if (step === 0) break;
      evicted += step;
    }
    if (evicted > 0) this.#options.log.warn("outbox_overflow", { evicted, rows: this.#total.rows });
    return evicted;
  }

  async #evictStep(): Promise<number> {
    const { rows, bytes } = this.#total;
    const over: Size = { rows: rows - this.#options.maxRows, bytes: bytes - this.#options.maxBytes };
    const found = await this.#db.client.execute({
      sql: `SELECT id, workspace_id, project_id, session_id, bytes FROM message_outbox
        WHERE lost = 0 AND id < (SELECT max(id) FROM message_outbox) ORDER BY id LIMIT ?`,
      // As few as will do: while the edge is away this runs for every message.
      args: [this.#held.size + (over.bytes > 0 ? EVICTION_STEP_ROWS : Math.min(over.rows, EVICTION_STEP_ROWS))],
    });
    const marks = await this.#db.client.execute(
      "SELECT id, workspace_id, bytes, lost FROM message_outbox WHERE lost > 0",
    );
    const plan = planEviction({
      oldest: found.rows.map(toEvictable).filter((row) => !this.#held.has(row.id)),
      marks: marks.rows.map(toMark).filter((mark) => !this.#held.has(mark.id)),
      over,
      at: new Date().toISOString(),
    });
    if (plan.evicted.length === 0) return 0;
    await this.#db.write([
      moveToDeadLetters(JSON.stringify(plan.evicted.map((row) => row.id)), { status: null, reason: "overflow" }),
      {
        sql: "DELETE FROM message_outbox WHERE id IN (SELECT value FROM json_each(?))",
        args: [JSON.stringify(plan.gone)],
      },
      ...plan.marks.map((mark) => insertRow(this.#measure(mark))),
    ]);
    // Marks first: a workspace whose rows all became one mark is not empty in between.
    for (const mark of plan.marks) this.#count(mark.workspaceId, { rows: 1, bytes: this.#measure(mark).bytes }, true);
    for (const mark of plan.replaced) this.#count(mark.workspaceId, { rows: -1, bytes: -mark.bytes }, true);
    for (const row of plan.evicted) this.#count(row.workspaceId, { rows: -1, bytes: -row.bytes });
    return plan.evicted.length;
  }
}

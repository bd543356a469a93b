/**
 * The durable queue of messages on their way to the edge. A row leaves it only by `deleteSent`, after an
 * acknowledgement that covers it, or into the dead letters. It never refuses a message for being full: it stores the
 * new one, moves the oldest to the dead letters and marks the place in the session. Rows in flight are never evicted.
 */
import type { Logger } from "../../lib/log.ts";
import type { MessageFlags, MessageRole, ToolMetadata } from "../../lib/wire/message.ts";
import type { Database } from "./database.ts";
import { countDeadLetters, deleteDeadLetters, wantedAgain } from "./dead_letters.ts";
import { fitRow, jsonBytes, measure } from "./fit.ts";
import { Lines } from "./lines.ts";
import { Listeners, Waiters } from "./listeners.ts";
import { fromColumns, MESSAGE_NAMES } from "./message_columns.ts";
import {
  deleteRows,
  groupNews,
  insertRow,
  LAST_ID,
  type MadeRow,
  selectStored,
  toEntry,
  toEvictable,
  toMark,
  toStoredRow,
  updateContent,
} from "./outbox_rows.ts";
import { makeRefusalMark, moveToDeadLetters, planEviction } from "./overflow.ts";
import { Together } from "./together.ts";

/** A single message that the edge finds too large is halved until it is below this. */
const SHRINK_MIN_BYTES = 1_024;
const EVICTION_STEP_ROWS = 500;
const TAKE_BACK_STEP_ROWS = 200;

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

/** A row as it is sent. */
export interface StoredRow {
  id: number;
  messageId: string;
  /** The message as it travels. */
  json: string;
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

/** What one call of `enqueue` brings. */
interface Arrival {
  rows: (OutboxRow & { bytes: number })[];
  closeOpen?: string;
}

export class Outbox {
  readonly #db: Database;
  readonly #options: OutboxOptions;
  readonly #news = new Listeners<NewRows>();
  readonly #empty = new Waiters();
  readonly #held = new Set<number>();
  readonly #lines = new Lines();
  readonly #arrivals: Together<Arrival, { evicted: number }>;
  /** The highest number that a row was ever given. */
  #lastId = 0;
  #hasDeadLetters = true;
  #loaded = false;

  constructor(db: Database, options: OutboxOptions) {
    this.#db = db;
    this.#options = options;
    this.#arrivals = new Together({
      exclusive: (work) => db.exclusive(work),
      work: (arrivals) => this.#known(() => this.#store(arrivals)),
    });
  }

  /**
   * Resolves when the rows are durable; rows that are known by their messageId are left as they are. `closeOpen`: this
   * message's open row goes in the same transaction. `evicted`: how many of the oldest rows had to make room, which the
   * last of several callers at once is told. Those who call while the disk is busy share the next transaction.
   */
  async enqueue(rows: OutboxRow[], options: { closeOpen?: string } = {}): Promise<{ evicted: number }> {
    return await this.#arrivals.add({ rows: rows.map((row) => this.#fit(row)), ...options });
  }

  /** The oldest rows of a workspace, without a gap; at least one if there is any, whatever its size. */
  oldest(workspaceId: string, limits: BatchLimits): Promise<StoredRow[]> {
    return this.#exclusive(async () => {
      const ids = this.#lines.batch(workspaceId, limits);
      if (ids.length === 0) return [];
      const found = await this.#db.client.execute(selectStored(ids));
      // Somebody was at the file: what waits is read anew.
      if (found.rows.length !== ids.length) throw new Error("Rows of the outbox are gone that it did not delete.");
      if (limits.hold) { for (const id of ids) this.#held.add(id); }
      return found.rows.map(toStoredRow);
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
      const ids = this.#lines.ids(workspaceId);
      await this.#remove(ids, refusal);
      return ids.length;
    });
  }

  /** Cuts a row that the edge finds too large in half: its diff first, then its content. False when it is too small. */
  shrink({ id }: StoredRow): Promise<boolean> {
    return this.#exclusive(async () => {
      const found = await this.#db.client.execute({
        sql: `SELECT ${MESSAGE_NAMES} FROM message_outbox WHERE id = ?`,
        args: [id],
      });
      if (!found.rows[0]) return false;
      const row = fromColumns(found.rows[0]);
      const half = fitRow(row, Math.ceil((jsonBytes(row.content) + jsonBytes(row.toolMetadata)) / 2));
      if (measure(row).bytes < SHRINK_MIN_BYTES || half === row) return false;
      const measured = measure(half);
      await this.#db.write([updateContent(id, measured)]);
      this.#lines.resize(id, measured.bytes);
      return true;
    });
  }

  /** How many rows wait, of one workspace or of all. */
  depth(workspaceId?: string): Promise<number> {
    return this.#exclusive(() =>
      Promise.resolve(workspaceId === undefined ? this.#lines.depth : this.#lines.size(workspaceId).rows)
    );
  }

  /** What waits for one workspace. */
  size(workspaceId: string): Promise<Size> {
    return this.#exclusive(() => Promise.resolve(this.#lines.size(workspaceId)));
  }

  async counts(): Promise<OutboxCounts> {
    return { outboxDepth: await this.depth(), ...await countDeadLetters(this.#db.client) };
  }

  workspacesWithRows(): Promise<string[]> {
    return this.#exclusive(() => Promise.resolve(this.#lines.workspaces()));
  }

  /** Takes back the dead letters that somebody wants to be sent again, behind all that waits, while there is room. */
  async takeBack(): Promise<void> {
    while (await this.#exclusive(() => this.#takeBackSome()) === TAKE_BACK_STEP_ROWS);
  }

  /** Calls `listener` after rows became durable. Answers the function that ends it. */
  onRows(listener: (rows: NewRows) => void): () => void {
    return this.#news.add(listener);
  }

  /** Resolves when no row of the workspace is left (sent, or a dead letter). Rejects with the signal's reason. */
  async whenEmpty(workspaceId: string, signal?: AbortSignal): Promise<void> {
    const waiting = await this.#exclusive(() =>
      // Wrapped, because an async function would wait for the promise inside the exclusive section.
      Promise.resolve({ until: this.#lines.has(workspaceId) ? this.#empty.wait(workspaceId, signal) : null })
    );
    await waiting.until;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#db.exclusive(() => this.#known(work));
  }

  /** With the lines loaded, which are not trusted any more after a fault: what of it is on the disk is not known. */
  async #known<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#loaded) await this.#load();
    try {
      return await work();
    } catch (error) {
      this.#loaded = false;
      throw error;
    }
  }

  async #load(): Promise<void> {
    const found = await this.#db.client.execute("SELECT id, workspace_id, bytes, lost FROM message_outbox ORDER BY id");
    const last = await this.#db.client.execute({
      sql: `SELECT max(coalesce((SELECT value FROM meta WHERE name = ?), 0) + 0,
        coalesce((SELECT max(id) FROM message_outbox), 0)) AS id, EXISTS (SELECT 1 FROM dead_letters) AS dead`,
      args: [LAST_ID],
    });
    this.#lines.clear();
    for (const row of found.rows) this.#lines.add(toEntry(row));
    this.#lastId = Number(last.rows[0]!.id);
    this.#hasDeadLetters = Number(last.rows[0]!.dead) === 1;
    this.#loaded = true;
  }

  async #store(arrivals: Arrival[]): Promise<{ evicted: number }[]> {
    const rows = this.#number(arrivals.flatMap((arrival) => arrival.rows));
    const closed = arrivals.flatMap(({ closeOpen }) => closeOpen?.toLowerCase() ?? []);
    const results = await this.#db.write([
      ...rows.map((row) => insertRow(row, { unlessDead: this.#hasDeadLetters })),
      ...closed.map((id) => ({ sql: "DELETE FROM open_messages WHERE message_id = ?", args: [id] })),
    ]);
    this.#tell(rows.filter((_, at) => results[at]!.rowsAffected > 0));
    const evicted = this.#isOver() ? await this.#evict() : 0;
    return arrivals.map((_, at) => ({ evicted: at === arrivals.length - 1 ? evicted : 0 }));
  }

  async #takeBackSome(): Promise<number> {
    const { rows, bytes } = this.#lines.total;
    const room = bytes < this.#options.maxBytes ? this.#options.maxRows - rows : 0;
    const wanted = await wantedAgain(this.#db.client, Math.max(0, Math.min(TAKE_BACK_STEP_ROWS, room)));
    if (wanted.ids.length === 0) return 0;
    const taken = this.#number(wanted.messages.map(measure));
    const results = await this.#db.write([...taken.map((row) => insertRow(row)), deleteDeadLetters(wanted.ids)]);
    this.#tell(taken.filter((_, at) => results[at]!.rowsAffected > 0));
    return wanted.ids.length;
  }

  #number<T extends object>(rows: T[]): (T & { id: number })[] {
    return rows.map((row, at) => Object.assign(row, { id: this.#lastId + 1 + at }));
  }

  #fit(row: OutboxRow): OutboxRow & { bytes: number } {
    const whole = row.content.isWellFormed() ? row : { ...row, content: row.content.toWellFormed() };
    const fitted = fitRow(whole, this.#options.maxContentBytes);
    if (fitted.flags?.truncatedBytes !== row.flags?.truncatedBytes) {
      const { messageId, workspaceId } = row;
      this.#options.log.warn("message_truncated", { messageId, workspaceId, ...fitted.flags });
    }
    return measure(fitted);
  }

  /** These are in the table now. */
  #add(rows: MadeRow[]): void {
    for (const { id, workspaceId, bytes, lost = 0 } of rows) {
      this.#lines.add({ id, workspaceId, bytes, isMark: lost !== 0 });
      this.#lastId = Math.max(this.#lastId, id);
    }
  }

  #tell(added: MadeRow[]): void {
    this.#add(added);
    for (const news of groupNews(added)) this.#news.call(news);
  }

  /** Deletes rows; with a refusal they are kept as dead letters. */
  async #remove(ids: number[], burial?: Burial): Promise<void> {
    const marks = burial?.mark ? await this.#refusalMarks(ids, burial) : [];
    const deletion = deleteRows(ids, this.#lastId);
    if (burial) {
      await this.#db.write([moveToDeadLetters(ids, burial), ...deletion, ...marks.map((mark) => insertRow(mark))]);
      this.#hasDeadLetters = true;
    } else {
      // Rows whose deletion is lost with the machine are sent again, and the edge knows them.
      await this.#db.writeLightly(deletion);
    }
    this.release(ids);
    const touched = this.#lines.remove(ids);
    this.#add(marks);
    for (const id of touched) if (!this.#lines.has(id)) this.#empty.wake(id);
  }

  /** One in the place of each message. */
  async #refusalMarks(ids: number[], refusal: Refusal): Promise<MadeRow[]> {
    const found = await this.#db.client.execute({
      sql: `SELECT id, workspace_id, project_id, session_id, bytes FROM message_outbox
        WHERE lost = 0 AND id IN (SELECT value FROM json_each(?))`,
      args: [JSON.stringify(ids)],
    });
    const at = new Date().toISOString();
    return found.rows.map((row) => measure(makeRefusalMark(toEvictable(row), refusal, at)));
  }

  #isOver(): boolean {
    const { rows, bytes } = this.#lines.total;
    return rows > this.#options.maxRows || bytes > this.#options.maxBytes;
  }

  /** Moves the oldest rows away until the limits hold again; the newest row stays in any case. */
  async #evict(): Promise<number> {
    let evicted = 0;
    while (this.#isOver()) {
      const step = await this.#evictStep();
      if (step === 0) break;
      evicted += step;
    }
    if (evicted > 0) this.#options.log.warn("outbox_overflow", { evicted, rows: this.#lines.total.rows });
    return evicted;
  }

  async #evictStep(): Promise<number> {
    const { rows, bytes } = this.#lines.total;
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
    const left = plan.marks.map(measure);
    await this.#db.write([
      moveToDeadLetters(plan.evicted.map((row) => row.id), { status: null, reason: "overflow" }),
      ...deleteRows(plan.gone, this.#lastId),
      ...left.map((mark) => insertRow(mark)),
    ]);
    this.#hasDeadLetters = true;
    this.#lines.remove(plan.gone);
    this.#add(left);
    return plan.evicted.length;
  }
}

/**
 * Brings the messages of one workspace to the edge: one request in flight, always the oldest rows without a gap. A row
 * is deleted only when the edge has accounted for it, and becomes a dead letter only when the edge refuses it for good;
 * in every other case the line waits and tries again, for as long as the rows exist. While a backlog is sent, the disk
 * is written and read beside the request under way.
 */
import { wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import { problem } from "../../lib/wire/problem.ts";
import type { AgentConfig } from "../config.ts";
import type { BatchLimits, Burial, Outbox, OutboxRow, Refusal, StoredRow } from "../store/outbox.ts";
import { type EdgeClient, NetworkError } from "./edge_client.ts";
import { aborted, Latch } from "./latch.ts";
import { Patience } from "./patience.ts";
import { type Answer, decideBatch } from "./retry.ts";

/** While rows keep coming there is at most one request in this time, so that a stream travels in batches. */
const PACE_MS = 250;
/** One deletion of many rows costs much less than many of a few. */
const DELETE_EVERY_BATCHES = 4;
/** The disk holds the thread: a request that was handed in just before it would leave only afterwards. */
const LEAVE_MS = 1;
/** `{"messages":[` and `]}` around the rows. */
const BODY_FRAME_BYTES = 16;

export type ReporterConfig = Pick<
  AgentConfig,
  | "msgBatchMaxWaitMs"
  | "msgBatchMaxSize"
  | "msgBatchMaxBytes"
  | "msgRetryInitialIntervalMs"
  | "msgRetryMaxIntervalMs"
  | "msgRetryMaxElapsedTimeMs"
  | "msgRefusedHoldMs"
>;

export interface ReporterOptions {
  workspaceId: string;
  /** Null for a workspace without a chat session: then nothing is stored and nothing is sent. */
  sessionId: string | null;
  outbox: Outbox;
  edge: EdgeClient;
  config: ReporterConfig;
  log: Logger;
}

export class Reporter implements AsyncDisposable {
  readonly workspaceId: string;
  readonly enabled: boolean;
  #options: ReporterOptions;
  #config: ReporterConfig;
  #log: Logger;
  #closing = false;
  #cut = new AbortController();
  /** New rows; and what ends a pause: a new token, or the end. */
  #news = new Latch();
  #nudge = new Latch();
  #unsubscribe: () => void;
  #running: Promise<void>;
  #idle = true;

  /** Accounted for by the edge, and not deleted yet. */
  #sent: number[] = [];
  #lastRequestAt = -Infinity;
  #patience: Patience;
  #refusedSince: number | null = null;
  /** How many rows the edge takes at once; lowered when it found a batch too large. */
  #rowsAtOnce: number;
  /** Rows up to this id are sent one by one: one of them is bad, and the edge did not say which. */
  #singlyUntil = 0;
  /** The next request is part of sorting out a refused batch, and does not keep to the pace. */
  #sorting = false;

  constructor(options: ReporterOptions) {
    this.workspaceId = options.workspaceId;
    this.enabled = options.sessionId !== null;
    this.#options = options;
    this.#config = options.config;
    this.#log = options.log.with({ workspaceId: options.workspaceId });
    this.#patience = new Patience(options.config);
    this.#rowsAtOnce = options.config.msgBatchMaxSize;
    if (!this.enabled) {
      this.#unsubscribe = () => {};
      this.#running = Promise.resolve();
      return;
    }
    this.#unsubscribe = options.outbox.onRows((news) => {
      if (news.workspaceId === this.workspaceId) this.#news.open();
    });
    this.#running = this.#run();
  }

  /** Nothing waits and nothing is under way. */
  get idle(): boolean {
    return this.#idle;
  }

  /** The edge refuses the workspace, and its rows wait for it to come to its senses. */
  get isHeld(): boolean {
    return this.#refusedSince !== null && !this.#idle;
  }

  /** Stores messages of this workspace's session; see `Outbox.enqueue`. */
  async enqueue(rows: OutboxRow[], options: { closeOpen?: string } = {}): Promise<{ evicted: number }> {
    return this.enabled ? await this.#options.outbox.enqueue(rows, options) : { evicted: 0 };
  }

  /** The token of the next request. A line that waits tries again at once. */
  setToken(token: string): void {
    if (!this.enabled) return;
    this.#options.edge.setTokens({ workspaceTokens: { [this.workspaceId]: token } });
    this.#nudge.open();
  }

  /** Looks for rows that came without an event. */
  poke(): void {
    this.#news.open();
  }

  /** Sends what it can until `deadlineMs` have passed or a try fails; the rest waits on the disk. */
  async shutdown(deadlineMs: number): Promise<void> {
    this.#closing = true;
    this.#unsubscribe();
    this.#news.open();
    this.#nudge.open();
    if (deadlineMs <= 0) this.#cut.abort(new Error("the agent ends"));
    const timer = setTimeout(() => this.#cut.abort(new Error("the agent ends")), deadlineMs);
    await this.#running;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown(0);
  }

  async #run(): Promise<void> {
    while (!this.#cut.signal.aborted) {
      try {
        if (!await this.#step() && this.#closing) return;
      } catch (error) {
        // The database failed: the rows are where they were, and the next try may find it well again.
        this.#log.error("reporter_failed", { error });
        if (this.#closing) return;
        await wait(this.#config.msgRetryMaxIntervalMs, this.#nudge.signal);
      }
    }
  }

  /** Waits for rows or delivers the next batch. False when there is nothing more to do at once. */
  async #step(): Promise<boolean> {
    // Taken before looking, so that a row that comes meanwhile ends the sleep at once.
    const news = this.#news.signal;
    const { rows } = await this.#options.outbox.size(this.workspaceId);
    this.#idle = rows === 0;
    if (rows > 0) {
      await this.#gather();
      return await this.#deliverNext();
    }
    if (!this.#closing) await aborted(news);
    return false;
  }

  /** Waits for more rows, never longer than until the next request may start; a full batch does not wait. */
  async #gather(): Promise<void> {
    const startAt = this.#lastRequestAt + Math.min(PACE_MS, this.#config.msgBatchMaxWaitMs);
    while (!this.#closing) {
      const news = this.#news.signal;
      const size = await this.#options.outbox.size(this.workspaceId);
      const full = size.rows >= this.#rowsAtOnce || size.bytes >= this.#config.msgBatchMaxBytes;
      const left = startAt - performance.now();
      if (left <= 0 || full || this.#sorting) return;
      await wait(left, news);
    }
  }

  /** Batch after batch while they are full. False when one has to be tried again; the pause is over then. */
  async #deliverNext(): Promise<boolean> {
    for (let batch = await this.#takeBatch(); batch.length > 0;) {
      this.#lastRequestAt = performance.now();
      const [answer, next] = await Promise.all([this.#post(batch), this.#turnOver(batch)]);
      if (next.length > 0 && decideBatch(answer, batch.length).kind === "accepted") {
        this.#accepted();
        this.#sent.push(...batch.map((row) => row.id));
        batch = next;
        continue;
      }
      this.#release(next);
      await this.#deleteSent();
      return await this.#conclude(batch, answer);
    }
    return true;
  }

  /** What follows from an answer after which nothing is under way. */
  async #conclude(batch: StoredRow[], answer: Answer): Promise<boolean> {
    if (await this.#settle(batch, answer)) {
      this.#release(batch);
      this.#patience.succeeded();
      return true;
    }
    // The rows stay held: as long as their fate is not known they are not evicted as if they had never been sent.
    await this.#options.outbox.noteAttempt(batch.map((row) => row.id));
    await this.#pause(answer);
    return false;
  }

  /**
   * Meanwhile: reads the batch after the one under way if it is a full one (one that is not may still grow), and now
   * and then deletes what the edge has accounted for.
   */
  async #turnOver(underWay: StoredRow[]): Promise<StoredRow[]> {
    let next: StoredRow[] = [];
    try {
      await wait(LEAVE_MS);
      const last = underWay.at(-1)!.id;
      const isSteady = !this.#sorting && last > this.#singlyUntil && this.#rowsAtOnce === this.#config.msgBatchMaxSize;
      const limits = { ...this.#limits(), after: last, full: true };
      if (isSteady) next = await this.#options.outbox.oldest(this.workspaceId, limits);
      const isLast = next.length === 0;
      if (isLast || this.#sent.length >= DELETE_EVERY_BATCHES * this.#rowsAtOnce) await this.#deleteSent();
    } catch (error) {
      // The request goes on; what was not deleted is sent again.
      this.#log.error("reporter_failed", { error });
    }
    return next;
  }

  /** A crash before this sends rows again that the edge then recognises. */
  async #deleteSent(): Promise<void> {
    const ids = this.#sent;
    this.#sent = [];
    if (ids.length > 0) await this.#options.outbox.deleteSent(ids);
  }

  #limits(): BatchLimits {
    const maxBytes = this.#config.msgBatchMaxBytes - BODY_FRAME_BYTES;
    return { maxRows: this.#rowsAtOnce, maxBytes, hold: true };
  }

  #accepted(): void {
    this.#refusedSince = null;
    this.#patience.succeeded();
  }

  async #takeBatch(): Promise<StoredRow[]> {
    const { outbox } = this.#options;
    const batch = await outbox.oldest(this.workspaceId, this.#limits());
    if (batch.length === 0 || batch[0]!.id > this.#singlyUntil) return batch;
    outbox.release(batch.slice(1).map((row) => row.id));
    return batch.slice(0, 1);
  }

  async #post(batch: StoredRow[]): Promise<Answer> {
    try {
      return await this.#options.edge.request({
        method: "POST",
        path: `/api/workspaces/${this.workspaceId}/messages`,
        json: `{"messages":[${batch.map((row) => row.json).join()}]}`,
        as: this.workspaceId,
        signal: this.#cut.signal,
      });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      this.#log.debug("edge_unreachable", { reason: error.message });
      return "unreachable";
    }
  }

  /** Acts on the answer. True when the line may go on at once. */
  async #settle(batch: StoredRow[], answer: Answer): Promise<boolean> {
    const action = decideBatch(answer, batch.length);
    this.#sorting = action.kind !== "accepted" || batch.at(-1)!.id < this.#singlyUntil;
    switch (action.kind) {
      case "accepted":
        await this.#options.outbox.deleteSent(batch.map((row) => row.id));
        this.#rowsAtOnce = Math.min(this.#config.msgBatchMaxSize, this.#rowsAtOnce * 2);
        this.#accepted();
        return true;
      case "dead_row":
        await this.#bury([batch[action.index]!], { ...refusalOf(answer), mark: true });
        return true;
      case "row_by_row":
        this.#singlyUntil = batch.at(-1)!.id;
        return true;
      case "halve":
        await this.#halve(batch, answer);
        return true;
      case "partial":
        // Some of these rows may be stored already and need no room, so only those that surely do not fit are given up.
        if (action.remaining === 0) await this.#bury(batch, refusalOf(answer));
        else this.#rowsAtOnce = action.remaining;
        return true;
      case "renew":
      case "hold":
        return await this.#hold(answer);
      case "retry":
        return false;
    }
  }

  async #halve(batch: StoredRow[], answer: Answer): Promise<void> {
    const [row] = batch;
    if (batch.length > 1) this.#rowsAtOnce = Math.ceil(batch.length / 2);
    else if (await this.#options.outbox.shrink(row!)) this.#log.warn("message_cut", { messageId: row!.messageId });
    else await this.#bury([row!], { ...refusalOf(answer), mark: true });
  }

  /**
   * The edge refuses the workspace (or its token, after a renewal), which says nothing about a row: a restored backup
   * or a wrong deployment must not cost messages. Only after the hold time they become dead letters.
   */
  async #hold(answer: Answer): Promise<boolean> {
    const now = performance.now();
    this.#refusedSince ??= now;
    if (now - this.#refusedSince < this.#config.msgRefusedHoldMs) return false;
    const refusal = refusalOf(answer);
    const count = await this.#options.outbox.deadLetterAll(this.workspaceId, refusal);
    this.#log.warn("messages_refused", { count, ...refusal });
    return true;
  }

  async #bury(rows: StoredRow[], burial: Burial): Promise<void> {
    await this.#options.outbox.deadLetter(rows.map((row) => row.id), burial);
    const messageIds = rows.slice(0, 10).map((row) => row.messageId);
    const { status, reason } = burial;
    this.#log.warn("messages_refused", { count: rows.length, messageIds, status, reason });
  }

  #release(batch: StoredRow[]): void {
    this.#options.outbox.release(batch.map((row) => row.id));
  }

  async #pause(answer: Answer): Promise<void> {
    if (this.#closing) return;
    const [status, retryAfterMs] = answer === "unreachable" ? [answer] : [answer.status, answer.retryAfterMs];
    const retryInMs = this.#patience.failed(performance.now(), retryAfterMs);
    this.#log.warn("delivery_delayed", { status, retryInMs });
    await wait(retryInMs, this.#nudge.signal);
  }
}

/** What is kept with a dead letter: the status and the code, never the text of an answer. */
function refusalOf(answer: Answer): Refusal {
  if (answer === "unreachable") return { status: null, reason: answer };
  const parsed = problem.safeParse(answer.body);
  return { status: answer.status, reason: parsed.success ? parsed.data.error : `status ${answer.status}` };
}

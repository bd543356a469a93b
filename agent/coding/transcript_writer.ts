/**
 * What a coding agent does, reduced to messages and written down: each finished one in order, the growing ones now and
 * then, so that a crash loses little of them. Taking an update never waits; the disk is written behind it, and
 * `flush` waits for the disk. Where the messages are kept is the shelf's business.
 */
import { backoffMs, wait } from "../../lib/backoff.ts";
import { newId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/log.ts";
import type { OutboxRow } from "../store/outbox.ts";
import {
  endTurn,
  knownToolCall,
  newTranscript,
  openRows,
  recordPermission,
  reduce,
  startTurn,
  steerTurn,
  type Step,
  type Transcript,
  type TranscriptIds,
} from "./transcript.ts";
import type { ToolCall } from "./tool_call.ts";
import type { SessionUpdate, ToolCallFields } from "./updates.ts";

const SAVE_EVERY_MS = 500;
const SAVE_EVERY_CHARS = 4_096;
/** A long text is written whole each time, so it is written less often the longer it is; the time still counts. */
const SAVE_EVERY_SHARE = 0.25;
const WRITE_ROWS_MAX = 100;
const RETRY = { initialMs: 200, maxMs: 10_000 };

export interface Shelf {
  /** Keeps finished messages, in this order. `closes`: the one whose saved, growing part goes in the same step. */
  finish(rows: OutboxRow[], options: { closes?: string }): Promise<void>;
  /** Keeps a growing message as it is now, in place of what was saved of it. */
  save(row: OutboxRow): Promise<void>;
}

export interface TranscriptWriterOptions {
  ids: TranscriptIds;
  /** Null: nothing is kept. */
  shelf: Shelf | null;
  /** How often a write is tried before it is given up, which the next `flush` throws. Left out: until it works. */
  triesMax?: number;
  log: Logger;
}

interface Growing {
  row: OutboxRow;
  savedChars: number;
  /** By `performance.now()`: the machine's clock may be set meanwhile. */
  savedAtMs: number;
  isSaved: boolean;
}

interface Finished {
  row: OutboxRow;
  wasSaved: boolean;
}

export class TranscriptWriter implements AsyncDisposable {
  readonly #options: TranscriptWriterOptions;
  readonly #growing = new Map<string, Growing>();
  readonly #closed = new AbortController();
  #state: Transcript;
  /** Finished, and not on the disk yet; with what must be deleted with it. */
  #finished: Finished[] = [];
  #writing: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #failure: unknown = null;

  constructor(options: TranscriptWriterOptions) {
    this.#options = options;
    this.#state = newTranscript(options.ids);
  }

  /** The last text that was said to the person. */
  get lastAnswer(): string | null {
    return this.#state.lastAnswer;
  }

  /** Everything that still grows, as it stands. */
  get open(): OutboxRow[] {
    return openRows(this.#state, Date.now());
  }

  /** Takes in one update. Answers what it finished and what it changed, for whoever shows it. */
  take(update: SessionUpdate): Step {
    return this.#apply(reduce(this.#state, update, this.#now()));
  }

  /** A tool call as far as it is known, with what is said of it now. */
  knownCall(call: ToolCallFields): ToolCall {
    return knownToolCall(this.#state, call, this.#now());
  }

  /** Keeps a decision with the tool call that was asked about. */
  notePermission(answer: Parameters<typeof recordPermission>[1]): Step {
    return this.#apply(recordPermission(this.#state, answer, this.#now()));
  }

  startTurn(prompt: string): void {
    this.#state = startTurn(this.#state, prompt);
  }

  /** A person's prompt came into the turn under way. */
  steer(prompt: { messageId: string; text: string }): Step {
    const step = this.#apply(steerTurn(this.#state, prompt.text));
    this.add({ messageId: prompt.messageId, role: "user", content: prompt.text });
    return step;
  }

  /** The turn is over. What it finished is durable after the next `flush`. */
  endTurn(options: { interrupted: boolean }): Step {
    return this.#apply(endTurn(this.#state, { ...this.#now(), ...options }));
  }

  /** A message that no coding agent said. */
  add(message: Pick<OutboxRow, "role" | "content"> & { messageId?: string }): OutboxRow {
    const { workspaceId, projectId, sessionId } = this.#options.ids;
    const row: OutboxRow = {
      messageId: message.messageId ?? newId(),
      workspaceId,
      projectId,
      sessionId,
      role: message.role,
      content: message.content,
      toolMetadata: null,
      flags: null,
      createdAt: new Date().toISOString(),
    };
    this.#finish([row]);
    return row;
  }

  /** Resolves when everything finished so far is on the shelf. Throws when it was given up. */
  async flush(): Promise<void> {
    while (this.#finished.length > 0 && !this.#closed.signal.aborted) {
      this.#write();
      await this.#writing;
    }
    await this.#writing;
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Writes what is finished; a disk that refuses is not waited for any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopTimer();
    this.#closed.abort();
    await this.#writing;
    this.#write();
    await this.#writing;
  }

  #now() {
    return { now: Date.now(), newId };
  }

  #apply(step: Step): Step {
    this.#state = step.state;
    this.#finish(step.finished);
    if (step.open && this.#options.shelf) this.#grow(step.open);
    return step;
  }

  #grow(row: OutboxRow): void {
    const known = this.#growing.get(row.messageId);
    if (known) known.row = row;
    else this.#growing.set(row.messageId, { row, savedChars: 0, savedAtMs: performance.now(), isSaved: false });
    if (this.#closed.signal.aborted) return;
    if (this.#findDue()) return this.#write();
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#write();
    }, SAVE_EVERY_MS);
  }

  #finish(rows: OutboxRow[]): void {
    for (const row of rows) {
      const wasSaved = this.#growing.get(row.messageId)?.isSaved ?? false;
      this.#growing.delete(row.messageId);
      if (this.#options.shelf) this.#finished.push({ row, wasSaved });
    }
    if (this.#growing.size === 0) this.#stopTimer();
    if (this.#finished.length > 0) this.#write();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      // What came after the last look and before this line.
      if (!this.#closed.signal.aborted && (this.#finished.length > 0 || this.#findDue())) this.#write();
    });
  }

  /** The next to be saved. What began before it goes first, so that the shelf has them in the order of their begin. */
  #findDue(): Growing | undefined {
    const all = [...this.#growing.values()];
    const due = all.findIndex((growing) => isDue(growing, performance.now()));
    return all.slice(0, Math.max(0, due)).find(({ isSaved }) => !isSaved) ?? all[due];
  }

  async #writeAll(): Promise<void> {
    const { log, ids, triesMax = Infinity } = this.#options;
    for (let tries = 0;;) {
      try {
        if (!await this.#writeOnce()) return;
        tries = 0;
      } catch (error) {
        log.error("transcript.not_written", { sessionId: ids.sessionId, error });
        if (this.#closed.signal.aborted) return;
        if (++tries >= triesMax) {
          this.#finished = [];
          this.#failure ??= error;
          return;
        }
        await wait(backoffMs(tries - 1, RETRY, Math.random()), this.#closed.signal);
      }
    }
  }

  /** Writes the next thing that waits. Answers false when nothing does. */
  async #writeOnce(): Promise<boolean> {
    const { shelf } = this.#options;
    const [first] = this.#finished;
    if (first && shelf) {
      const together = first.wasSaved ? [first] : takeUnsaved(this.#finished);
      await shelf.finish(together.map(({ row }) => row), first.wasSaved ? { closes: first.row.messageId } : {});
      this.#finished.splice(0, together.length);
      return true;
    }
    const due = this.#findDue();
    if (!due || this.#closed.signal.aborted) return false;
    const { row } = due;
    // From here on it may be on the disk: if it finishes meanwhile, it is deleted with its row.
    Object.assign(due, { savedChars: row.content.length, savedAtMs: performance.now(), isSaved: true });
    try {
      await shelf?.save(row);
    } catch (error) {
      // What is there is not this: it is due again at once.
      Object.assign(due, { savedChars: -1, savedAtMs: -Infinity });
      throw error;
    }
    return true;
  }
}

/**
 * Grown by enough, or changed and old enough. A tool call is saved as soon as it is known: what it does to the files
 * must not outlive the word of it.
 */
function isDue({ row, savedChars, savedAtMs, isSaved }: Growing, now: number): boolean {
  if (row.role === "tool" && !isSaved) return true;
  const grown = Math.abs(row.content.length - savedChars);
  const enough = Math.max(SAVE_EVERY_CHARS, savedChars * SAVE_EVERY_SHARE);
  return grown >= enough || (grown > 0 && now - savedAtMs >= SAVE_EVERY_MS);
}

function takeUnsaved(finished: Finished[]): Finished[] {
  const end = finished.findIndex(({ wasSaved }) => wasSaved);
  return finished.slice(0, Math.min(end === -1 ? finished.length : end, WRITE_ROWS_MAX));
}

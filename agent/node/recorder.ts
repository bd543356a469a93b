/**
 * What a coding agent does becomes messages: each finished one goes to the outbox in order, the growing one is saved
 * now and then so that a crash loses little of it, and all of it is shown live. Taking an update never waits; the disk
 * is written behind it, and the end of a turn waits for the disk.
 */
import type { PermissionOption, RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";
import { backoffMs, wait } from "../../lib/backoff.ts";
import { newId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/log.ts";
import { decidePermission } from "../coding/permissions.ts";
import {
  closeInterrupted,
  endTurn,
  newTranscript,
  recordPermission,
  reduce,
  startTurn,
  type Step,
  type Transcript,
} from "../coding/transcript.ts";
import type { SessionUpdate, ToolCallFields } from "../coding/updates.ts";
import type { OpenMessages } from "../store/open_messages.ts";
import type { Outbox, OutboxRow } from "../store/outbox.ts";
import { type Frame, LiveText } from "./live_text.ts";

const SAVE_EVERY_MS = 500;
const SAVE_EVERY_CHARS = 4_096;
const WRITE_ROWS_MAX = 100;
const RETRY = { initialMs: 200, maxMs: 10_000 };

export interface RecorderOptions {
  workspaceId: string;
  projectId: string | null;
  /** Null for a workspace without a chat session: its messages are shown, and not kept. */
  sessionId: string | null;
  /** The checkout. */
  cwd: string;
  permissionMode: "autonomous" | "ask";
  outbox: Outbox;
  openMessages: OpenMessages;
  live: (frame: Frame) => void;
  log: Logger;
}

interface Growing {
  row: OutboxRow;
  savedChars: number;
  savedAtMs: number;
  isSaved: boolean;
}

export class Recorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  readonly #live: LiveText;
  readonly #growing = new Map<string, Growing>();
  readonly #closed = new AbortController();
  #state: Transcript;
  /** Finished, and not on the disk yet; with what must be deleted with it. */
  #finished: { row: OutboxRow; wasSaved: boolean }[] = [];
  #writing: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#live = new LiveText(options.live);
    const { workspaceId, projectId, sessionId, cwd } = options;
    this.#state = newTranscript({ workspaceId, projectId, sessionId: sessionId ?? "", cwd });
  }

  /** The last text that was said to the person. */
  get lastAnswer(): string | null {
    return this.#state.lastAnswer;
  }

  take(update: SessionUpdate): void {
    this.#apply(reduce(this.#state, update, this.#now()));
  }

  /** Decides by the workspace's mode, and keeps the decision with the tool call. */
  permit(call: ToolCallFields, options: PermissionOption[]): RequestPermissionResponse {
    const { response, recorded, refusal } = decidePermission(this.#options.permissionMode, options);
    this.#apply(recordPermission(this.#state, { call, ...recorded, refusal }, this.#now()));
    return response;
  }

  startTurn(prompt: string): void {
    this.#state = startTurn(this.#state, prompt);
  }

  /** Resolves when everything of the turn is durable. */
  async endTurn(options: { interrupted: boolean }): Promise<void> {
    this.#apply(endTurn(this.#state, { ...this.#now(), ...options }));
    await this.#flush();
  }

  /** A message of the person's, under the id of its prompt. Resolves when it is durable. */
  async addPrompt(prompt: { messageId: string; text: string }): Promise<void> {
    const { workspaceId, projectId, sessionId } = this.#options;
    this.#finish([{
      messageId: prompt.messageId,
      workspaceId,
      projectId,
      sessionId: sessionId ?? "",
      role: "user",
      content: prompt.text,
      toolMetadata: null,
      flags: null,
      createdAt: new Date().toISOString(),
    }]);
    await this.#flush();
  }

  /** Closes what a crash of this program left open. Answers how many messages there were. */
  async closeLeftOpen(): Promise<number> {
    const left = await this.#options.openMessages.list(this.#options.workspaceId);
    // Saved late is not begun late.
    for (const row of left.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt))) {
      await this.#options.outbox.enqueue([closeInterrupted(row)], { closeOpen: row.messageId });
    }
    return left.length;
  }

  /** Somebody starts to follow. */
  refresh(): void {
    this.#live.refresh();
  }

  /** Writes what is finished; a disk that refuses is not waited for any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#live[Symbol.dispose]();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#closed.abort();
    await this.#writing;
    this.#write();
    await this.#writing;
  }

  #now() {
    return { now: Date.now(), newId };
  }

  #apply(step: Step): void {
    this.#state = step.state;
    this.#finish(step.finished);
    if (!step.open) return;
    this.#live.show(step.open);
    if (this.#options.sessionId === null) return;
    const known = this.#growing.get(step.open.messageId);
    if (known) known.row = step.open;
    else {
      const begun = { savedChars: 0, savedAtMs: Date.now(), isSaved: false };
      this.#growing.set(step.open.messageId, { row: step.open, ...begun });
    }
    this.#schedule();
  }

  #finish(rows: OutboxRow[]): void {
    for (const row of rows) {
      this.#live.forget(row.messageId);
      const wasSaved = this.#growing.get(row.messageId)?.isSaved ?? false;
      this.#growing.delete(row.messageId);
      if (this.#options.sessionId !== null) this.#finished.push({ row, wasSaved });
    }
    if (this.#finished.length > 0) this.#write();
  }

  #schedule(): void {
    if (this.#closed.signal.aborted) return;
    if (this.#findDue()) return this.#write();
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#write();
    }, SAVE_EVERY_MS);
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      // What came after the last look and before this line.
      if (!this.#closed.signal.aborted && (this.#finished.length > 0 || this.#findDue())) this.#write();
    });
  }

  #findDue(): Growing | undefined {
    return [...this.#growing.values()].find((growing) => isDue(growing, Date.now()));
  }

  async #flush(): Promise<void> {
    while (this.#finished.length > 0 && !this.#closed.signal.aborted) {
      this.#write();
      await this.#writing;
    }
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let attempt = 0;;) {
      try {
        if (!await this.#writeOnce()) return;
        attempt = 0;
      } catch (error) {
        this.#options.log.error("recorder.not_written", { workspaceId: this.#options.workspaceId, error });
        if (this.#closed.signal.aborted) return;
        await wait(backoffMs(attempt++, RETRY, Math.random()), this.#closed.signal);
      }
    }
  }

  /** Writes the next thing that waits. Answers false when nothing does. */
  async #writeOnce(): Promise<boolean> {
    const [first] = this.#finished;
    if (first) {
      const together = first.wasSaved ? [first] : takeUnsaved(this.#finished);
      await this.#enqueue(together.map(({ row }) => row), first.wasSaved ? first.row.messageId : undefined);
      this.#finished.splice(0, together.length);
      return true;
    }
    const due = this.#findDue();
    if (!due || this.#closed.signal.aborted) return false;
    const { row } = due;
    // From here on it may be on the disk: if it finishes meanwhile, it is deleted with its row.
    Object.assign(due, { savedChars: row.content.length, savedAtMs: Date.now(), isSaved: true });
    await this.#options.openMessages.save(row);
    return true;
  }

  async #enqueue(rows: OutboxRow[], closeOpen: string | undefined): Promise<void> {
    const { evicted } = await this.#options.outbox.enqueue(rows, { closeOpen });
    if (evicted > 0) {
      this.#options.log.warn("recorder.overflow", { workspaceId: this.#options.workspaceId, evicted });
    }
  }
}

/**
 * Grown by enough, or changed and old enough. A tool call is saved as soon as it is known: what it does to the files
 * must not outlive the word of it.
 */
function isDue({ row, savedChars, savedAtMs, isSaved }: Growing, now: number): boolean {
  if (row.role === "tool" && !isSaved) return true;
  const grown = Math.abs(row.content.length - savedChars);
  return grown >= SAVE_EVERY_CHARS || (grown > 0 && now - savedAtMs >= SAVE_EVERY_MS);
}

function takeUnsaved(finished: { row: OutboxRow; wasSaved: boolean }[]): { row: OutboxRow; wasSaved: boolean }[] {
  const end = finished.findIndex(({ wasSaved }) => wasSaved);
  return finished.slice(0, Math.min(end === -1 ? finished.length : end, WRITE_ROWS_MAX));
}

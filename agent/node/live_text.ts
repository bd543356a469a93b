/**
 * Shows growing messages live: at most ten frames a second for a session, each with what was added since the last, and
 * the whole again when somebody starts to follow and every 10 s. Lossy by design: what counts is stored elsewhere.
 */
import type { LiveFrame } from "../../lib/wire/control.ts";
import { LIVE_FRAME_MAX_BYTES } from "../../lib/wire/limits.ts";
import { cutToJsonBytes, jsonBytes } from "../store/fit.ts";
import type { OutboxRow } from "../store/outbox.ts";

const FRAME_EVERY_MS = 100;
const WHOLE_EVERY_MS = 10_000;
/** Room in a frame around its text. */
const ENVELOPE_BYTES = 1_024;
/** The edge keeps this much of a message that grows; beyond it only what is added is sent. */
const WHOLE_MAX_CHARS = 256 * 1024;

export type Frame = Omit<LiveFrame, "type">;

interface Shown {
  row: OutboxRow;
  /** UTF-16 units that were sent. */
  sent: number;
  /** What was sent begins with this, unless the text was replaced. */
  sentText: string;
  rev: number;
  wholeAtMs: number | null;
}

export class LiveText implements Disposable {
  readonly #send: (frame: Frame) => void;
  readonly #shown = new Map<string, Shown>();
  /** Ids with something to send, the one that waits longest first. */
  readonly #waiting = new Set<string>();
  /** By `performance.now()`, like all times here: the machine's clock may be set meanwhile. */
  #lastFrameMs = -FRAME_EVERY_MS;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(send: (frame: Frame) => void) {
    this.#send = send;
  }

  /** The message is now like this. */
  show(row: OutboxRow): void {
    const known = this.#shown.get(row.messageId);
    if (known) known.row = row;
    else this.#shown.set(row.messageId, { row, sent: 0, sentText: "", rev: 0, wholeAtMs: null });
    this.#waiting.add(row.messageId);
    this.#schedule();
  }

  /** The message is finished: it comes as a stored one. */
  forget(messageId: string): void {
    this.#shown.delete(messageId);
    this.#waiting.delete(messageId);
  }

  /** Sends every growing message whole. */
  refresh(): void {
    for (const [messageId, shown] of this.#shown) {
      shown.wholeAtMs = null;
      this.#waiting.add(messageId);
    }
    this.#schedule();
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#shown.clear();
    this.#waiting.clear();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    const waitMs = this.#lastFrameMs + FRAME_EVERY_MS - performance.now();
    if (waitMs <= 0) return this.#sendNext();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#sendNext();
    }, waitMs);
  }

  #sendNext(): void {
    const [messageId] = this.#waiting;
    const shown = messageId === undefined ? undefined : this.#shown.get(messageId);
    if (messageId !== undefined) this.#waiting.delete(messageId);
    if (shown && messageId !== undefined) {
      this.#lastFrameMs = performance.now();
      this.#send(nextFrame(shown, this.#lastFrameMs));
      if (shown.sent < shown.row.content.length) this.#waiting.add(messageId);
    }
    this.#schedule();
  }
}

function nextFrame(shown: Shown, now: number): Frame {
  const { row } = shown;
  const isOld = shown.wholeAtMs === null || now - shown.wholeAtMs >= WHOLE_EVERY_MS;
  const isDue = isOld && (shown.wholeAtMs === null || row.content.length <= WHOLE_MAX_CHARS);
  if (isDue || !row.content.startsWith(shown.sentText)) {
    shown.sent = 0;
    shown.wholeAtMs = now;
  }
  const room = LIVE_FRAME_MAX_BYTES - ENVELOPE_BYTES - jsonBytes(row.toolMetadata);
  const text = cutToJsonBytes(row.content.slice(shown.sent), room);
  const at = shown.sent;
  shown.sent += text.length;
  shown.sentText = row.content.slice(0, shown.sent);
  const { workspaceId, messageId, role, toolMetadata } = row;
  const frame = { workspaceId, messageId, role, rev: shown.rev++, at, text };
  return toolMetadata ? { ...frame, toolMetadata } : frame;
}

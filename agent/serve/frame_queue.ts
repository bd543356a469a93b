/**
 * Frames on their way to one client. While the client keeps up each leaves at once; above 1 MB that it has not read,
 * the deltas of one answer are joined; above 8 MB it is closed with 1013, because nobody waits for a slow reader.
 */
import type { ServerFrame } from "../../lib/wire/chat_engine.ts";

const JOIN_ABOVE_BYTES = 1_000_000;
const CLOSE_ABOVE_BYTES = 8_000_000;
const LOOK_EVERY_MS = 25;

export type Sink = Pick<WebSocket, "send" | "close" | "bufferedAmount" | "readyState">;

interface Waiting {
  frame: ServerFrame;
  chars: number;
}

export class FrameQueue {
  readonly #socket: Sink;
  readonly #onTooSlow: () => void;
  #waiting: Waiting[] = [];
  #waitingChars = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** `onTooSlow`: the client was closed for not reading. */
  constructor(socket: Sink, onTooSlow: () => void) {
    this.#socket = socket;
    this.#onTooSlow = onTooSlow;
  }

  send(frame: ServerFrame): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return this.stop();
    if (this.#waiting.length === 0 && this.#socket.bufferedAmount <= JOIN_ABOVE_BYTES) {
      return this.#socket.send(JSON.stringify(frame));
    }
    this.#hold(frame);
    if (this.#socket.bufferedAmount + this.#waitingChars > CLOSE_ABOVE_BYTES) {
      this.stop();
      this.#onTooSlow();
      return this.#socket.close(1013, "You read too slowly. Reconnect.");
    }
    this.#timer ??= setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Drops what waits. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = [];
    this.#waitingChars = 0;
  }

  #hold(frame: ServerFrame): void {
    const last = this.#waiting.at(-1);
    const before = last?.frame;
    if (
      last && frame.type === "stream_delta" && before?.type === "stream_delta" && before.session_id === frame.session_id
    ) {
      last.frame = { ...frame, delta: before.delta + frame.delta };
      last.chars += frame.delta.length;
      this.#waitingChars += frame.delta.length;
    } else {
      const { length } = JSON.stringify(frame);
      this.#waiting.push({ frame, chars: length });
      this.#waitingChars += length;
    }
  }

  #look(): void {
    this.#timer = null;
    if (this.#socket.readyState !== WebSocket.OPEN) return this.stop();
    while (this.#waiting.length > 0 && this.#socket.bufferedAmount <= JOIN_ABOVE_BYTES) {
      const { frame, chars } = this.#waiting.shift()!;
      this.#waitingChars -= chars;
      this.#socket.send(JSON.stringify(frame));
    }
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }
}

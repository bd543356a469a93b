/**
 * Frames on their way to one client. While the client keeps up each leaves at once; above 1 MB that it has not read,
 * the deltas of one answer are joined; above 8 MB it is closed with 1013, because nobody waits for a slow reader.
 */
import type { ServerFrame } from "../../lib/wire/chat_engine.ts";

const JOIN_ABOVE_BYTES = 1_000_000;
const CLOSE_ABOVE_BYTES = 8_000_000;
const LOOK_EVERY_MS = 25;

export type Sink = Pick<WebSocket, "send" | "close" | "bufferedAmount" | "readyState">;

export class FrameQueue {
  readonly #socket: Sink;
  readonly #onTooSlow: () => void;
  #waiting: ServerFrame[] = [];
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
    if (frame.type === "stream_delta" && last?.type === "stream_delta" && last.session_id === frame.session_id) {
      this.#waiting[this.#waiting.length - 1] = { ...frame, delta: last.delta + frame.delta };
      this.#waitingChars += frame.delta.length;
    } else {
      this.#waiting.push(frame);
      this.#waitingChars += JSON.stringify(frame).length;
    }
  }

  #look(): void {
    this.#timer = null;
    if (this.#socket.readyState !== WebSocket.OPEN) return this.stop();
    while (this.#waiting.length > 0 && this.#socket.bufferedAmount <= JOIN_ABOVE_BYTES) {
      this.#socket.send(JSON.stringify(this.#waiting.shift()));
    }
    if (this.#waiting.length === 0) this.#waitingChars = 0;
    else this.#timer = setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }
}

/**
 * A shell in a workspace's folder for the reader at the other end of a relay. It is given the environment that children
 * may have, so no key and no token; its output is read only as far as the reader has room for it; it ends with the
 * socket, and the socket with it.
 */
// @ts-types="./ws.d.ts"
import WebSocket from "ws";
import {
  type RelayToAgentFrame,
  type RelayToEdgeFrame,
  TERMINAL_CHUNK_MAX_BYTES,
  TERMINAL_WINDOW_BYTES,
} from "../../lib/wire/relay.ts";
import { aborted, Latch } from "../delivery/latch.ts";
import { Pty, type PtyOptions } from "../process/pty.ts";

/** Typed text that a busy program has not taken: more than a person types, or pastes in one go. */
const INPUT_MAX_BYTES = 1024 * 1024;

export class Terminal implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #pty: Pty;
  readonly #room = new Latch();
  readonly #pumping: Promise<void>;
  #sent = 0;
  #taken = 0;
  #waiting = 0;
  #ended = false;

  private constructor(socket: WebSocket, pty: Pty) {
    this.#socket = socket;
    this.#pty = pty;
    this.#pumping = this.#pump();
  }

  /** Starts the shell. Throws an Error with a sentence for a person. */
  static async start(socket: WebSocket, options: PtyOptions): Promise<Terminal> {
    const pty = await Pty.start(options);
    socket.send(JSON.stringify({ type: "ready" } satisfies RelayToEdgeFrame));
    return new Terminal(socket, pty);
  }

  take(frame: Extract<RelayToAgentFrame, { type: "resize" | "ack" }>): void {
    if (frame.type === "resize") return void this.#pty.resize({ cols: frame.cols, rows: frame.rows });
    // Nobody can have taken more than was sent, and what was taken stays so.
    this.#taken = Math.min(this.#sent, Math.max(this.#taken, frame.bytes));
    this.#room.open();
  }

  /** What was typed. False when the program takes nothing and too much waits. */
  type(bytes: Uint8Array): boolean {
    if (this.#waiting + bytes.length > INPUT_MAX_BYTES) return false;
    this.#waiting += bytes.length;
    void this.#pty.write(bytes).then(() => this.#waiting -= bytes.length);
    return true;
  }

  /** Resolves when the shell has ended and its output was sent. */
  async whenEnded(): Promise<void> {
    await this.#pumping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#room.open();
    await this.#pty[Symbol.asyncDispose]();
    await this.#pumping;
  }

  async #pump(): Promise<void> {
    for (let bytes = await this.#pty.read(); bytes && !this.#ended; bytes = await this.#pty.read()) {
      for (let at = 0; at < bytes.length; at += TERMINAL_CHUNK_MAX_BYTES) {
        await this.#send(bytes.subarray(at, at + TERMINAL_CHUNK_MAX_BYTES));
      }
    }
    if (this.#ended) return;
    const code = await this.#pty.exitCode();
    if (this.#isOpen) this.#socket.send(JSON.stringify({ type: "exit", code } satisfies RelayToEdgeFrame));
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let room = this.#room.signal; this.#sent - this.#taken >= TERMINAL_WINDOW_BYTES; room = this.#room.signal) {
      if (this.#ended || !this.#isOpen) return;
      await aborted(room);
    }
    if (this.#ended || !this.#isOpen) return;
    this.#sent += bytes.length;
    this.#socket.send(bytes);
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }
}

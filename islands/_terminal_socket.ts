/**
 * The socket to a shell. Output is acknowledged as it is drawn, so that no more is sent than can be drawn. A shell lives
 * as long as its socket: after a drop there is only a new one.
 */
import {
  TERMINAL_CHUNK_MAX_BYTES,
  TERMINAL_WINDOW_BYTES,
  type TerminalInputFrame,
  terminalOutputFrame,
  type TerminalSize,
} from "../lib/wire/relay.ts";

/** Often enough that the sender never waits for a reader who keeps up. */
const ACK_EVERY_BYTES = TERMINAL_WINDOW_BYTES / 8;
/** Close codes after which a new shell would only be refused. */
const FOR_GOOD = [4401, 4403, 4410];

export type TerminalState =
  | { kind: "connecting" }
  | { kind: "open" }
  /** `again`: a new one may be opened. */
  | { kind: "closed"; text: string; again: boolean };

export interface TerminalSocketOptions {
  workspaceId: string;
  size: TerminalSize;
  /** Draws, and calls back when it has. */
  onOutput: (bytes: Uint8Array, onDrawn: () => void) => void;
  onState: (state: TerminalState) => void;
}

export class TerminalSocket implements Disposable {
  readonly #options: TerminalSocketOptions;
  readonly #socket: WebSocket;
  #received = 0;
  #acknowledged = 0;
  #closed = false;

  constructor(options: TerminalSocketOptions) {
    this.#options = options;
    const { workspaceId, size } = options;
    const url = new URL(`/api/workspaces/${workspaceId}/ws`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = `terminal=1&cols=${size.cols}&rows=${size.rows}`;
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("message", ({ data }) => this.#take(data));
    this.#socket.addEventListener("close", ({ code, reason }) => {
      this.#close(reason || "The connection was lost, and the shell with it.", !FOR_GOOD.includes(code));
    });
  }

  type(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < bytes.length; at += TERMINAL_CHUNK_MAX_BYTES) {
      this.#socket.send(bytes.slice(at, at + TERMINAL_CHUNK_MAX_BYTES));
    }
  }

  resize(size: TerminalSize): void {
    this.#send({ type: "resize", ...size });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#socket.close();
  }

  #take(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      const received = this.#received += data.byteLength;
      return this.#options.onOutput(new Uint8Array(data), () => this.#noteDrawn(received));
    }
    const frame = parseFrame(data);
    if (frame?.type === "ready") this.#options.onState({ kind: "open" });
    else if (frame?.type === "refused") this.#close(frame.message, true);
    else if (frame?.type === "exit") {
      const how = frame.code === null ? "was ended" : frame.code === 0 ? "has ended" : `ended with code ${frame.code}`;
      this.#close(`The shell ${how}.`, true);
    }
  }

  #noteDrawn(bytes: number): void {
    if (bytes - this.#acknowledged < ACK_EVERY_BYTES) return;
    this.#acknowledged = bytes;
    this.#send({ type: "ack", bytes });
  }

  #send(frame: TerminalInputFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** The first reason is the one that is told. */
  #close(text: string, again: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onState({ kind: "closed", text, again });
  }
}

function parseFrame(data: unknown) {
  try {
    return terminalOutputFrame.safeParse(JSON.parse(String(data))).data ?? null;
  } catch {
    return null;
  }
}

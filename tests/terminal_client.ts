/** A person's terminal for tests: keeps what came, answers as a page does that draws at once, and waits for what should come. */
// @ts-types="../agent/node/ws.d.ts"
import WebSocket from "ws";
import { messageOf } from "../lib/errors.ts";
import { type TerminalInputFrame, type TerminalOutputFrame, terminalOutputFrame } from "../lib/wire/relay.ts";
import type { Client } from "./edge.ts";
import { within } from "./lib/live/within.ts";

/** A real agent and a real shell may be slow to come. */
const WAIT_MAX_MS = 60_000;

export class TerminalClient implements AsyncDisposable {
  /** What was shown. */
  text = "";
  /** Bytes of output that came. */
  bytes = 0;
  readonly frames: TerminalOutputFrame[] = [];
  /** Output is taken as it comes. */
  taking = true;
  readonly #socket: WebSocket;
  readonly #decoder = new TextDecoder();
  readonly #closed: Promise<number>;
  #changed = Promise.withResolvers<void>();

  constructor(url: string, client: Pick<Client, "key">, at: { workspaceId: string; cols?: number; rows?: number }) {
    const query = `terminal=1&cols=${at.cols ?? 80}&rows=${at.rows ?? 24}`;
    this.#socket = new WebSocket(`${url.replace("http", "ws")}/api/workspaces/${at.workspaceId}/ws?${query}`, {
      headers: { authorization: `Bearer ${client.key}` },
      perMessageDeflate: false,
    });
    this.#socket.on("message", (data, isBinary) => this.#take(data, isBinary));
    this.#closed = new Promise((resolve) => {
      this.#socket.on("error", (error) => resolve(Number(/\d{3}/.exec(error.message)?.[0] ?? 0)));
      this.#socket.on("close", (code) => resolve(code));
    });
    void this.#closed.then(() => this.#tell());
  }

  /** The code it was closed with; below 1000 the status of an answer that refused it. */
  get closed(): Promise<number> {
    return this.#inTime("the end of a terminal", this.#closed);
  }

  type(text: string): void {
    this.#socket.send(new TextEncoder().encode(text));
  }

  send(frame: TerminalInputFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Goes without a word, as a browser does whose machine sleeps. */
  drop(): void {
    this.#socket.terminate();
  }

  async ready(): Promise<void> {
    await this.until("a shell", () => this.frames.some((frame) => frame.type === "ready"));
  }

  /** Resolves when the shown text fits. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    await this.until(String(pattern), () => pattern.test(this.text));
    return pattern.exec(this.text)!;
  }

  async until(what: string, fits: () => boolean): Promise<void> {
    await this.#inTime(what, this.#lookUntil(what, fits));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed;
  }

  #take(data: Uint8Array, isBinary: boolean): void {
    if (isBinary) {
      this.bytes += data.length;
      this.text = (this.text + this.#decoder.decode(data, { stream: true })).slice(-100_000);
      if (this.taking) this.send({ type: "ack", bytes: this.bytes });
    } else this.frames.push(terminalOutputFrame.parse(JSON.parse(String(data))));
    this.#tell();
  }

  async #lookUntil(what: string, fits: () => boolean): Promise<void> {
    while (!fits()) {
      if (this.#socket.readyState === 3) throw new Error(`closed while waiting for ${what}; came: ${this.text}`);
      await this.#changed.promise;
    }
  }

  async #inTime<T>(what: string, work: Promise<T>): Promise<T> {
    return await within(what, work, { maxMs: WAIT_MAX_MS }).catch((error) => {
      const came = `${JSON.stringify(this.text.slice(-500))} ${JSON.stringify(this.frames)}`;
      throw new Error(`${messageOf(error)} What came: ${came}`);
    });
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

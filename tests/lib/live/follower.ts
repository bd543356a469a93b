/** A follower of a live socket by hand: keeps every frame, parsed by its schema, and how the socket was closed. */
// @ts-types="../../../agent/node/ws.d.ts"
import WebSocket from "ws";
import { type ServerFrame, serverFrame } from "../../../lib/wire/feed.ts";
import type { Client, TestEdge } from "../../edge.ts";
import { within } from "./within.ts";

type FrameOf<K extends ServerFrame["type"]> = Extract<ServerFrame, { type: K }>;

export class SocketFollower implements AsyncDisposable {
  readonly frames: ServerFrame[] = [];
  readonly #closed: Promise<number>;
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  constructor(address: string, headers: Record<string, string>) {
    this.#socket = new WebSocket(address, { headers });
    this.#socket.on("message", (data) => this.#take(serverFrame.parse(JSON.parse(data.toString()))));
    this.#closed = new Promise((resolve) => {
      this.#socket.on("error", (error) => resolve(Number(/\d{3}/.exec(error.message)?.[0] ?? 0)));
      this.#socket.on("close", (code) => resolve(code));
    });
  }

  /** Connects to `path` with a key or a cookie. */
  static on(
    test: Pick<TestEdge, "url">,
    path: string,
    by: Pick<Client, "key"> | { cookie: string; origin?: string },
  ): SocketFollower {
    const headers: Record<string, string> = "key" in by
      ? { authorization: `Bearer ${by.key}` }
      : { cookie: by.cookie, ...by.origin === undefined ? {} : { origin: by.origin } };
    return new SocketFollower(`${test.url.replace("http", "ws")}${path}`, headers);
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** The cursor that the newest frame with one carries. */
  get cursor(): string {
    const cursors = this.frames.flatMap((frame) => "cursor" in frame && frame.cursor ? [frame.cursor] : []);
    return cursors.at(-1)!;
  }

  ofType<K extends ServerFrame["type"]>(type: K): FrameOf<K>[] {
    return this.frames.filter((frame): frame is FrameOf<K> => frame.type === type);
  }

  /** Resolves when `fits` holds for the frames so far. Rejects when the socket closes first. */
  async until(fits: () => boolean): Promise<void> {
    while (!fits()) {
      const changed = this.#changed.promise;
      const code = await within(`a frame after ${this.#summary()}`, Promise.race([changed, this.#closed]));
      if (code !== undefined && !fits()) throw new Error(`closed with ${code} after ${this.#summary()}`);
    }
  }

  /** Resolves with the first frame of a type that fits. */
  async first<K extends ServerFrame["type"]>(
    type: K,
    fits: (frame: FrameOf<K>) => boolean = () => true,
  ): Promise<FrameOf<K>> {
    await this.until(() => this.ofType(type).some(fits));
    return this.ofType(type).find(fits)!;
  }

  /** The code with which the socket is closed, or what refused it: `401` as the answer to the upgrade. */
  end(): Promise<number> {
    return within("the end of the socket", this.#closed);
  }

  subscribe(sessionId: string): void {
    this.send({ type: "subscribe", sessionId });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === 3) return;
    this.#socket.terminate();
    await this.#closed;
  }

  #summary(): string {
    return this.frames.slice(-30).map((frame) => frame.type).join(", ");
  }

  #take(frame: ServerFrame): void {
    this.frames.push(frame);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

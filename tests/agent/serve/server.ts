/** A chat engine of its own folder, database and coding agent in this process, and a client of its socket. */
import { assert } from "@std/assert";
import { readServeConfig, type ServeConfig } from "../../../agent/serve/config.ts";
import { runServe, type ServeOptions } from "../../../agent/serve/run.ts";
import { createLogger } from "../../../lib/log.ts";
import { parseServerFrame, type ServerFrame, type ServerType } from "../../../lib/wire/chat_engine.ts";
import { SELF_COMMAND } from "../coding/harness.ts";

export const KEY = "correct-horse-battery";
const TIMEOUT_MS = 30_000;

export interface ServerChange {
  env?: Record<string, string>;
  config?: Partial<ServeConfig>;
  options?: Partial<ServeOptions>;
  /** A folder to go on with; by default a new one that is removed in the end. */
  folder?: string;
}

export class TestServer implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly folder: string;
  readonly config: ServeConfig;
  readonly #stop = new AbortController();
  readonly #ownsFolder: boolean;
  readonly #ready = Promise.withResolvers<string>();
  readonly ended: Promise<boolean>;
  url = "";

  private constructor(folder: string, change: ServerChange) {
    this.folder = folder;
    this.#ownsFolder = change.folder === undefined;
    this.config = { ...configOf(folder, change.env), ...change.config };
    const log = createLogger("debug", (line) => void this.lines.push(line));
    const onReady = (url: string) => this.#ready.resolve(url);
    this.ended = runServe(this.config, {
      turnGraceMs: 2_000,
      ...change.options,
      stop: this.#stop.signal,
      log,
      onReady,
    });
    this.ended.then(() => this.#ready.reject(new Error(this.lines.join("\n"))), (error) => this.#ready.reject(error));
  }

  static async start(change: ServerChange = {}): Promise<TestServer> {
    const folder = change.folder ?? await Deno.makeTempDir();
    const server = new TestServer(folder, change);
    server.url = await server.#ready.promise;
    return server;
  }

  async rest(call: string, body?: unknown, headers: Record<string, string> = { "x-api-key": KEY }) {
    const [method, path] = call.split(" ");
    const response = await fetch(this.url + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  async connect(query = `?api_key=${KEY}`): Promise<Client> {
    return await Client.open(`${this.url.replace("http", "ws")}/ws/v1/chat${query}`);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#ownsFolder) await Deno.remove(this.folder, { recursive: true });
  }
}

export function configOf(folder: string, env: Record<string, string> = {}): ServeConfig {
  const config = readServeConfig({
    ...Deno.env.toObject(),
    HEARTH_API_KEY: KEY,
    DATABASE_URL: `file:${folder}/sessions.db`,
    PROJECT_DIR: folder,
    PORT: "0",
    CODING_AGENT_COMMAND: [...SELF_COMMAND, "demo"].map((word) => `"${word}"`).join(" "),
    PREWARM_POOL_SIZE: "1",
    ...env,
  });
  return config;
}

type FrameOf<T extends ServerType> = Extract<ServerFrame, { type: T }>;

export class Client implements AsyncDisposable {
  readonly frames: ServerFrame[] = [];
  readonly closed = Promise.withResolvers<{ code: number; reason: string }>();
  readonly socket: WebSocket;
  #seq = 0;
  #watchers = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      const frame = parseServerFrame(String(data));
      assert(frame, `not a frame: ${data}`);
      this.frames.push(frame);
      for (const watcher of [...this.#watchers]) watcher();
    };
    socket.onclose = ({ code, reason }) => {
      this.closed.resolve({ code, reason });
      for (const watcher of [...this.#watchers]) watcher();
    };
  }

  static async open(url: string): Promise<Client> {
    const client = new Client(new WebSocket(url));
    await new Promise((resolve, reject) => {
      client.socket.onopen = resolve;
      client.socket.onerror = () => reject(new Error("the socket did not open"));
    });
    client.socket.onerror = () => {};
    return client;
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  say(session_id: string, text: string): number {
    const seq = ++this.#seq;
    this.send({ type: "user_message", session_id, text, seq });
    return seq;
  }

  /** The first frame of this type from `from` on that fits; waits for it. */
  async next<T extends ServerType>(
    type: T,
    options: { from?: number; where?: (frame: FrameOf<T>) => boolean } = {},
  ): Promise<FrameOf<T>> {
    const find = () =>
      this.frames.slice(options.from ?? 0).find((frame): frame is FrameOf<T> =>
        frame.type === type && (options.where?.(frame as FrameOf<T>) ?? true)
      );
    const found = find();
    if (found) return found;
    const { promise, resolve, reject } = Promise.withResolvers<FrameOf<T>>();
    const timer = setTimeout(
      () => reject(new Error(`no ${type} in ${JSON.stringify(this.frames).slice(-2_000)}`)),
      TIMEOUT_MS,
    );
    const watcher = () => {
      const frame = find();
      if (frame) resolve(frame);
      else if (this.socket.readyState === WebSocket.CLOSED) reject(new Error(`closed before ${type}`));
    };
    this.#watchers.add(watcher);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    }
  }

  async create(): Promise<string> {
    const from = this.frames.length;
    this.send({ type: "create_session" });
    return (await this.next("session_ready", { from })).session_id;
  }

  /** Says `text` and gives the frames of the whole turn. */
  async turn(session_id: string, text: string): Promise<ServerFrame[]> {
    const from = this.frames.length;
    this.say(session_id, text);
    await this.end(session_id, from);
    return this.frames.slice(from);
  }

  /** The frame that ended a turn. */
  async end(sessionId: string, from = 0): Promise<ServerFrame> {
    const ends: ServerType[] = ["response_complete", "stream_error", "stream_interrupted"];
    const waits = ends.map((type) =>
      this.next(type, { from, where: (frame) => "session_id" in frame && frame.session_id === sessionId })
    );
    for (const wait of waits) wait.catch(() => {});
    return await Promise.race(waits);
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.close();
    await this.closed.promise;
    for (const watcher of [...this.#watchers]) watcher();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The text of all deltas. */
export function said(frames: ServerFrame[]): string {
  return frames.map((frame) => frame.type === "stream_delta" ? frame.delta : "").join("");
}

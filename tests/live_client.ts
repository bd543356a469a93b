/** A follower of a project's live socket for tests: keeps every frame, and waits for what should come. */
// @ts-types="../agent/node/ws.d.ts"
import WebSocket from "ws";
import { type ServerFrame, serverFrame } from "../lib/wire/feed.ts";
import type { Task } from "../lib/wire/task.ts";
import type { Client, TestEdge } from "./edge.ts";

/** A test that waits longer than this has failed: it says for what. */
const WAIT_MAX_MS = 60_000;

export class LiveClient implements AsyncDisposable {
  readonly frames: ServerFrame[] = [];
  /** When each stored message arrived here, by its id. */
  readonly arrivals = new Map<string, number>();
  readonly #socket: WebSocket;
  readonly #opened = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();

  /** The code with which the socket was closed. */
  readonly closed: Promise<number>;

  constructor(url: string, client: Client, options: { path: string; after?: string }) {
    const after = options.after === undefined ? "" : `?after=${encodeURIComponent(options.after)}`;
    const address = url.replace("http", "ws") + options.path + after;
    this.#socket = new WebSocket(address, { headers: { authorization: `Bearer ${client.key}` } });
    this.closed = new Promise((resolve) => this.#socket.on("close", (code) => resolve(code)));
    this.#socket.on("error", (error) => this.#opened.reject(error));
    this.#socket.on("message", (data) => this.#take(serverFrame.parse(JSON.parse(data.toString()))));
  }

  static async open(test: Pick<TestEdge, "url" | "admin">, projectId: string, after?: string): Promise<LiveClient> {
    return await LiveClient.openAt(test.url, test.admin, { path: `/api/projects/${projectId}/ws`, after });
  }

  /** Follows at any address of live messages, as any user. */
  static async openAt(url: string, client: Client, at: { path: string; after?: string }): Promise<LiveClient> {
    const live = new LiveClient(url, client, at);
    await live.#opened.promise;
    return live;
  }

  subscribe(sessionId: string): void {
    this.#socket.send(JSON.stringify({ type: "subscribe", sessionId }));
  }

  /** Resolves with the first frame, of those that came and those to come, that `fits`. */
  async until<T extends ServerFrame>(what: string, fits: (frame: ServerFrame) => frame is T): Promise<T>;
  async until(what: string, fits: (frame: ServerFrame) => boolean): Promise<ServerFrame>;
  async until(what: string, fits: (frame: ServerFrame) => boolean): Promise<ServerFrame> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`waited in vain for ${what}; came: ${this.#summary()}`)), WAIT_MAX_MS);
    });
    try {
      for (let at = 0;; at++) {
        while (at >= this.frames.length) await Promise.race([this.#changed.promise, late]);
        if (fits(this.frames[at]!)) return this.frames[at]!;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves with the task once it has one of these states. */
  async task(taskId: string, ...statuses: Task["status"][]): Promise<Task> {
    const frame = await this.until(
      `task ${statuses}`,
      (frame) => frame.type === "task.updated" && frame.task.id === taskId && statuses.includes(frame.task.status),
    );
    return (frame as Extract<ServerFrame, { type: "task.updated" }>).task;
  }

  /** Resolves once the workspace has this state. */
  async workspace(status: string, fits: (workspace: { id: string; keptUntil: string | null }) => boolean = () => true) {
    const frame = await this.until(
      `workspace ${status}`,
      (frame) => frame.type === "workspace.updated" && frame.workspace.status === status && fits(frame.workspace),
    );
    return (frame as Extract<ServerFrame, { type: "workspace.updated" }>).workspace;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === 3) return;
    const closed = new Promise<void>((resolve) => this.#socket.on("close", () => resolve()));
    this.#socket.close();
    await closed;
  }

  #take(frame: ServerFrame): void {
    this.frames.push(frame);
    if (frame.type === "message.new") this.arrivals.set(frame.message.messageId, Date.now());
    if (frame.type === "hello") this.#opened.resolve();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #summary(): string {
    return this.frames.slice(-30).map((frame) => {
      if (frame.type === "task.updated") {
        return `task ${frame.task.status}/${frame.task.executionStep}/${frame.task.errorMessage}`;
      }
      if (frame.type === "workspace.updated") return `workspace ${frame.workspace.status}`;
      return frame.type;
    }).join(", ");
  }
}

/**
 * One live socket that comes back by itself: with back-off and jitter after a drop, at once when the browser is online
 * or visible again, and always from the last cursor that was taken in. Frames are parsed by the shared schema; for one
 * that does not fit, its owner is told to read the state anew.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import { backoffMs } from "../lib/backoff.ts";
import { type BrowserFrame, type ServerFrame, serverFrame } from "../lib/wire/feed.ts";

export type Connection = "connecting" | "connected" | "reconnecting" | "offline";

const BACKOFF = { initialMs: 500, maxMs: 30_000 };
/** The edge pings more often than this; silence means a connection that is dead without having been closed. */
const SILENCE_MAX_MS = 75_000;
/** Close codes after which coming back would only be refused again. */
const REFUSED: Readonly<Record<number, Refusal>> = { 4401: "signed_out", 4403: "not_a_member" };
export type Refusal = "signed_out" | "not_a_member";

export interface LiveOptions {
  /** Path of the socket, without the cursor. */
  path: string;
  cursor: () => string;
  /** The session whose messages are wanted: told with the connection, so that what was missed of it comes too. */
  subscription: () => string | null;
  onFrame: (frame: ServerFrame) => void;
  /** A frame could not be read, so what it told is missing. */
  onBroken: () => void;
  onRefused: (why: Refusal) => void;
}

export class LiveSocket {
  readonly #options: LiveOptions;
  readonly #status = signal<Connection>("connecting");
  readonly #end = new AbortController();
  #socket: WebSocket | null = null;
  #subscribed: string | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    const { signal } = this.#end;
    addEventListener("online", () => this.#hurry(), { signal });
    addEventListener("offline", () => this.#drop(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry(), {
      signal,
    });
    this.#connect();
  }

  get status(): ReadonlySignal<Connection> {
    return this.#status;
  }

  /** Asks for the messages of the session that is selected now. */
  subscribe(): void {
    const sessionId = this.#options.subscription();
    if (!sessionId || sessionId === this.#subscribed || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#subscribed = sessionId;
    this.#send({ type: "subscribe", sessionId });
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    clearTimeout(this.#retry);
    this.#forget();
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#forget();
    const url = new URL(this.#options.path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("after", this.#options.cursor());
    const sessionId = this.#options.subscription();
    if (sessionId) url.searchParams.set("session", sessionId);
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#subscribed = sessionId;
    socket.addEventListener("open", () => socket === this.#socket && this.#opened());
    socket.addEventListener("message", (event) => socket === this.#socket && this.#received(event.data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event.code));
  }

  #opened(): void {
    this.#status.value = "connected";
    this.#heard();
    this.subscribe();
  }

  #received(data: unknown): void {
    this.#heard();
    const parsed = parseFrame(data);
    if (parsed === "unknown") return;
    if (parsed === "broken") return this.#options.onBroken();
    // A connection counts as good once the edge has spoken on it, not when it was merely accepted.
    this.#attempt = 0;
    if (parsed.type === "ping") return this.#send({ type: "pong" });
    this.#options.onFrame(parsed);
  }

  #closed(code: number): void {
    this.#forget();
    if (this.#end.signal.aborted) return;
    const refusal = REFUSED[code];
    if (refusal) {
      this.#status.value = "offline";
      return this.#options.onRefused(refusal);
    }
    this.#status.value = navigator.onLine ? "reconnecting" : "offline";
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), backoffMs(this.#attempt++, BACKOFF, Math.random()));
  }

  /** The network or the reader is back: no reason to wait out the back-off. */
  #hurry(): void {
    if (this.#socket?.readyState === WebSocket.OPEN || this.#socket?.readyState === WebSocket.CONNECTING) return;
    this.#attempt = 0;
    this.#connect();
  }

  #drop(): void {
    if (this.#socket) this.#closed(0);
    else this.#status.value = navigator.onLine ? "reconnecting" : "offline";
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#drop(), SILENCE_MAX_MS);
  }

  #send(frame: BrowserFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #forget(): void {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#socket = null;
    this.#subscribed = null;
    socket?.close();
  }
}

/** A frame of a kind that a newer edge sends is passed over; one of a known kind that does not fit is broken. */
function parseFrame(data: unknown): ServerFrame | "unknown" | "broken" {
  if (typeof data !== "string") return "broken";
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return "broken";
  }
  const parsed = serverFrame.safeParse(value);
  if (parsed.success) return parsed.data;
  return parsed.error.issues.some((issue) => issue.code === "invalid_union" && issue.path[0] === "type")
    ? "unknown"
    : "broken";
}

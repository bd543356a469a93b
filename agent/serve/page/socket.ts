/**
 * The page's one socket: opened with a ticket that the key is exchanged for, opened again after a drop (after 3 s, then
 * longer, up to 30 s; at once when the machine is online or the page visible again), but not after another window took over.
 */
import { parseServerFrame, type ServerFrame } from "../../../lib/wire/chat_engine.ts";
import { z } from "zod";

const RETRY_FIRST_MS = 3_000;
const RETRY_MAX_MS = 30_000;
const TAKEN_OVER = 4001;

const ticketAnswer = z.object({ ticket: z.string() });

export class WrongKey extends Error {
  override name = "WrongKey";
}

export interface SocketEvents {
  onFrame(frame: ServerFrame): void;
  onStatus(status: "connected" | "reconnecting" | "disconnected"): void;
  onElsewhere(): void;
  onWrongKey(): void;
}

/** A ticket for one socket. Throws WrongKey when the server does not know the key. */
export async function fetchTicket(key: string): Promise<string> {
  const response = await fetch("/api/v1/ws-ticket", { method: "POST", headers: { "x-api-key": key } });
  if (response.status === 401) throw new WrongKey("The server does not know this key.");
  if (!response.ok) throw new Error("The server is not ready. Try again in a moment.");
  return ticketAnswer.parse(await response.json()).ticket;
}

export class ChatSocket {
  readonly #key: string;
  readonly #events: SocketEvents;
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_FIRST_MS;
  #isConnecting = false;
  #isStopped = false;
  #seq = 0;

  constructor(key: string, events: SocketEvents) {
    this.#key = key;
    this.#events = events;
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#wake();
    });
  }

  /** Opens the socket, with the ticket if there is one already. */
  async connect(ticket?: string): Promise<void> {
    if (this.#isConnecting || this.#socket) return;
    this.#isConnecting = true;
    this.#isStopped = false;
    clearTimeout(this.#timer);
    try {
      this.#open(ticket ?? await fetchTicket(this.#key));
    } catch (error) {
      if (error instanceof WrongKey) this.#refuse();
      else this.#retry();
    } finally {
      this.#isConnecting = false;
    }
  }

  send(
    frame: { type: "interrupt" | "switch_session" | "destroy_session"; session_id: string } | {
      type: "create_session";
    },
  ): boolean {
    return this.#write(frame);
  }

  /** Sends a person's message. False: there is no connection now. */
  say(sessionId: string, text: string): boolean {
    return this.#write({ type: "user_message", session_id: sessionId, text, seq: ++this.#seq });
  }

  #write(frame: unknown): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #open(ticket: string): void {
    const socket = this.#socket = new WebSocket(`/ws/v1/chat?ticket=${encodeURIComponent(ticket)}`);
    socket.onopen = () => {
      this.#retryMs = RETRY_FIRST_MS;
      this.#seq = 0;
      this.#events.onStatus("connected");
    };
    socket.onmessage = ({ data }) => {
      const frame = parseServerFrame(String(data));
      if (frame) this.#events.onFrame(frame);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#socket = null;
      if (code !== TAKEN_OVER) return this.#retry();
      this.#isStopped = true;
      this.#events.onStatus("disconnected");
      this.#events.onElsewhere();
    };
  }

  /** Another key is asked for, and another socket made with it: this one must not come back beside it. */
  #refuse(): void {
    this.#isStopped = true;
    this.#events.onWrongKey();
  }

  #retry(): void {
    if (this.#isStopped) return;
    this.#events.onStatus(navigator.onLine ? "reconnecting" : "disconnected");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.connect(), this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }

  #wake(): void {
    if (!this.#isStopped) void this.connect();
  }
}

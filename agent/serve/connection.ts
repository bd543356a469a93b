/**
 * One client's socket. Frames are answered in the order in which they came (an interrupt is meant for the message
 * before it), but what takes long, a cold start or an end, stands outside that line. The order of a session's events is
 * kept, also around its history: what the history holds is not sent a second time.
 */
import { byteLength } from "../../lib/bytes.ts";
import type { Logger } from "../../lib/log.ts";
import {
  CLIENT_FRAME_MAX_BYTES,
  type ClientFrame,
  type EngineErrorCode,
  makeFrame,
  parseClientFrame,
  type ServerFrame,
  type SessionEvent,
} from "../../lib/wire/chat_engine.ts";
import type { ChatSessions } from "../coding/chat_sessions.ts";
import { REFUSALS } from "./errors.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { Hub } from "./hub.ts";

/** Frames that wait for an answer; a client that sends more than it reads answers for is closed. */
const WAITING_MAX = 100;
const COLD_START_SECONDS = 5;

export interface ConnectionOptions {
  socket: WebSocket;
  hub: Hub;
  manager: ChatSessions;
  log: Logger;
}

type FrameOf<T extends ClientFrame["type"]> = Extract<ClientFrame, { type: T }>;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #queue: FrameQueue;
  /** Events of sessions whose history is on its way. */
  readonly #held = new Map<string, SessionEvent[]>();
  #work: Promise<void> = Promise.resolve();
  #waiting = 0;
  #lastSeq = 0;
  #isClosed = false;

  constructor(options: ConnectionOptions) {
    const { socket, hub } = options;
    this.#options = options;
    this.#queue = new FrameQueue(socket, () => options.log.warn("reader_too_slow"));
    hub.add(this);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#end();
    socket.onerror = () => this.#end();
  }

  /** Tells the client what sessions there are. */
  async greet(): Promise<void> {
    this.send(makeFrame("session_list", { sessions: await this.#options.manager.list() }));
  }

  send(frame: ServerFrame): void {
    if (!this.#isClosed) this.#queue.send(frame);
  }

  deliver(event: SessionEvent): void {
    const held = this.#held.get(event.session_id);
    if (held) held.push(event);
    else this.send(event);
  }

  close(code: number, reason: string): void {
    this.#end();
    this.#options.socket.close(code, reason);
  }

  #end(): void {
    this.#isClosed = true;
    this.#queue.stop();
    this.#held.clear();
    this.#options.hub.remove(this);
  }

  #receive(data: unknown): void {
    if (this.#isClosed) return;
    if (typeof data !== "string") return this.close(1003, "Frames are JSON text.");
    if (data.length > CLIENT_FRAME_MAX_BYTES || byteLength(data) > CLIENT_FRAME_MAX_BYTES) {
      return this.close(1009, "A frame holds at most 1 MiB.");
    }
    const parsed = parseClientFrame(data);
    if ("error" in parsed) return this.send(parsed.error);
    if (this.#waiting >= WAITING_MAX) return this.close(1008, "Too many frames at once.");
    this.#waiting++;
    const isAside = parsed.frame.type === "create_session" || parsed.frame.type === "destroy_session";
    const answered = isAside ? this.#answer(parsed.frame) : this.#work.then(() => this.#answer(parsed.frame));
    if (!isAside) this.#work = answered;
    void answered.finally(() => this.#waiting--);
  }

  async #answer(frame: ClientFrame): Promise<void> {
    try {
      const refused = await this.#handle(frame);
      if (refused) this.#refuse(refused);
    } catch (error) {
      this.#options.log.error("frame_not_answered", { type: frame.type, error });
      this.#refuse("internal_error");
    }
  }

  #refuse(code: EngineErrorCode): void {
    const message = code in REFUSALS ? REFUSALS[code as keyof typeof REFUSALS] : "The frame is not valid.";
    this.send(makeFrame("error", { code, message }));
  }

  async #handle(frame: ClientFrame): Promise<EngineErrorCode | null> {
    const { manager } = this.#options;
    switch (frame.type) {
      case "user_message":
        return await this.#ask(frame);
      case "interrupt":
        return await manager.interrupt(frame.session_id);
      case "create_session":
        return await this.#create();
      case "switch_session":
        return await this.#switch(frame.session_id);
      case "destroy_session":
        return await this.#destroy(frame.session_id);
    }
  }

  async #ask({ session_id, text, seq }: FrameOf<"user_message">): Promise<EngineErrorCode | null> {
    const { manager } = this.#options;
    if (seq <= this.#lastSeq) {
      const message = `The frame is not valid: seq: must be above ${this.#lastSeq}.`;
      this.send(makeFrame("error", { code: "invalid_message", message }));
      return null;
    }
    this.#lastSeq = seq;
    if (await manager.find(session_id) === null) return "session_not_found";
    this.#attach(session_id);
    return await manager.ask(session_id, text, () => this.send(makeFrame("message_received", { seq })));
  }

  async #create(): Promise<EngineErrorCode | null> {
    const created = await this.#options.manager.create({
      onReserved: (sessionId) => this.#attach(sessionId),
      onCold: () => this.send(makeFrame("session_creating", { estimated_seconds: COLD_START_SECONDS })),
    });
    return "refused" in created ? created.refused : null;
  }

  async #switch(sessionId: string): Promise<EngineErrorCode | null> {
    if (await this.#options.manager.find(sessionId) === null) return "session_not_found";
    const held: SessionEvent[] = [];
    this.#held.set(sessionId, held);
    this.#attach(sessionId);
    try {
      const history = await this.#options.manager.history(sessionId);
      if (!history) return "session_not_found";
      const { messages, seq, hasMore } = history;
      this.send(makeFrame("session_history", { session_id: sessionId, messages, seq, has_more: hasMore }));
      for (const event of held) if (!("seq" in event) || event.seq > seq) this.send(event);
    } finally {
      this.#held.delete(sessionId);
    }
    this.#options.manager.showTurn(sessionId);
    return null;
  }

  /** Ending a session takes it from no window that shows it: both are told. */
  async #destroy(sessionId: string): Promise<EngineErrorCode | null> {
    const { hub, manager } = this.#options;
    if (await manager.find(sessionId) === null) return "session_not_found";
    const release = hub.alsoTell(sessionId, this);
    try {
      return await manager.destroy(sessionId);
    } finally {
      release();
    }
  }

  #attach(sessionId: string): void {
    if (!this.#isClosed) this.#options.hub.attach(sessionId, this);
  }
}

/**
 * All chat sessions of this machine: made from warm processes or cold, asked, interrupted, gone on with after a crash
 * or a restart, ended. A place is taken before anything is waited for, so parallel calls never exceed the limit. Knows
 * nothing of sockets: what happens is emitted as typed events.
 */
import { messageOf } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import {
  type EndReason,
  type EngineErrorCode,
  makeFrame,
  type SessionEvent,
  type SessionSource,
  type SessionSummary,
} from "../../lib/wire/chat_engine.ts";
import { ChatSession, HISTORY_MAX, type SessionCounters, type SessionParts, summaryOf } from "./chat_session.ts";
import type { MessagePage, SessionRecord, SessionStorage } from "./session_records.ts";
import { type SessionAction, SessionManager, TURN_GRACE_MS } from "./sessions.ts";

/** Numbers of so many sessions are kept; of older ones they begin anew, as after a restart of the server. */
const RESTED_MAX = 10_000;

export interface ChatSessionsOptions extends Omit<SessionParts, "emit" | "onLost"> {
  storage: SessionStorage;
  maxSessions: number;
  turnGraceMs?: number;
  /** What a person is told of a session that ends, by its reason. */
  endings: Record<EndReason, string>;
}

export type Refused = { refused: EngineErrorCode };
export interface CreateHooks {
  /** Called at once with the id of the session that is being made. */
  onReserved?: (sessionId: string) => void;
  /** Called when no warm process was there, and one is started. */
  onCold?: () => void;
}
type Created = { sessionId: string; source: SessionSource; createdAt: string };

export class ChatSessions implements AsyncDisposable {
  readonly #options: ChatSessionsOptions;
  readonly #sessions: SessionManager<ChatSession>;
  /** Sessions that have a process or are getting one. */
  readonly #places = new Set<string>();
  /** Of sessions that were let go: where their frames' numbers and their turns had got to. */
  readonly #rested = new Map<string, SessionCounters>();
  readonly #listeners = new Set<(event: SessionEvent) => void>();
  #isClosing = false;
  #hasRoom = true;

  constructor(options: ChatSessionsOptions) {
    this.#options = options;
    const { instanceId, log } = options;
    this.#sessions = new SessionManager({ instanceId, act: (session, action) => this.#act(session, action), log });
  }

  /** Ends what an earlier life of this program left behind, and corrects its records. */
  async start(): Promise<void> {
    await this.#sessions.start();
    await this.#options.storage.closeLeftOpen();
    for (const record of await this.#options.storage.listActive()) {
      const lost = record.status === "creating";
      const status = lost ? "terminated" : "idle";
      await this.#options.storage.save({ ...record, status, isResumable: !lost, subprocessPid: null });
    }
  }

  /** Tells everything that happens in sessions from now on; the answer stops it. */
  listen(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get activeCount(): number {
    return this.#places.size;
  }

  /** What the monitor looks at, and acts by. */
  get monitored(): SessionManager<ChatSession> {
    return this.#sessions;
  }

  /** False: the disk is too full for another session. */
  setRoom(hasRoom: boolean): void {
    this.#hasRoom = hasRoom;
  }

  async list(): Promise<SessionSummary[]> {
    const records = await this.#options.storage.listOpen();
    return records.map((record) => this.#sessions.get(record.sessionId)?.summary ?? summaryOf(record));
  }

  async find(sessionId: string): Promise<SessionSummary | null> {
    const known = this.#sessions.get(sessionId);
    if (known) return known.summary;
    const record = await this.#options.storage.get(sessionId);
    return record && summaryOf(record);
  }

  async messages(sessionId: string, page: { before?: string; limit: number }): Promise<MessagePage> {
    return await this.#options.storage.listMessages(sessionId, page);
  }

  /** What was said in a session, with what still grows; null for one that does not exist. */
  async history(sessionId: string): Promise<(MessagePage & { seq: number }) | null> {
    const known = this.#sessions.get(sessionId);
    if (known) return await known.history();
    if (!await this.#options.storage.get(sessionId)) return null;
    const page = await this.#options.storage.listMessages(sessionId, { limit: HISTORY_MAX });
    return { ...page, seq: this.#rested.get(sessionId)?.seq ?? 0 };
  }

  /** Lets whoever just came to a session see that a turn is under way there, however silent it is. */
  showTurn(sessionId: string): void {
    this.#sessions.get(sessionId)?.showTurn();
  }

  /** A new session with a coding agent. */
  async create(hooks: CreateHooks = {}): Promise<Created | Refused> {
    if (this.#isClosing) return { refused: "server_shutting_down" };
    const sessionId = newId();
    if (!this.#hasRoom || !this.#reserve(sessionId)) return { refused: "capacity_exceeded" };
    hooks.onReserved?.(sessionId);
    const session = this.#add(newRecord(sessionId));
    let source: SessionSource = "cold-start";
    const forget = this.listen((event) => {
      if (event.type === "session_ready" && event.session_id === sessionId) source = event.source;
    });
    try {
      await session.save({});
      await session.open(hooks.onCold);
      if (!this.#sessions.get(sessionId)) return { refused: "session_not_found" };
      return { sessionId, source, createdAt: session.record.createdAt };
    } catch (error) {
      const isKnown = this.#sessions.get(sessionId) !== undefined;
      this.#options.log.error("session_not_created", { session_id: sessionId, reason: messageOf(error) });
      if (isKnown) await this.#close(session, { reason: "crashed", isResumable: false });
      return { refused: isKnown ? "internal_error" : "session_not_found" };
    } finally {
      forget();
    }
  }

  /** Begins a turn; `onTaken` is called before anything of it is emitted. Answers why not, or null. */
  async ask(sessionId: string, text: string, onTaken: () => void): Promise<EngineErrorCode | null> {
    if (this.#isClosing) return "server_shutting_down";
    // What is being done with the session ends first: after a crash the next message is to find it tidied up.
    if (!this.#sessions.get(sessionId)?.isTurnRunning) await this.#sessions.whenFree(sessionId);
    const session = this.#current(await this.#get(sessionId));
    if (!session) return "session_not_found";
    if (session.record.status === "creating" || session.isTurnRunning) return "query_in_progress";
    const refused = this.#refusalOf(session);
    if (refused) return refused;
    onTaken();
    session.ask(text);
    return null;
  }

  /** Ends the turn under way, if there is one. */
  async interrupt(sessionId: string): Promise<EngineErrorCode | null> {
    this.#sessions.get(sessionId)?.interrupt();
    return await this.find(sessionId) ? null : "session_not_found";
  }

  /** Gives a session a coding agent again. One that has one is left as it is. */
  async resume(sessionId: string): Promise<EngineErrorCode | null> {
    if (this.#isClosing) return "server_shutting_down";
    await this.#sessions.whenFree(sessionId);
    const session = this.#current(await this.#get(sessionId));
    if (!session) return "not_resumable";
    if (session.hasProcess || session.isTurnRunning) return null;
    const refused = this.#refusalOf(session);
    if (refused) return refused;
    try {
      await session.open();
      return null;
    } catch (error) {
      this.#options.log.error("session_not_resumed", { session_id: sessionId, reason: messageOf(error) });
      await this.#toIdle(session);
      return "internal_error";
    }
  }

  /** Ends a session for good. */
  async destroy(sessionId: string): Promise<EngineErrorCode | null> {
    const session = await this.#get(sessionId);
    if (!session || (session.record.status === "terminated" && !session.record.isResumable)) {
      return "session_not_found";
    }
    await this.#close(session, { reason: "user_requested", isResumable: false });
    return null;
  }

  /** Takes no more work, lets running turns end for a while, and ends every process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const graceMs = this.#options.turnGraceMs ?? TURN_GRACE_MS;
    await Promise.all(this.#sessions.all.map(async (session) => {
      await session.quiet(graceMs);
      await session[Symbol.asyncDispose]();
      if (session.record.status !== "terminated") await session.save({ status: "idle", subprocessPid: null });
    }));
    await this.#sessions[Symbol.asyncDispose]();
  }

  #reserve(sessionId: string): boolean {
    if (this.#places.has(sessionId)) return true;
    if (this.#places.size >= this.#options.maxSessions) return false;
    this.#places.add(sessionId);
    return true;
  }

  /** Takes a place for it; one that gets none is not kept in memory either. */
  #refusalOf(session: ChatSession): "not_resumable" | "capacity_exceeded" | null {
    const { record } = session;
    const canResume = record.isResumable && record.terminatedReason !== "user_requested";
    if (canResume && this.#reserve(session.id)) return null;
    this.#letGo(session);
    return canResume ? "capacity_exceeded" : "not_resumable";
  }

  async #get(sessionId: string): Promise<ChatSession | null> {
    const known = this.#sessions.get(sessionId);
    if (known) return known;
    const record = await this.#options.storage.get(sessionId);
    // Somebody else may have brought it in meanwhile.
    return this.#sessions.get(sessionId) ?? (record && this.#add(record));
  }

  #add(record: SessionRecord): ChatSession {
    const parts = {
      ...this.#options,
      emit: (event: SessionEvent) => this.#emit(event),
      onLost: (session: ChatSession) =>
        void this.#afterLoss(session).catch((error) =>
          this.#options.log.error("loss_not_tidied", { session_id: session.id, error })
        ),
    };
    const session = new ChatSession(parts, { record, goesOn: this.#rested.get(record.sessionId) });
    this.#rested.delete(record.sessionId);
    this.#sessions.add(session);
    return session;
  }

  /** The session as it is known at this moment: it may have been let go while it was waited for. */
  #current(session: ChatSession | null): ChatSession | null {
    if (!session) return null;
    const known = this.#sessions.get(session.id);
    if (!known) this.#sessions.add(session);
    return known ?? session;
  }

  /** Keeps no more of a session than what its next frames go on with; the rest is on the disk. */
  #letGo(session: ChatSession): void {
    if (session.isTurnRunning || session.hasProcess || this.#places.has(session.id)) return;
    this.#sessions.remove(session.id);
    this.#rested.set(session.id, session.counters);
    const [oldest] = this.#rested.keys();
    if (this.#rested.size > RESTED_MAX && oldest !== undefined) this.#rested.delete(oldest);
  }

  #emit(event: SessionEvent): void {
    for (const listener of this.#listeners) listener(event);
    if (event.type === "stream_error" || event.type === "response_complete" || event.type === "stream_interrupted") {
      this.#afterTurn(event.session_id);
    }
  }

  /** A turn for which no process could be started keeps no place. */
  #afterTurn(sessionId: string): void {
    const session = this.#sessions.get(sessionId);
    if (session && !session.hasProcess && !this.#sessions.isInHand(sessionId)) this.#places.delete(sessionId);
  }

  async #afterLoss(session: ChatSession): Promise<void> {
    if (this.#sessions.isInHand(session.id) || !this.#sessions.get(session.id)) return;
    const wasRunning = session.isTurnRunning;
    this.#options.log.warn("coding_agent_lost", { session_id: session.id });
    await this.#sessions.hold(session, async () => {
      await session.endProcess();
      await this.#toIdle(session);
    });
    if (!wasRunning) this.#tellEnd(session.id, "crashed");
  }

  async #toIdle(session: ChatSession): Promise<void> {
    this.#places.delete(session.id);
    await session.save({ status: "idle", subprocessPid: null, isResumable: true });
    this.#letGo(session);
  }

  async #close(session: ChatSession, end: { reason: EndReason; isResumable: boolean }): Promise<void> {
    this.#sessions.remove(session.id);
    session.isClosed = true;
    try {
      await session[Symbol.asyncDispose]();
      const { reason, isResumable } = end;
      await session.save({ status: "terminated", terminatedReason: reason, isResumable, subprocessPid: null });
    } finally {
      this.#places.delete(session.id);
    }
    if (end.isResumable) this.#rested.set(session.id, session.counters);
    this.#tellEnd(session.id, end.reason);
  }

  #tellEnd(sessionId: string, reason: EndReason): void {
    const message = this.#options.endings[reason];
    const resume_url = `/chat?resume=${sessionId}`;
    this.#emit(makeFrame("session_terminated", { session_id: sessionId, reason, message, resume_url }));
  }

  async #act(session: ChatSession, action: SessionAction): Promise<void> {
    const graceMs = this.#options.turnGraceMs ?? TURN_GRACE_MS;
    switch (action.type) {
      case "warn_duration": {
        session.wasWarned = true;
        const { remainingSeconds } = action;
        const message = `This session ends in ${Math.ceil(remainingSeconds / 60)} min. It can be resumed afterwards.`;
        const warning = { session_id: session.id, reason: "duration" as const, remaining_seconds: remainingSeconds };
        return this.#emit(makeFrame("session_warning", { ...warning, message }));
      }
      case "terminate_duration":
        return await this.#sessions.hold(session, async () => {
          await session.quiet(graceMs);
          await this.#close(session, { reason: "duration", isResumable: true });
        });
      case "restart_memory":
        return await this.#sessions.hold(session, () => this.#restart(session, graceMs));
      case "force_kill_memory":
        return await this.#sessions.hold(session, async () => {
          await session.endProcess();
          await this.#close(session, { reason: "memory_limit", isResumable: true });
        });
      case "mark_idle":
        return await session.save({ status: "idle" });
      case "end_idle":
        return await this.#sessions.hold(session, async () => {
          await session.end();
          await this.#toIdle(session);
          this.#tellEnd(session.id, "idle");
        });
    }
  }

  /** The same conversation in a new process; its place is kept meanwhile. */
  async #restart(session: ChatSession, graceMs: number): Promise<void> {
    await session.quiet(graceMs);
    const restarting = { session_id: session.id, reason: "memory_limit" as const };
    this.#emit(makeFrame("session_restarting", { ...restarting, message: this.#options.endings.memory_limit }));
    await session.end();
    try {
      await session.open();
    } catch (error) {
      this.#options.log.error("session_not_restarted", { session_id: session.id, reason: messageOf(error) });
      await this.#toIdle(session);
      this.#tellEnd(session.id, "crashed");
    }
  }
}

function newRecord(sessionId: string): SessionRecord {
  const now = new Date().toISOString();
  return {
    sessionId,
    userId: "local",
    status: "creating",
    createdAt: now,
    lastActiveAt: now,
    subprocessPid: null,
    messageCount: 0,
    totalCostUsd: 0,
    isResumable: true,
    terminatedReason: null,
  };
}

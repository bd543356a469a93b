/**
 * One chat session: its record, its coding agent while it has one, and the turn under way, of which there is at most
 * one. Every turn that was begun ends with exactly one of response_complete, stream_error and stream_interrupted.
 */
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Identity } from "../../lib/processes.ts";
import {
  makeFrame,
  type SessionEvent,
  type SessionSource,
  type SessionSummary,
  type SuggestedAction,
} from "../../lib/wire/chat_engine.ts";
import type { AcpEvents, AcpSession } from "./acp.ts";
import { AgentProcess } from "./agent_process.ts";
import type { Place } from "./project_folder.ts";
import { withRecap } from "./recap.ts";
import type { MessagePage, SessionRecord, SessionStorage } from "./session_records.ts";
import type { ManagedSession } from "./sessions.ts";
import type { TurnEnd } from "./turn_answer.ts";
import { TurnOutput } from "./turn_output.ts";

/** Messages that a history holds at most; older ones are asked for in pages. */
export const HISTORY_MAX = 200;
const NOT_RESTORED = "Previous session could not be restored";
const SUMMARISED = "The coding agent cannot reopen conversations; it was given a summary of this one.";

export interface Launched {
  session: AcpSession;
  source: SessionSource;
  place: Place;
}

export interface SessionParts {
  storage: SessionStorage;
  emit: (event: SessionEvent) => void;
  /** Starts a coding agent with this mark, or takes a warm one. */
  launch: (mark: string, onCold?: () => void) => Promise<Launched>;
  explain: (failure: string) => { error: string; action: SuggestedAction };
  /** The process is gone although nobody ended it. */
  onLost: (session: ChatSession) => void;
  instanceId: string;
  cwd: string;
  log: Logger;
}

/** What the frames of a session go on with when it is taken up again. */
export interface SessionCounters {
  seq: number;
  turns: number;
}

interface Turn {
  isInterrupted: boolean;
  /** Its end has been told. */
  isOver: boolean;
  done: Promise<void>;
}

export class ChatSession implements ManagedSession, AsyncDisposable {
  readonly id: string;
  readonly mark: string;
  readonly #parts: SessionParts;
  readonly #process: AgentProcess;
  readonly #output: TurnOutput;
  record: SessionRecord;
  startedAtMs = performance.now();
  lastActiveAtMs = performance.now();
  wasWarned = false;
  /** It has been ended for good; what is still on its way must not bring it back. */
  isClosed = false;
  #messagesBefore: number;
  #costBefore: number;
  #turns: number;
  #turn: Turn | null = null;
  #recap: { prompt: { text: string } | null; summary: string } | null = null;
  #isEnding = false;

  constructor(parts: SessionParts, { record, goesOn }: { record: SessionRecord; goesOn?: SessionCounters }) {
    this.#parts = { ...parts, log: parts.log.with({ session_id: record.sessionId }) };
    this.id = record.sessionId;
    this.mark = `${parts.instanceId}/${record.sessionId}`;
    this.record = record;
    this.#messagesBefore = record.messageCount;
    this.#costBefore = record.totalCostUsd;
    this.#turns = goesOn?.turns ?? 0;
    this.#process = new AgentProcess(this.mark);
    this.#output = new TurnOutput({
      sessionId: this.id,
      cwd: parts.cwd,
      seq: goesOn?.seq ?? 0,
      onFlood: () => this.#process.cancel(),
      emit: parts.emit,
      store: (messages) => parts.storage.putMessages(this.id, messages),
      log: this.#parts.log,
    });
  }

  get counters(): SessionCounters {
    return { seq: this.#output.seq, turns: this.#turns };
  }

  get isTurnRunning(): boolean {
    return this.#turn !== null;
  }

  get hasProcess(): boolean {
    return this.#process.session !== null;
  }

  get facts(): ManagedSession["facts"] {
    const { startedAtMs, lastActiveAtMs, isTurnRunning, wasWarned } = this;
    return { startedAtMs, lastActiveAtMs, isTurnRunning, wasWarned, isIdle: this.record.status === "idle" };
  }

  /** The processes that work for this session, by their leader and mark; null without one. */
  get processes(): { leader: Identity; mark: string } | null {
    return this.#process.session?.processes ?? null;
  }

  get summary(): SessionSummary {
    return summaryOf({ ...this.record, messageCount: this.#messageCount });
  }

  /** Gives the session a coding agent, with its conversation where it had one. Throws when none could be started. */
  async open(onCold?: () => void): Promise<void> {
    const { storage } = this.#parts;
    const conversation = await storage.getConversation(this.id);
    let source: SessionSource = "cold-start";
    let place: Place = { cwd: this.#parts.cwd, mcpServers: [] };
    const start = async () => {
      const launched = await this.#parts.launch(this.mark, onCold);
      ({ source, place } = launched);
      return launched.session;
    };
    const events: AcpEvents = {
      onUpdate: (update) => this.#output.take(update),
      onPermission: ({ call, options }) => this.#output.permit(call, options),
    };
    const { session, resumed } = await this.#process.open(start, () => ({ ...place, resume: conversation, events }));
    this.#watch(session);
    this.startedAtMs = this.lastActiveAtMs = performance.now();
    this.wasWarned = false;
    if (session.sessionId !== null && !resumed) await this.#replaceConversation(session, conversation);
    if (this.isClosed) throw new Error("The session was ended while it was being opened.");
    await this.save({ status: "active", subprocessPid: session.processes.leader.pid, terminatedReason: null });
    this.#parts.log.info("session_opened", { source, resumed, pid: session.processes.leader.pid });
    this.#parts.emit(this.#readyFrame({ source, conversation, resumed, canResume: session.isResumable }));
  }

  /** Begins a turn. Answers false when one is under way. */
  ask(text: string): boolean {
    if (this.#turn) return false;
    const turn: Turn = { isInterrupted: false, isOver: false, done: Promise.resolve() };
    this.#turn = turn;
    this.lastActiveAtMs = performance.now();
    turn.done = this.#run(turn, text).finally(() => {
      this.#turn = null;
      this.lastActiveAtMs = performance.now();
    });
    return true;
  }

  /** Asks the coding agent to end its turn; without one it does nothing. */
  interrupt(): void {
    if (!this.#turn) return;
    this.#turn.isInterrupted = true;
    this.#process.cancel();
  }

  /** Resolves when no turn runs, or after `graceMs`. Answers whether none does. */
  async quiet(graceMs: number): Promise<boolean> {
    if (!this.#turn) return true;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, graceMs);
    await Promise.race([this.#turn.done, late.promise]);
    clearTimeout(timer);
    return this.#turn === null;
  }

  /** Ends the coding agent; a turn under way is interrupted by it. The record is left to whoever ends it. */
  async end(): Promise<void> {
    if (this.#turn) this.#turn.isInterrupted = true;
    await this.endProcess();
  }

  /** Ends the coding agent, or what one that was lost left behind; a turn under way fails by it. */
  async endProcess(): Promise<void> {
    this.#isEnding = true;
    try {
      await this.#process.end();
      await this.#turn?.done;
    } finally {
      this.#isEnding = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#output[Symbol.asyncDispose]();
  }

  /** What was said, with what is still growing, and the number of the last frame that this holds. */
  async history(): Promise<MessagePage & { seq: number }> {
    const page = await this.#parts.storage.listMessages(this.id, { limit: HISTORY_MAX });
    const { recent, open, seq } = this.#output.snapshot();
    const byId = new Map(page.messages.map((message) => [message.message_id, message]));
    for (const message of [...recent, ...open]) byId.set(message.message_id, message);
    return { messages: [...byId.values()], hasMore: page.hasMore, seq };
  }

  /** Where a turn is under way, an empty piece of its answer: whoever just came sees that more follows. */
  showTurn(): void {
    if (!this.#turn || this.#turn.isOver) return;
    this.#output.emit((seq) => makeFrame("stream_delta", { session_id: this.id, delta: "", seq }));
  }

  /** Keeps the record with these changes. */
  async save(change: Partial<SessionRecord>): Promise<void> {
    this.record = {
      ...this.record,
      messageCount: this.#messageCount,
      lastActiveAt: new Date(Date.now() - (performance.now() - this.lastActiveAtMs)).toISOString(),
      ...change,
    };
    await this.#parts.storage.save(this.record);
  }

  get #messageCount(): number {
    return this.#messagesBefore + this.#output.messageCount;
  }

  async #run(turn: Turn, text: string): Promise<void> {
    let end: TurnEnd | null = null;
    try {
      await this.#output.start(text);
      if (this.record.status === "idle" && this.hasProcess) await this.save({ status: "active" });
      if (!this.hasProcess) await this.open();
      const session = this.#process.session;
      if (!turn.isInterrupted && session) end = await session.prompt(this.#withRecap(text), { onAccepted: () => {} });
    } catch (error) {
      this.#parts.log.error("turn_failed", { error });
      end = { error: messageOf(error), costUsd: null };
    }
    const isComplete = end !== null && "stopReason" in end && end.stopReason !== "cancelled";
    const failure = await this.#finish(isComplete);
    this.#emitEnd(turn, failure === null ? end : { error: failure, costUsd: end?.costUsd ?? null });
  }

  /** Brings the turn's output and the record to the disk. Answers why that failed, if it did. */
  async #finish(isComplete: boolean): Promise<string | null> {
    try {
      await this.#output.end({ interrupted: !isComplete });
      if (isComplete) this.#turns++;
      const costUsd = this.#process.session?.costUsd ?? 0;
      await this.save({ totalCostUsd: Math.max(this.record.totalCostUsd, this.#costBefore, costUsd) });
      return null;
    } catch (error) {
      this.#parts.log.error("turn_not_stored", { error });
      return messageOf(error);
    }
  }

  #emitEnd(turn: Turn, end: TurnEnd | null): void {
    turn.isOver = true;
    const id = { session_id: this.id };
    const isOver = end !== null && "stopReason" in end && end.stopReason !== "cancelled";
    if (isOver) {
      const done = { ...id, cost_usd: this.record.totalCostUsd, turn_count: this.#turns };
      return this.#output.emit((seq) => makeFrame("response_complete", { ...done, seq }));
    }
    const flooded = this.#output.isFlooded;
    if (!flooded && (turn.isInterrupted || end === null || !("error" in end))) {
      return this.#output.emit((seq) => makeFrame("stream_interrupted", { ...id, seq }));
    }
    const failure = end !== null && "error" in end ? end.error : "the answer was too long";
    this.#parts.log.warn("turn_ended_with_error", { reason: failure });
    const { error, action } = this.#parts.explain(failure);
    this.#output.emit((seq) =>
      makeFrame("stream_error", { ...id, error, partial_preserved: true, suggested_action: action, seq })
    );
  }

  #withRecap(text: string): string {
    const recap = this.#recap;
    this.#recap = null;
    return recap ? withRecap({ messageId: this.id, text }, recap).text : text;
  }

  #watch(session: AcpSession): void {
    const onClosed = () => {
      if (!this.#isEnding) this.#parts.onLost(this);
    };
    if (session.isAlive) session.closed.addEventListener("abort", onClosed, { once: true });
    else onClosed();
  }

  /** The coding agent began anew: a conversation that it refused is put aside, one that it cannot reopen is retold. */
  async #replaceConversation(session: AcpSession, conversation: string | null): Promise<void> {
    const { storage, log } = this.#parts;
    if (conversation !== null && session.isResumable) {
      log.warn("session_not_restored", { conversation });
      await storage.archiveConversation(this.id);
    } else if (conversation !== null) {
      const { messages } = await storage.listMessages(this.id, { limit: HISTORY_MAX });
      const prompt = messages.find(({ role }) => role === "user");
      const summary = messages.findLast(({ role }) => role === "assistant")?.content ?? "";
      this.#recap = { prompt: prompt ? { text: prompt.content } : null, summary };
    }
    await storage.setConversation(this.id, session.sessionId!);
  }

  #readyFrame(opened: { source: SessionSource; conversation: string | null; resumed: boolean; canResume: boolean }) {
    const { source, conversation, resumed, canResume } = opened;
    const id = { session_id: this.id, source };
    if (conversation === null) return makeFrame("session_ready", { ...id, status: "ready" });
    if (resumed) return makeFrame("session_ready", { ...id, status: "resumed" });
    if (canResume) return makeFrame("session_ready", { ...id, status: "new", message: NOT_RESTORED });
    return makeFrame("session_ready", { ...id, status: "resumed", message: SUMMARISED });
  }
}

/** A record as it is listed. */
export function summaryOf(record: SessionRecord): SessionSummary {
  return {
    session_id: record.sessionId,
    status: record.status,
    created_at: record.createdAt,
    last_active_at: record.lastActiveAt,
    message_count: record.messageCount,
    total_cost_usd: record.totalCostUsd,
    is_resumable: record.isResumable,
  };
}

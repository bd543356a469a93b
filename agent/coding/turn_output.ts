/**
 * What a coding agent does in a chat session becomes events for whoever watches and messages for the store. Events
 * leave in order; the disk is written behind them. A flood is cut off.
 */
import type { PermissionOption, RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";
import { cutText } from "../../lib/bytes.ts";
import type { Logger } from "../../lib/log.ts";
import { type HistoryMessage, makeFrame, type SessionEvent, type ToolUseDisplay } from "../../lib/wire/chat_engine.ts";
import type { ToolMetadata } from "../../lib/wire/message.ts";
import type { OutboxRow } from "../store/outbox.ts";
import { DeltaPacer } from "./delta_pacer.ts";
import { allow } from "./permissions.ts";
import type { Step } from "./transcript.ts";
import { TranscriptWriter } from "./transcript_writer.ts";
import type { SessionUpdate, ToolCallFields } from "./updates.ts";

/** Text of one turn; a person reads less in a day. */
const TURN_TEXT_MAX = 16 * 1024 * 1024;
const CONTENT_MAX = 1024 * 1024;
const RESULT_MAX = 32 * 1024;
/** Finished messages that a reader gets who comes while they are on their way to the disk. */
const RECENT_MAX = 500;
/** A person waits for the end of the turn: a disk that refuses so often is a failure to be told. */
const WRITE_TRIES_MAX = 3;

export interface TurnOutputOptions {
  sessionId: string;
  cwd: string;
  /** The number of the last frame, from an earlier time of the session. */
  seq: number;
  /** Of the coding agent's own process; a turn is cancelled by it. */
  onFlood: () => void;
  emit: (event: SessionEvent) => void;
  store: (messages: HistoryMessage[]) => Promise<void>;
  log: Logger;
}

export class TurnOutput implements AsyncDisposable {
  readonly #options: TurnOutputOptions;
  readonly #pacer: DeltaPacer;
  readonly #writer: TranscriptWriter;
  #seq: number;
  #count = 0;
  #textChars = 0;
  #recent: HistoryMessage[] = [];
  #announced = new Set<string>();
  #lastDeltaOf: string | null = null;

  constructor(options: TurnOutputOptions) {
    this.#options = options;
    this.#seq = options.seq;
    const { sessionId, cwd, log, store } = options;
    this.#writer = new TranscriptWriter({
      ids: { workspaceId: sessionId, projectId: null, sessionId, cwd },
      shelf: {
        finish: (rows) => store(rows.map((row) => toMessage(row, false))),
        save: (row) => store([toMessage(row, true)]),
      },
      triesMax: WRITE_TRIES_MAX,
      log,
    });
    this.#pacer = new DeltaPacer((delta) => this.emit((seq) => makeFrame("stream_delta", { ...this.#id, delta, seq })));
  }

  /** The number of the last frame. */
  get seq(): number {
    return this.#seq;
  }

  /** Messages finished so far, by this process of ours. */
  get messageCount(): number {
    return this.#count;
  }

  get isFlooded(): boolean {
    return this.#textChars > TURN_TEXT_MAX;
  }

  /** Emits one event with the next number; what was said before it goes first. */
  emit(make: (seq: number) => SessionEvent): void {
    this.#options.emit(make(++this.#seq));
  }

  /** Begins a turn with a person's message. Resolves when that is on the disk, or could not be written. */
  async start(text: string): Promise<void> {
    this.#textChars = 0;
    this.#lastDeltaOf = null;
    this.#recent = [];
    this.#announced = new Set();
    this.#writer.startTurn(text);
    this.#note([this.#writer.add({ role: "user", content: text })]);
    await this.#writer.flush();
  }

  take(update: SessionUpdate): void {
    if (this.isFlooded) return;
    if ("content" in update && typeof update.content === "string") this.#countText(update.content);
    const step = this.#tell(this.#writer.take(update));
    if (update.sessionUpdate === "agent_message_chunk") this.#say(update.content, step.open?.messageId ?? null);
    if (step.open?.role === "tool" && hasInput(step.open)) this.#announce(step.open);
  }

  /** Nobody is asked here: what a coding agent wants to do it may do once, and that is recorded. */
  permit(call: ToolCallFields, options: PermissionOption[]): RequestPermissionResponse {
    const { response, recorded, refusal } = allow(options);
    this.#tell(this.#writer.notePermission({ call, ...recorded, refusal }));
    return response;
  }

  /** Ends the turn's output. Resolves when all of it is on the disk; throws when it could not be written. */
  async end(options: { interrupted: boolean }): Promise<void> {
    this.#tell(this.#writer.endTurn(options));
    this.#pacer.flush();
    await this.#writer.flush();
  }

  /** What the disk may lack: the newest messages, and those that still grow. `seq` covers exactly these. */
  snapshot(): { recent: HistoryMessage[]; open: HistoryMessage[]; seq: number } {
    this.#pacer.flush();
    return { recent: this.#recent, open: this.#writer.open.map((row) => toMessage(row, true)), seq: this.#seq };
  }

  /** Writes what is finished. Nothing is taken afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
  }

  get #id(): { session_id: string } {
    return { session_id: this.#options.sessionId };
  }

  #tell(step: Step): Step {
    for (const row of step.finished) if (row.role === "tool") this.#tellResult(row);
    this.#note(step.finished);
    return step;
  }

  #say(text: string, messageId: string | null): void {
    // Two answers in a row are two messages; in one stream of text a blank line parts them.
    const parted = this.#lastDeltaOf !== null && messageId !== null && this.#lastDeltaOf !== messageId;
    this.#lastDeltaOf = messageId ?? this.#lastDeltaOf;
    this.#pacer.push(parted ? `\n\n${text}` : text);
  }

  /** Once for each call, when it is known what it is called with. */
  #announce(row: OutboxRow): void {
    const tool = row.toolMetadata;
    if (!tool || this.#announced.has(tool.toolCallId)) return;
    this.#announced.add(tool.toolCallId);
    this.#lastDeltaOf = null;
    this.#pacer.flush();
    this.emit((seq) =>
      makeFrame("tool_use", {
        ...this.#id,
        tool_use_id: tool.toolCallId,
        tool: tool.tool,
        input: tool.input ?? null,
        seq,
      })
    );
  }

  #tellResult(row: OutboxRow): void {
    this.#announce(row);
    const display = row.toolMetadata && toDisplay(row.toolMetadata, row.content);
    if (!display) return;
    this.#pacer.flush();
    this.emit((seq) =>
      makeFrame("tool_result", {
        ...this.#id,
        tool_use_id: display.tool_use_id,
        result: display.result ?? "",
        status: display.status === "error" ? "error" : "success",
        duration_ms: display.duration_ms ?? 0,
        seq,
      })
    );
  }

  #note(rows: OutboxRow[]): void {
    this.#count += rows.length;
    this.#recent = [...this.#recent, ...rows.map((row) => toMessage(row, false))].slice(-RECENT_MAX);
  }

  #countText(text: string): void {
    this.#textChars += text.length;
    if (this.isFlooded) this.#options.onFlood();
  }
}

function toMessage(row: OutboxRow, isOpen: boolean): HistoryMessage {
  const message: HistoryMessage = {
    message_id: row.messageId,
    role: row.role,
    content: cutText(row.content, CONTENT_MAX),
    created_at: row.createdAt,
  };
  if (row.toolMetadata) message.tool = toDisplay(row.toolMetadata, row.content);
  if (isOpen || row.flags?.interrupted) message.partial = true;
  return message;
}

/** Some tell of a call while its model still writes what it is called with. */
function hasInput({ toolMetadata }: OutboxRow): boolean {
  const input = toolMetadata?.input;
  return typeof input !== "object" || input === null || Object.keys(input).length > 0;
}

function toDisplay(tool: ToolMetadata, output: string): ToolUseDisplay {
  const status = { executing: "executing", completed: "success", failed: "error" } as const;
  return {
    tool_use_id: tool.toolCallId,
    tool: tool.tool,
    input: tool.input ?? null,
    status: status[tool.status],
    result: tool.status === "executing" ? null : cutText(output, RESULT_MAX),
    duration_ms: tool.durationMs ?? null,
  };
}

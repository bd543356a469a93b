/**
 * Session updates become messages. Pure: state and update in, state and rows out. Chunks of one kind and one message
 * id are one message; it ends when id or kind changes, a tool call comes between, or the turn ends. A tool call is
 * one message, told when it completed or failed. Rows leave in the order in which they were finished.
 */
import type { MessageFlags, MessageRole } from "../../lib/wire/message.ts";
import type { OutboxRow } from "../store/outbox.ts";
import { isFinished, mergeToolCall, newToolCall, type ToolCall, toToolMessage } from "./tool_call.ts";
import type { SessionUpdate, ToolCallFields } from "./updates.ts";

/** Finished tool calls that are remembered, so that a late update does not make a second message of one. */
const FINISHED_MAX = 2_000;
/** So much of a text must come again under a new id to count as repeated after a dropped model stream. */
const RETRY_MIN = 16;
const RETRY_COMPARED = 80;

interface OpenText {
  messageId: string;
  /** `system`: of the coding agent's troubles with its model; each text of it replaces the one before. */
  role: "assistant" | "thinking" | "user" | "system";
  /** The coding agent's own id of the message. */
  acpId: string | null;
  content: string;
  startedAtMs: number;
}

export interface Transcript {
  workspaceId: string;
  projectId: string | null;
  sessionId: string;
  /** The checkout: paths below it are shown relative to it. */
  cwd: string;
  open: OpenText | null;
  tools: ReadonlyMap<string, ToolCall>;
  finishedTools: readonly string[];
  /** The text that the open one may repeat: same role, with nothing between. */
  previous: { role: MessageRole; content: string } | null;
  lastPlan: string | null;
  lastAnswer: string | null;
  /** The prompt of the turn under way; a coding agent that echoes it makes no second message of it. */
  prompt: string | null;
  ignored: Readonly<Record<string, number>>;
}

export interface Step {
  state: Transcript;
  finished: OutboxRow[];
  /** The message that this step changed and that is still growing. */
  open: OutboxRow | null;
}

export interface StepOptions {
  now: number;
  newId: () => string;
}

export type TranscriptIds = Pick<Transcript, "workspaceId" | "projectId" | "sessionId" | "cwd">;

export function newTranscript(ids: TranscriptIds): Transcript {
  return {
    workspaceId: ids.workspaceId,
    projectId: ids.projectId,
    sessionId: ids.sessionId,
    cwd: ids.cwd,
    open: null,
    tools: new Map(),
    finishedTools: [],
    previous: null,
    lastPlan: null,
    lastAnswer: null,
    prompt: null,
    ignored: {},
  };
}

/** Takes in one update of the coding agent. */
export function reduce(state: Transcript, update: SessionUpdate, options: StepOptions): Step {
  switch (update.sessionUpdate) {
    case "agent_message_chunk":
      return addText(state, { role: "assistant", text: update.content, acpId: update.messageId ?? null }, options);
    case "agent_thought_chunk":
      return addText(state, { role: "thinking", text: update.content, acpId: update.messageId ?? null }, options);
    case "user_message_chunk":
      return addText(state, { role: "user", text: update.content, acpId: update.messageId ?? null }, options);
    case "tool_call":
    case "tool_call_update":
      return upsertTool(state, update, options);
    case "plan":
      return addPlan(state, update.entries, options);
    case "model_retry":
      return addText(state, { role: "system", text: update.text, acpId: null }, options);
    case "usage_update":
      return { state, finished: [], open: null };
    case "unknown":
      return { state: countIgnored(state, update.kind), finished: [], open: null };
  }
}

/** Notes how a tool call was permitted; the call itself may come after. */
export function recordPermission(
  state: Transcript,
  answer: { call: ToolCallFields; outcome: string; by: string; refusal: string | null },
  options: StepOptions,
): Step {
  const { call, outcome, by, refusal } = answer;
  if (state.finishedTools.includes(call.toolCallId)) return { state, finished: [], open: null };
  // The request may speak of a status of its own; only updates of the call itself end it.
  const step = upsertTool(state, { ...call, status: null }, options);
  const known = step.state.tools.get(call.toolCallId);
  if (!known) return step;
  const permitted = { ...known, permission: { outcome, by }, refusal };
  const after = withTool(step.state, permitted);
  return { state: after, finished: step.finished, open: toolRow(after, permitted, options.now) };
}

/** A tool call as far as it is known, with what is said of it now. */
export function knownToolCall(state: Transcript, fields: ToolCallFields, options: StepOptions): ToolCall {
  const known = state.tools.get(fields.toolCallId);
  return mergeToolCall(known ?? newToolCall(fields.toolCallId, { messageId: "", now: options.now }), fields);
}

/** A turn begins with this prompt. */
export function startTurn(state: Transcript, prompt: string): Transcript {
  return { ...state, prompt, previous: null, lastPlan: null };
}

/** A prompt came into the turn under way: what is said from here on stands after it. */
export function steerTurn(state: Transcript, prompt: string): Step {
  const closed = closeText(state, false);
  return { state: { ...closed.state, prompt, previous: null }, finished: closed.finished, open: null };
}

/**
 * The turn ended. With `interrupted` the growing text is marked, and tool calls that are still open are told as
 * failed; else they stay open, because a coding agent may go on with them in the background.
 */
export function endTurn(state: Transcript, options: StepOptions & { interrupted: boolean }): Step {
  const closed = closeText(state, options.interrupted);
  const step = options.interrupted ? failTools(closed.state, options.now) : { state: closed.state, finished: [] };
  return {
    state: { ...step.state, prompt: null, previous: null },
    finished: [...closed.finished, ...step.finished],
    open: null,
  };
}

/** A message that a crash left open, as it is told: tool calls as failed, everything marked as interrupted. */
export function closeInterrupted(row: OutboxRow): OutboxRow {
  const toolMetadata = row.toolMetadata && { ...row.toolMetadata, status: "failed" as const };
  return { ...row, toolMetadata, flags: { ...row.flags, interrupted: true } };
}

/** Everything that still grows, as it stands: what somebody who comes in the middle of a turn must see. */
export function openRows(state: Transcript, now: number): OutboxRow[] {
  const tools = [...state.tools.values()].map((call) => toolRow(state, call, now));
  return state.open && state.open.content !== "" ? [...tools, textRow(state, state.open, null)] : tools;
}

interface Chunk {
  role: OpenText["role"];
  text: string;
  acpId: string | null;
}

function addText(state: Transcript, chunk: Chunk, options: StepOptions): Step {
  const same = state.open !== null && state.open.role === chunk.role && state.open.acpId === chunk.acpId;
  const closed = same ? { state, finished: [] } : closeText(state, false);
  const before = closed.state.open ?? {
    messageId: options.newId(),
    role: chunk.role,
    acpId: chunk.acpId,
    content: "",
    startedAtMs: options.now,
  };
  const content = chunk.role === "system" ? chunk.text : before.content + chunk.text;
  const open = { ...before, content };
  const isShown = open.content !== "" && !isEcho(state, open);
  return {
    state: { ...closed.state, open },
    finished: closed.finished,
    open: isShown ? textRow(closed.state, open, null) : null,
  };
}

function closeText(state: Transcript, interrupted: boolean): { state: Transcript; finished: OutboxRow[] } {
  const { open } = state;
  if (!open) return { state, finished: [] };
  if (open.content.trim() === "" || isEcho(state, open)) return { state: { ...state, open: null }, finished: [] };
  const flags: MessageFlags = {};
  if (interrupted) flags.interrupted = true;
  if (isRetry(state, open)) flags.retry = true;
  const row = textRow(state, open, Object.keys(flags).length > 0 ? flags : null);
  return {
    state: {
      ...state,
      open: null,
      previous: { role: open.role, content: open.content },
      lastAnswer: open.role === "assistant" ? open.content : state.lastAnswer,
    },
    finished: [row],
  };
}

function isEcho(state: Transcript, open: OpenText): boolean {
  return open.role === "user" && state.prompt !== null && state.prompt.trim().startsWith(open.content.trim());
}

function isRetry(state: Transcript, open: OpenText): boolean {
  const before = state.previous;
  if (!before || before.role !== open.role || open.acpId === null || before.content.length < RETRY_MIN) return false;
  return open.content !== before.content && open.content.startsWith(before.content.slice(0, RETRY_COMPARED));
}

function upsertTool(state: Transcript, fields: ToolCallFields, options: StepOptions): Step {
  if (state.finishedTools.includes(fields.toolCallId)) return { state, finished: [], open: null };
  const known = state.tools.get(fields.toolCallId);
  const closed = known ? { state, finished: [] } : closeText(state, false);
  const before = known ?? newToolCall(fields.toolCallId, { messageId: options.newId(), now: options.now });
  const call = mergeToolCall(before, fields);
  const after = { ...withTool(closed.state, call), previous: null };
  const row = toolRow(after, call, options.now);
  if (!isFinished(call)) return { state: after, finished: closed.finished, open: row };
  return { state: withoutTool(after, call.toolCallId), finished: [...closed.finished, row], open: null };
}

function failTools(state: Transcript, now: number): { state: Transcript; finished: OutboxRow[] } {
  const finished: OutboxRow[] = [];
  let after = state;
  for (const call of state.tools.values()) {
    finished.push(closeInterrupted(toolRow(state, { ...call, status: "failed" }, now)));
    after = withoutTool(after, call.toolCallId);
  }
  return { state: after, finished };
}

function addPlan(state: Transcript, entries: { content: string; status: string }[], options: StepOptions): Step {
  const content = entries.map(showEntry).join("\n");
  const closed = closeText(state, false);
  if (content === "" || content === state.lastPlan) return { ...closed, open: null };
  const row = makeRow(state, {
    messageId: options.newId(),
    role: "plan",
    content,
    toolMetadata: null,
    flags: null,
    createdAtMs: options.now,
  });
  return {
    state: { ...closed.state, lastPlan: content, previous: null },
    finished: [...closed.finished, row],
    open: null,
  };
}

function showEntry(entry: { content: string; status: string }): string {
  return `- [${entry.status === "completed" ? "x" : " "}] ${entry.content.replaceAll(/\s+/g, " ").trim()}`;
}

function countIgnored(state: Transcript, kind: string): Transcript {
  // An agent that invents kinds must not grow our memory.
  const name = kind in state.ignored || Object.keys(state.ignored).length < 50 ? kind : "other";
  return { ...state, ignored: { ...state.ignored, [name]: (state.ignored[name] ?? 0) + 1 } };
}

function withTool(state: Transcript, call: ToolCall): Transcript {
  return { ...state, tools: new Map(state.tools).set(call.toolCallId, call) };
}

function withoutTool(state: Transcript, toolCallId: string): Transcript {
  const tools = new Map(state.tools);
  tools.delete(toolCallId);
  return { ...state, tools, finishedTools: [...state.finishedTools, toolCallId].slice(-FINISHED_MAX) };
}

function textRow(state: Transcript, open: OpenText, flags: MessageFlags | null): OutboxRow {
  const { messageId, role, content, startedAtMs } = open;
  return makeRow(state, { messageId, role, content, toolMetadata: null, flags, createdAtMs: startedAtMs });
}

function toolRow(state: Transcript, call: ToolCall, now: number): OutboxRow {
  const { content, toolMetadata, truncatedBytes } = toToolMessage(call, { now, cwd: state.cwd });
  return makeRow(state, {
    messageId: call.messageId,
    role: "tool",
    content,
    toolMetadata,
    flags: truncatedBytes > 0 ? { truncatedBytes } : null,
    createdAtMs: call.startedAtMs,
  });
}

type Made = Pick<OutboxRow, "messageId" | "role" | "content" | "toolMetadata" | "flags"> & { createdAtMs: number };

function makeRow(state: Transcript, { createdAtMs, ...made }: Made): OutboxRow {
  const { workspaceId, projectId, sessionId } = state;
  return { workspaceId, projectId, sessionId, ...made, createdAt: new Date(createdAtMs).toISOString() };
}

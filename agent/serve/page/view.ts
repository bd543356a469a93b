/**
 * One session as the page shows it, pure: the server's events become the messages and the growing message that the
 * shared components draw.
 */
import { newId } from "../../../lib/ids.ts";
import type { OpenMessage } from "../../../lib/ui/transcript.ts";
import type { EndReason, HistoryMessage, ServerFrame, SuggestedAction } from "../../../lib/wire/chat_engine.ts";
import type { Message, MessageRole, ToolMetadata } from "../../../lib/wire/message.ts";

/** Below this many characters a value of a tool's input is shown as its target. */
const TARGET_MAX = 300;

export interface SessionView {
  loaded: boolean;
  messages: readonly Message[];
  hasOlder: boolean;
  open: readonly OpenMessage[];
  running: boolean;
  /** Prompts that were written while a turn ran, in order. */
  waiting: readonly string[];
  lastSent: string | null;
  lastSeq: number;
  costUsd: number;
  warning: { text: string; untilMs: number } | null;
  failure: { text: string; action: SuggestedAction } | null;
  ended: { text: string; reason: EndReason } | null;
  notice: string | null;
}

export function emptyView(): SessionView {
  return {
    loaded: false,
    messages: [],
    hasOlder: false,
    open: [],
    running: false,
    waiting: [],
    lastSent: null,
    lastSeq: 0,
    costUsd: 0,
    warning: null,
    failure: null,
    ended: null,
    notice: null,
  };
}

/** A person's message, as it is sent: a turn begins. */
export function addPrompt(view: SessionView, text: string): SessionView {
  const next = append(view, { messageId: newId(), role: "user", content: text });
  return { ...next, running: true, lastSent: text, failure: null, notice: null, ended: null, loaded: true };
}

/** More of the answer; an empty piece says no more than that a turn is under way. */
export function addDelta(view: SessionView, delta: string): SessionView {
  const open = view.open.find(({ role }) => role === "assistant");
  if (open) {
    const grown = { ...open, rev: open.rev + 1, text: open.text + delta };
    return { ...view, running: true, open: view.open.map((each) => each === open ? grown : each) };
  }
  const last = view.messages.at(-1);
  // Somebody who comes back in the middle of an answer finds its beginning in the history.
  if (!view.running && last?.role === "assistant" && last.flags?.interrupted) {
    const grown = openMessage(last.messageId, "assistant", last.content + delta);
    return { ...view, running: true, messages: view.messages.slice(0, -1), open: [...view.open, grown] };
  }
  if (delta === "") return { ...view, running: true };
  return { ...view, running: true, open: [...view.open, openMessage(newId(), "assistant", delta)] };
}

export function addTool(view: SessionView, frame: Extract<ServerFrame, { type: "tool_use" }>): SessionView {
  const { tool_use_id, tool, input } = frame;
  const metadata: ToolMetadata = { tool, target: targetOf(input), status: "executing", toolCallId: tool_use_id, input };
  const closed = closeText(view, false);
  const message = { ...openMessage(newId(), "tool", ""), toolMetadata: metadata };
  return { ...closed, running: true, open: [...closed.open, message] };
}

export function addResult(view: SessionView, frame: Extract<ServerFrame, { type: "tool_result" }>): SessionView {
  const open = view.open.find(({ toolMetadata }) => toolMetadata?.toolCallId === frame.tool_use_id);
  if (!open) return finishInHistory(view, frame);
  const status = frame.status === "error" ? "failed" as const : "completed" as const;
  const before = open.toolMetadata ?? { tool: "tool", toolCallId: frame.tool_use_id };
  const toolMetadata: ToolMetadata = { ...before, status, durationMs: frame.duration_ms };
  const rest = { ...view, running: true, open: view.open.filter((each) => each !== open) };
  return append(rest, { messageId: open.messageId, role: "tool", content: frame.result, toolMetadata });
}

/** Who came back while a tool ran has it among the messages, where it stays. */
function finishInHistory(view: SessionView, frame: Extract<ServerFrame, { type: "tool_result" }>): SessionView {
  const status = frame.status === "error" ? "failed" as const : "completed" as const;
  const finish = (message: Message): Message =>
    message.toolMetadata?.toolCallId !== frame.tool_use_id ? message : {
      ...message,
      content: frame.result,
      flags: null,
      toolMetadata: { ...message.toolMetadata, status, durationMs: frame.duration_ms },
    };
  return { ...view, running: true, messages: view.messages.map(finish) };
}

/** The turn is over: what grew is what it is. */
export function closeTurn(view: SessionView, interrupted: boolean): SessionView {
  const closed = closeText(view, interrupted);
  const tools = closed.open.reduce((each, { messageId, text, toolMetadata }) => {
    const failed = toolMetadata && { ...toolMetadata, status: "failed" as const };
    return append(each, { messageId, role: "tool", content: text, toolMetadata: failed, interrupted });
  }, closed);
  return { ...tools, open: [], running: false, lastSent: null };
}

/** What the server has of the session. */
export function fromHistory(messages: readonly HistoryMessage[]): Pick<SessionView, "messages" | "open" | "loaded"> {
  const items = messages.map((message) => ({
    messageId: message.message_id,
    role: message.role,
    content: message.content,
    at: message.created_at,
    interrupted: message.partial ?? false,
    toolMetadata: message.tool && toMetadata(message.tool),
  }));
  const view = items.reduce((each, item) => append(each, item), emptyView());
  return { messages: view.messages, open: [], loaded: true };
}

/** An earlier page of what the server has, before what is shown. */
export function prependHistory(
  view: SessionView,
  page: { messages: readonly HistoryMessage[]; hasOlder: boolean },
): SessionView {
  const known = new Set(view.messages.map(({ messageId }) => messageId));
  const older = fromHistory(page.messages.filter(({ message_id }) => !known.has(message_id))).messages;
  // The numbers are the page's own: those that are shown keep theirs, so that the list does not jump.
  const first = view.messages[0]?.seq ?? 1;
  const numbered = older.map((message, at) => ({ ...message, seq: first - older.length + at }));
  return { ...view, messages: [...numbered, ...view.messages], hasOlder: page.hasOlder };
}

function closeText(view: SessionView, interrupted: boolean): SessionView {
  const open = view.open.find(({ role }) => role === "assistant");
  if (!open) return view;
  const rest = { ...view, open: view.open.filter((each) => each !== open) };
  return append(rest, { messageId: open.messageId, role: "assistant", content: open.text, interrupted });
}

interface Added {
  messageId: string;
  role: MessageRole;
  content: string;
  at?: string;
  interrupted?: boolean;
  toolMetadata?: ToolMetadata | null;
}

function append(view: SessionView, added: Added): SessionView {
  const at = added.at ?? new Date().toISOString();
  const message: Message = {
    seq: (view.messages.at(-1)?.seq ?? 0) + 1,
    messageId: added.messageId,
    run: 0,
    role: added.role,
    content: added.content,
    toolMetadata: added.toolMetadata ?? null,
    flags: added.interrupted ? { interrupted: true } : null,
    createdAt: at,
    receivedAt: at,
  };
  return { ...view, messages: [...view.messages, message] };
}

function openMessage(messageId: string, role: MessageRole, text: string): OpenMessage {
  return { messageId, role, rev: 0, text, toolMetadata: null };
}

function toMetadata(tool: NonNullable<HistoryMessage["tool"]>): ToolMetadata {
  const status = ({ executing: "executing", success: "completed", error: "failed" } as const)[tool.status];
  return {
    tool: tool.tool,
    target: targetOf(tool.input),
    status,
    toolCallId: tool.tool_use_id,
    input: tool.input,
    durationMs: tool.duration_ms ?? undefined,
  };
}

/** What a tool works on: the first short text of its input. */
function targetOf(input: unknown): string | null {
  if (!input || typeof input !== "object") return null;
  const text = Object.values(input).find((value) => typeof value === "string" && value.length <= TARGET_MAX);
  return typeof text === "string" ? text : null;
}

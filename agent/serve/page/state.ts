/**
 * What the page knows, as signals, and how the server's frames change it. Messages are kept for each session apart; a
 * growing answer is an open message until its turn ends. Nothing here talks to the network.
 */
import { batch, signal } from "@preact/signals";
import type { ServerFrame, SessionSummary } from "../../../lib/wire/chat_engine.ts";
import { addDelta, addResult, addTool, closeTurn, emptyView, fromHistory, type SessionView } from "./view.ts";

export type ConnectionStatus = "connected" | "reconnecting" | "disconnected";

export const sessions = signal<SessionSummary[]>([]);
export const activeId = signal<string | null>(null);
export const views = signal<Readonly<Record<string, SessionView>>>({});
export const connection = signal<ConnectionStatus>("disconnected");
export const isCreating = signal(false);
/** The sessions were opened in another window. */
export const isElsewhere = signal(false);
/** Older messages of the shown session are on their way. */
export const loadingOlder = signal(false);
/** What the server refused last. */
export const refusal = signal<string | null>(null);

/** The session that is shown. */
export function activeView(): SessionView | null {
  const id = activeId.value;
  return id === null ? null : views.value[id] ?? null;
}

export function setView(sessionId: string, change: (view: SessionView) => SessionView): void {
  views.value = { ...views.value, [sessionId]: change(views.value[sessionId] ?? emptyView()) };
}

/** Takes in one frame. */
export function take(frame: ServerFrame): void {
  batch(() => {
    switch (frame.type) {
      case "session_list":
        sessions.value = frame.sessions;
        return;
      case "session_creating":
        isCreating.value = true;
        return;
      case "message_received":
        return;
      case "error":
        return takeError(frame);
      default:
        return takeEvent(frame);
    }
  });
}

type SessionFrame = Extract<ServerFrame, { session_id: string }>;

function takeEvent(frame: SessionFrame): void {
  const id = frame.session_id;
  // What a history held already does not come twice.
  if ("seq" in frame && frame.type !== "session_history" && frame.seq <= (views.value[id]?.lastSeq ?? 0)) return;
  setView(id, (view) => {
    const next = applyEvent(view, frame);
    return "seq" in frame ? { ...next, lastSeq: frame.seq } : next;
  });
  if (frame.type === "session_ready") noteReady(frame);
  if (frame.type === "session_terminated") noteEnd(id, frame.reason === "user_requested");
  if (frame.type === "response_complete") noteCost(id, frame.cost_usd);
}

function applyEvent(view: SessionView, frame: SessionFrame): SessionView {
  switch (frame.type) {
    case "session_ready":
      return { ...view, ended: null, notice: frame.message ?? null, loaded: true };
    case "session_history":
      // Whether a turn runs is seen by what comes next.
      return { ...view, ...fromHistory(frame.messages), hasOlder: frame.has_more, running: false };
    case "stream_delta":
      return addDelta(view, frame.delta);
    case "tool_use":
      return addTool(view, frame);
    case "tool_result":
      return addResult(view, frame);
    case "response_complete":
      return { ...closeTurn(view, false), costUsd: frame.cost_usd };
    case "stream_interrupted":
      return closeTurn(view, true);
    case "stream_error":
      return { ...closeTurn(view, true), failure: { text: frame.error, action: frame.suggested_action } };
    case "session_warning":
      return { ...view, warning: { text: frame.message, untilMs: Date.now() + frame.remaining_seconds * 1_000 } };
    case "session_restarting":
      return { ...view, notice: frame.message };
    case "session_terminated":
      return { ...view, running: false, warning: null, ended: { text: frame.message, reason: frame.reason } };
  }
}

function takeError(frame: Extract<ServerFrame, { type: "error" }>): void {
  isCreating.value = false;
  if (frame.code === "session_opened_elsewhere" || frame.code === "server_shutting_down") return;
  const id = activeId.value;
  // A prompt that came too early waits in the page, as if it had been typed during the turn.
  if (frame.code === "query_in_progress" && id !== null) {
    return setView(id, (view) => {
      if (view.lastSent === null) return { ...view, running: true };
      const messages = view.messages.slice(0, -1);
      return { ...view, running: true, messages, waiting: [view.lastSent, ...view.waiting], lastSent: null };
    });
  }
  if (id !== null) setView(id, (view) => ({ ...view, running: false }));
  refusal.value = frame.message;
}

function noteReady(frame: Extract<ServerFrame, { type: "session_ready" }>): void {
  const id = frame.session_id;
  const now = new Date().toISOString();
  const known = sessions.value.find((session) => session.session_id === id);
  if (known) return noteStatus(id, "active");
  isCreating.value = false;
  activeId.value = id;
  const fresh = { created_at: now, last_active_at: now, message_count: 0, total_cost_usd: 0, is_resumable: true };
  sessions.value = [{ session_id: id, status: "active", ...fresh }, ...sessions.value];
}

function noteStatus(id: string, status: SessionSummary["status"]): void {
  sessions.value = sessions.value.map((session) => session.session_id === id ? { ...session, status } : session);
}

function noteEnd(id: string, isGone: boolean): void {
  if (isGone) sessions.value = sessions.value.filter((session) => session.session_id !== id);
  else noteStatus(id, "idle");
}

function noteCost(id: string, costUsd: number): void {
  const last_active_at = new Date().toISOString();
  const message_count = views.value[id]?.messages.length ?? 0;
  sessions.value = sessions.value.map((session) =>
    session.session_id === id ? { ...session, total_cost_usd: costUsd, last_active_at, message_count } : session
  );
}

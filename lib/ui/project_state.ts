/**
 * Everything the project page knows, and the one pure function that changes it: pages read from the store, frames of
 * the live socket and replayed frames all pass through `reduce`. Things are kept by id and the newer copy stays, so
 * the same input twice, or old input late, changes nothing. Messages lie under their own session.
 */
import type { ServerFrame } from "../wire/feed.ts";
import type { Node } from "../wire/node.ts";
import type { Message, MessagePage } from "../wire/message.ts";
import type { PermissionRequest } from "../wire/permission.ts";
import type { Prompt, Session } from "../wire/session.ts";
import { LIVE_STATUSES, type Task } from "../wire/task.ts";
import type { Workspace } from "../wire/workspace.ts";
import { addLive, addMessages, addPage, addStored, EMPTY, type Transcript } from "./transcript.ts";

export interface ProjectState {
  /** Where the live socket goes on after a drop. */
  cursor: string;
  /** The cursor was too old: lists must be read anew. */
  stale: boolean;
  selectedId: string | null;
  sessions: Readonly<Record<string, Session>>;
  tasks: Readonly<Record<string, Task>>;
  workspaces: Readonly<Record<string, Workspace>>;
  /** Machines that were told of. */
  nodes: Readonly<Record<string, Node>>;
  /** Waiting and recent prompts by session, then by messageId. */
  prompts: Readonly<Record<string, Readonly<Record<string, Prompt>>>>;
  /** Requests for permission that wait, by session, the oldest first. */
  permissions: Readonly<Record<string, readonly PermissionRequest[]>>;
  transcripts: Readonly<Record<string, Transcript>>;
}

export type Action =
  | { type: "frame"; frame: ServerFrame }
  /** Something was missed: what is here may be old. */
  | { type: "stale" }
  | { type: "select"; sessionId: string | null }
  | { type: "session"; session: Session }
  | { type: "task"; task: Task }
  | { type: "workspace"; workspace: Workspace }
  | { type: "node"; node: Node }
  | { type: "task.deleted"; taskId: string; sessionId: string }
  /** Lists read anew after a resync: what they do not name is gone. */
  | { type: "refreshed"; sessions: Session[]; moreSessions: boolean; tasks: Task[] }
  | { type: "sessions"; sessions: Session[] }
  | { type: "page"; sessionId: string; page: MessagePage; kind: "newest" | "older" | "after" }
  | { type: "message"; sessionId: string; message: Message }
  /** All that wait in a session, as the store has it. */
  | { type: "permissions"; sessionId: string; requests: PermissionRequest[] }
  | { type: "prompts"; sessionId: string; prompts: Prompt[] };

export function reduce(state: ProjectState, action: Action): ProjectState {
  switch (action.type) {
    case "frame":
      return withCursor(reduceFrame(state, action.frame), action.frame);
    case "stale":
      return { ...state, stale: true };
    case "select":
      return select(state, action.sessionId);
    case "session":
      return putSession(state, action.session);
    case "task":
      return putTask(state, action.task);
    case "workspace":
      return putNewer(state, "workspaces", action.workspace);
    case "node":
      return putNode(state, action.node);
    case "task.deleted":
      return dropTask(state, action);
    case "refreshed":
      return refresh(state, action);
    case "sessions":
      return action.sessions.reduce(putSession, state);
    case "page":
      return putTranscript(
        state,
        action.sessionId,
        addPage(state.transcripts[action.sessionId], action.page, action.kind),
      );
    case "message":
      return changeTranscript(state, action.sessionId, (transcript) => addMessages(transcript, [action.message]));
    case "permissions":
      return putPermissions(state, action.sessionId, action.requests);
    case "prompts":
      return action.prompts.reduce(putPrompt, state);
  }
}

/** A selected session can take live text at once, before its first page is there. */
function select(state: ProjectState, sessionId: string | null): ProjectState {
  const next = state.selectedId === sessionId ? state : { ...state, selectedId: sessionId };
  return sessionId && !state.transcripts[sessionId] ? putTranscript(next, sessionId, EMPTY) : next;
}

function reduceFrame(state: ProjectState, frame: ServerFrame): ProjectState {
  switch (frame.type) {
    case "message.new":
    case "message.updated":
      return changeTranscript(state, frame.sessionId, (transcript) => addStored(transcript, frame.message));
    case "message.live":
      return changeTranscript(state, frame.sessionId, (transcript) => addLive(transcript, frame));
    case "session.created":
    case "session.updated":
      return putSession(state, frame.session);
    case "session.stopped":
      return stopSession(state, frame);
    case "task.updated":
      return putTask(state, frame.task);
    case "task.deleted":
      return dropTask(state, frame);
    case "workspace.updated":
      return putNewer(state, "workspaces", frame.workspace);
    case "prompt.updated":
      return putPrompt(state, frame.prompt);
    case "resync":
      return { ...state, stale: true };
    case "node.updated":
      return putNode(state, frame.node);
    case "permission.requested":
      return putPermissions(state, frame.sessionId, [
        ...waitingPermissions(state, frame.sessionId, frame.request.requestId),
        frame.request,
      ]);
    case "permission.resolved":
      return putPermissions(state, frame.sessionId, waitingPermissions(state, frame.sessionId, frame.requestId));
    case "hello":
    case "cursor":
    case "ping":
      return state;
  }
}

/** The greeting names where the feed stands, not what was received: only what was received moves the cursor. */
function withCursor(state: ProjectState, frame: ServerFrame): ProjectState {
  if (frame.type === "hello" || frame.type === "ping" || !("cursor" in frame)) return state;
  return frame.cursor && frame.cursor !== state.cursor ? { ...state, cursor: frame.cursor } : state;
}

function putSession(state: ProjectState, session: Session): ProjectState {
  const next = putNewer(state, "sessions", session);
  return session.status === "active" ? next : closeOpen(next, session.id);
}

/** A task's run that is over has no message on its way any more. */
function putTask(state: ProjectState, task: Task): ProjectState {
  const next = putNewer(state, "tasks", task);
  return LIVE_STATUSES.includes(task.status) ? next : closeOpen(next, task.sessionId);
}

function stopSession(state: ProjectState, { sessionId, endedAt }: { sessionId: string; endedAt: string }) {
  const session = state.sessions[sessionId];
  if (!session || session.updatedAt > endedAt) return state;
  const status = session.status === "active" || session.status === "pending" ? "stopped" : session.status;
  return putSession(state, { ...session, status, turn: "idle", endedAt });
}

function closeOpen(state: ProjectState, sessionId: string): ProjectState {
  return changeTranscript(
    state,
    sessionId,
    (transcript) => transcript.open.length === 0 ? transcript : { ...transcript, open: [] },
  );
}

function dropTask(state: ProjectState, { taskId, sessionId }: { taskId: string; sessionId: string }): ProjectState {
  if (!state.tasks[taskId] && !state.sessions[sessionId]) return state;
  const { [taskId]: _task, ...tasks } = state.tasks;
  const { [sessionId]: _session, ...sessions } = state.sessions;
  const { [sessionId]: _transcript, ...transcripts } = state.transcripts;
  const selectedId = state.selectedId === sessionId ? null : state.selectedId;
  return { ...state, tasks, sessions, transcripts, selectedId };
}

function refresh(state: ProjectState, { sessions, moreSessions, tasks }: Action & { type: "refreshed" }) {
  const oldest = sessions.at(-1)?.updatedAt ?? "";
  const older = moreSessions ? Object.values(state.sessions).filter((session) => session.updatedAt < oldest) : [];
  const read = new Set([...sessions, ...older].map((session) => session.id));
  const kept = Object.values(state.transcripts).length === 0 ? {} : Object.fromEntries(
    Object.entries(state.transcripts).filter(([id]) => read.has(id)),
  );
  const next = {
    ...state,
    stale: false,
    sessions: byId(older),
    tasks: byId(tasks),
    transcripts: kept,
    selectedId: state.selectedId && read.has(state.selectedId) ? state.selectedId : null,
  };
  return sessions.reduce(putSession, next);
}

/** Frames and answers come in the order in which they were made, so the last one told is the newest. */
function putNode(state: ProjectState, node: Node): ProjectState {
  return { ...state, nodes: { ...state.nodes, [node.id]: node } };
}

/** How far a prompt has come: it never goes back over one of these. */
const PROMPT_RANK = { queued: 0, sent: 0, running: 1, done: 2, failed: 2, cancelled: 2 } as const;

function putPrompt(state: ProjectState, prompt: Prompt): ProjectState {
  const known = state.prompts[prompt.sessionId] ?? {};
  const before = known[prompt.messageId];
  if (before && PROMPT_RANK[before.state] > PROMPT_RANK[prompt.state]) return state;
  const prompts = { ...known, [prompt.messageId]: prompt };
  return { ...state, prompts: { ...state.prompts, [prompt.sessionId]: prompts } };
}

/** The session's requests that wait, but for one. */
function waitingPermissions(state: ProjectState, sessionId: string, but: string): PermissionRequest[] {
  return (state.permissions[sessionId] ?? []).filter(({ requestId }) => requestId !== but);
}

function putPermissions(state: ProjectState, sessionId: string, requests: PermissionRequest[]): ProjectState {
  const ordered = requests.toSorted((a, b) => a.createdAt < b.createdAt ? -1 : 1);
  return { ...state, permissions: { ...state.permissions, [sessionId]: ordered } };
}

type Dated = { id: string; updatedAt: string };

function putNewer<F extends "sessions" | "tasks" | "workspaces">(
  state: ProjectState,
  family: F,
  item: ProjectState[F][string] & Dated,
): ProjectState {
  const known = state[family][item.id];
  if (known && known.updatedAt > item.updatedAt) return state;
  return { ...state, [family]: { ...state[family], [item.id]: item } };
}

function changeTranscript(state: ProjectState, sessionId: string, change: (transcript: Transcript) => Transcript) {
  const known = state.transcripts[sessionId];
  // Without a page there is nothing to add to: the page that is read on selection brings the message.
  if (!known) return state;
  const next = change(known);
  return next === known ? state : putTranscript(state, sessionId, next);
}

function putTranscript(state: ProjectState, sessionId: string, transcript: Transcript): ProjectState {
  return { ...state, transcripts: { ...state.transcripts, [sessionId]: transcript } };
}

export function byId<T extends { id: string }>(items: readonly T[]): Record<string, T> {
  return Object.fromEntries(items.map((item) => [item.id, item]));
}

/**
 * The browser's live socket: one topic, frames in commit order, replay from a cursor, live text for the session that is
 * being looked at. Slow readers lose live frames first and the socket then; login and membership are looked at again.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { PROTOCOL } from "../wire/limits.ts";
import { browserFrame, type ServerFrame } from "../wire/feed.ts";
import type { Follower } from "./topic.ts";
import { writeCursor } from "./cursor.ts";

const DROP_LIVE_ABOVE = 1024 * 1024;
const CLOSE_ABOVE = 8 * 1024 * 1024;
const PING_MS = 25_000;
const FRAME_IN_MAX = 4_096;
/** Sessions followed at once; whoever looks at more leaves the one that was taken up first. */
const SUBSCRIPTIONS_MAX = 20;

export interface BrowserSocketOptions {
  topic: string;
  /** The cursor that the page was rendered with or saw last; null: from now on. */
  after: string | null;
  /** Whether the caller may still follow; the code to close with otherwise (4401 signed out, 4403 no member). */
  recheck: () => Promise<null | 4401 | 4403>;
  /** The session whose messages are wanted from the first frame on, those that were missed included. */
  sessionId: string | null;
  /** Whether the caller may follow the session; whoever holds its open text should send it whole. */
  onSubscribe: (sessionId: string) => Promise<boolean>;
}

/** Serves a socket until it closes. */
export function serveBrowserSocket(edge: Edge, socket: WebSocket, options: BrowserSocketOptions): void {
  const followed = new Set<string>();
  const send = (frame: ServerFrame) => sendFrame(socket, frame);
  const follower: Follower = {
    wants: (sessionId) => followed.has(sessionId),
    send,
    live: (frame) => {
      const wanted = frame.type !== "message.live" || followed.has(frame.sessionId);
      if (wanted && socket.bufferedAmount <= DROP_LIVE_ABOVE) send(frame);
    },
  };
  const context: SocketContext = { edge, socket, followed, options, send };
  let leave = () => {};
  let timers: ReturnType<typeof setInterval>[] = [];
  const greet = async () => {
    timers = [
      setInterval(() => send({ type: "ping" }), PING_MS),
      setInterval(() => void recheck(socket, options), edge.config.LIVE_RECHECK_MS),
    ];
    const versionstamp = await edge.live.cursor(options.topic);
    const cursor = writeCursor({ versionstamp, at: edge.clock() });
    send({ type: "hello", cursor, protocol: PROTOCOL });
    const sessionId = options.sessionId && await addSession(options.sessionId, context);
    leave = await edge.live.follow(options.topic, follower, options.after ?? cursor);
    if (socket.readyState !== WebSocket.OPEN) leave();
    // After the frames have begun to come, so that what is added to the open text meanwhile is not missed.
    if (sessionId) sendOpenText(sessionId, context);
  };
  socket.onopen = () => void orClose(context, greet());
  socket.onmessage = (event) => void orClose(context, onFrame(event.data, context));
  socket.onclose = () => {
    timers.forEach(clearInterval);
    leave();
  };
  socket.onerror = () => {};
}

interface SocketContext {
  edge: Edge;
  socket: WebSocket;
  followed: Set<string>;
  options: BrowserSocketOptions;
  send: (frame: ServerFrame) => void;
}

/** A store that fails costs the reader its socket, not everybody the process: the reader comes back by itself. */
async function orClose(at: SocketContext, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    at.edge.log.warn("live_socket_failed", { topic: at.options.topic, reason: messageOf(error) });
    close(at.socket, 1011, "The edge could not read its store. Reconnect.");
  }
}

async function onFrame(data: unknown, at: SocketContext): Promise<void> {
  const frame = parseFrame(data);
  if (!frame) return close(at.socket, 4400, "A frame was not one of the protocol.");
  if (frame.type === "subscribe" && await addSession(frame.sessionId, at)) sendOpenText(frame.sessionId, at);
}

/** Follows a session if its reader may; returns which. */
async function addSession(sessionId: string, at: SocketContext): Promise<string | null> {
  if (!await at.options.onSubscribe(sessionId)) return null;
  at.followed.delete(sessionId);
  at.followed.add(sessionId);
  if (at.followed.size > SUBSCRIPTIONS_MAX) at.followed.delete(at.followed.keys().next().value!);
  return sessionId;
}

function sendOpenText(sessionId: string, at: SocketContext): void {
  for (const open of at.edge.live.open.list(sessionId)) at.send(open);
}

function parseFrame(data: unknown) {
  if (typeof data !== "string" || data.length > FRAME_IN_MAX) return null;
  try {
    return browserFrame.safeParse(JSON.parse(data)).data ?? null;
  } catch {
    return null;
  }
}

function sendFrame(socket: WebSocket, frame: ServerFrame): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  if (socket.bufferedAmount > CLOSE_ABOVE) return close(socket, 1013, "You read too slowly. Reconnect.");
  socket.send(JSON.stringify(frame));
}

function close(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.OPEN) socket.close(code, reason);
}

async function recheck(socket: WebSocket, options: BrowserSocketOptions): Promise<void> {
  const code = await options.recheck().catch(() => null);
  if (code !== null) close(socket, code, code === 4401 ? "You are signed out." : "You have no access any more.");
}

/**
 * The browser's live socket: one topic, frames in commit order, replay from a cursor, live text for the session that is
 * being looked at. Slow readers lose live frames first and the socket then; login and membership are looked at again.
 */
import type { Edge } from "../edge.ts";
import { PROTOCOL } from "../wire/limits.ts";
import { browserFrame, type ServerFrame } from "../wire/feed.ts";
import type { Follower } from "./topic.ts";
import { writeCursor } from "./cursor.ts";

const DROP_LIVE_ABOVE = 1024 * 1024;
const CLOSE_ABOVE = 8 * 1024 * 1024;
const PING_MS = 25_000;
const RECHECK_MS = 60_000;
const FRAME_IN_MAX = 4_096;
const SUBSCRIPTIONS_MAX = 20;

export interface BrowserSocketOptions {
  topic: string;
  /** The cursor that the page was rendered with or saw last; null: from now on. */
  after: string | null;
  /** Whether the caller may still follow; the code to close with otherwise (4401 signed out, 4403 no member). */
  recheck: () => Promise<null | 4401 | 4403>;
  /** Somebody starts to look at a session: whoever holds its open text should send it whole. */
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
  let leave = () => {};
  const timers = [
    setInterval(() => send({ type: "ping" }), PING_MS),
    setInterval(() => void recheck(socket, options), RECHECK_MS),
  ];
  socket.onopen = async () => {
    const versionstamp = await edge.live.cursor(options.topic);
    send({ type: "hello", cursor: writeCursor({ versionstamp, at: edge.clock() }), protocol: PROTOCOL });
    leave = await edge.live.follow(options.topic, follower, options.after);
    if (socket.readyState !== WebSocket.OPEN) leave();
  };
  socket.onmessage = (event) => void onFrame(event.data, { edge, socket, followed, options, send });
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

async function onFrame(data: unknown, at: SocketContext): Promise<void> {
  const frame = parseFrame(data);
  if (!frame) return at.socket.close(4400, "A frame was not one of the protocol.");
  if (frame.type !== "subscribe" || at.followed.size >= SUBSCRIPTIONS_MAX) return;
  if (!await at.options.onSubscribe(frame.sessionId)) return;
  at.followed.add(frame.sessionId);
  for (const open of at.edge.live.open.list(frame.sessionId)) at.send(open);
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
  if (socket.bufferedAmount > CLOSE_ABOVE) return socket.close(1013, "You read too slowly. Reconnect.");
  socket.send(JSON.stringify(frame));
}

async function recheck(socket: WebSocket, options: BrowserSocketOptions): Promise<void> {
  const code = await options.recheck().catch(() => null);
  if (code !== null && socket.readyState === WebSocket.OPEN) {
    socket.close(code, code === 4401 ? "You are signed out." : "You have no access any more.");
  }
}

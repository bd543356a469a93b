/**
 * The control link: a WebSocket that the agent dials, so that a node needs no open port. A command is durable before it
 * is acknowledged and applied only afterwards; what the edge repeats is acknowledged and ignored. The link comes back by
 * itself, and with its hello asks for every command that is not stored here yet.
 */
// @ts-types="./ws.d.ts"
import WebSocket from "ws";
import { backoffMs, wait } from "../../lib/backoff.ts";
import { toBytes } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import {
  type CommandFrame,
  commandFrame,
  type LiveFrame,
  type ToAgentFrame,
  toAgentFrame,
  type ToEdgeFrame,
} from "../../lib/wire/control.ts";
import { LIVE_FRAME_MAX_BYTES, PROTOCOL } from "../../lib/wire/limits.ts";
import { AGENT_VERSION, type AgentConfig } from "../config.ts";
import type { EdgeClient } from "../delivery/edge_client.ts";
import { parseJson } from "../delivery/json.ts";
import { Latch } from "../delivery/latch.ts";
import type { Inbox } from "../store/inbox.ts";

const RECONNECT = { initialMs: 250, maxMs: 30_000 };
const PING_INTERVAL_MS = 20_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How long commands that the edge has may be on their way before the link counts as dead. */
const CATCH_UP_MS = 1_000;
/** An agent that is too old waits for a person; it asks again now and then, because the edge may be rolled back. */
const UPGRADE_WAIT_MS = 300_000;
/** Live text is lossy: behind a slow line it is dropped, it never waits in memory. */
const LIVE_BUFFER_MAX_BYTES = 256 * 1024;
/** With this code the edge closes the link of a node that it has given up. */
const FENCED = 4410;
const FRAME_MAX_BYTES = 1024 * 1024;

export interface ControlLinkOptions {
  config: Pick<AgentConfig, "controlPlaneUrl" | "nodeId">;
  edge: EdgeClient;
  inbox: Inbox;
  instanceId: string;
  /** Called after a new command was stored and acknowledged. */
  onCommand: () => void;
  /** Somebody began to follow this workspace: its open message is wanted whole. */
  onRefresh: (workspaceId: string) => void;
  /** The edge has given this node up: what it wants now is told by the next heartbeat. */
  onFenced: () => void;
  log: Logger;
}

/** A command of which only the envelope is understood: a newer edge made it. */
const commandEnvelope = commandFrame.options[0].pick({ type: true, commandId: true, seq: true });

export class ControlLink implements AsyncDisposable {
  #options: ControlLinkOptions;
  #socket: WebSocket | null = null;
  /** Hellos were exchanged on the present socket. */
  #greeted = false;
  #closing = false;
  #nudge = new Latch();
  #running: Promise<void> | null = null;
  #staleToken: string | null = null;
  #waitMs: number | null = null;
  #catchingUp: ReturnType<typeof setTimeout> | null = null;

  constructor(options: ControlLinkOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Whether frames can travel now. */
  get connected(): boolean {
    return this.#greeted && this.#socket?.readyState === WebSocket.OPEN;
  }

  /**
   * The edge has commands up to `seq`. A link that is being opened brings them; one that stands and does not bring them
   * in a moment is dead and dialled anew.
   */
  catchUp(seq: number): void {
    this.#nudge.open();
    if (!this.connected || this.#catchingUp !== null) return;
    const socket = this.#socket!;
    this.#catchingUp = setTimeout(() => {
      this.#catchingUp = null;
      this.#endIfBehind(socket, seq).catch((error) =>
        this.#options.log.error("link_not_checked", { seq, reason: messageOf(error) })
      );
    }, CATCH_UP_MS);
  }

  async #endIfBehind(socket: WebSocket, seq: number): Promise<void> {
    if (this.#closing || await this.#options.inbox.lastSeq() >= seq) return;
    this.#options.log.warn("link_behind", { seq });
    socket.terminate();
  }

  /** Sends live text. False when it was dropped: no link, a slow line, or a frame over the limit. */
  sendLive(frame: Omit<LiveFrame, "type">): boolean {
    if (!this.connected || this.#socket!.bufferedAmount > LIVE_BUFFER_MAX_BYTES) return false;
    const text = JSON.stringify({ type: "live", ...frame });
    if (toBytes(text).length > LIVE_FRAME_MAX_BYTES) return false;
    this.#socket!.send(text);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    if (this.#catchingUp !== null) clearTimeout(this.#catchingUp);
    this.#socket?.terminate();
    this.#nudge.open();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#closing;) {
      const nudge = this.#nudge.signal;
      this.#waitMs = null;
      try {
        await this.#connectOnce();
      } catch (error) {
        this.#options.log.warn("link_failed", { reason: messageOf(error) });
      }
      attempt = this.#greeted ? 0 : attempt + 1;
      this.#greeted = false;
      this.#socket = null;
      if (!this.#closing) await wait(this.#waitMs ?? backoffMs(attempt, RECONNECT, Math.random()), nudge);
    }
  }

  /** One connection, from the dial to its end. */
  async #connectOnce(): Promise<void> {
    const { config, edge } = this.#options;
    const token = await edge.nodeToken(this.#staleToken);
    if (token === null) throw new Error("the edge gives this node no token");
    if (this.#closing) return;
    const socket = new WebSocket(
      `${config.controlPlaneUrl.replace(/^http/, "ws")}/api/nodes/${config.nodeId}/control`,
      {
        headers: { authorization: `Bearer ${token}` },
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        maxPayload: FRAME_MAX_BYTES,
        perMessageDeflate: false,
        followRedirects: false,
      },
    );
    this.#socket = socket;
    const ended = this.#untilClosed(socket, token);
    const pings = this.#keepAlive(socket);
    try {
      await ended;
    } finally {
      clearInterval(pings);
    }
  }

  #untilClosed(socket: WebSocket, token: string): Promise<void> {
    // Frames are handled one after the other, in the order in which they came.
    let handled = Promise.resolve();
    socket.on("open", () => void this.#greet(socket));
    socket.on("message", (data) => {
      handled = handled.then(() => this.#take(socket, String(data))).catch((error: unknown) => {
        // Not stored, so not acknowledged: the edge sends it again on the next connection.
        this.#options.log.error("frame_failed", { error });
        socket.terminate();
      });
    });
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", (code) => {
        if (code === FENCED) this.#options.onFenced();
        void handled.then(resolve);
      });
      socket.on("unexpected-response", (request, response) => {
        request.destroy();
        if (response.statusCode === 401) this.#noteStale(token);
        if (response.statusCode === 410) this.#options.onFenced();
        if (response.statusCode === 426) this.#waitMs = UPGRADE_WAIT_MS;
        reject(new Error(`the edge answered ${response.statusCode} to the control link`));
      });
    });
  }

  /** A token that has expired is no reason to wait; one that was just made and is refused is. */
  #noteStale(token: string): void {
    if (this.#staleToken === null) this.#waitMs = 0;
    this.#staleToken = token;
  }

  async #greet(socket: WebSocket): Promise<void> {
    const { instanceId, inbox } = this.#options;
    const lastSeq = await inbox.lastSeq();
    this.#send(socket, { type: "hello", protocol: PROTOCOL, agentVersion: AGENT_VERSION, instanceId, lastSeq });
  }

  async #take(socket: WebSocket, text: string): Promise<void> {
    const frame = parseFrame(text);
    switch (frame?.type) {
      case "hello":
        this.#greeted = true;
        this.#staleToken = null;
        this.#options.log.info("link_open", { lastSeq: frame.lastSeq });
        return;
      case "command":
        return await this.#store(socket, frame);
      case "refresh":
        return this.#options.onRefresh(frame.workspaceId);
      case "upgrade_required":
        this.#options.log.critical("upgrade_required", { message: frame.message });
        this.#waitMs = UPGRADE_WAIT_MS;
        return;
      default:
        this.#options.log.warn("frame_unknown");
    }
  }

  async #store(socket: WebSocket, frame: CommandFrame): Promise<void> {
    const fresh = await this.#options.inbox.store(frame);
    this.#send(socket, { type: "ack", seq: frame.seq });
    if (fresh) this.#options.onCommand();
  }

  #send(socket: WebSocket, frame: ToEdgeFrame): void {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }

  /** Pings; a socket over which nothing came since the last one is dead, whatever TCP believes. */
  #keepAlive(socket: WebSocket): ReturnType<typeof setInterval> {
    let heard = true;
    for (const event of ["pong", "ping", "message"] as const) socket.on(event, () => heard = true);
    return setInterval(() => {
      if (!heard) return socket.terminate();
      heard = false;
      if (socket.readyState === WebSocket.OPEN) socket.ping();
    }, PING_INTERVAL_MS);
  }
}

function parseFrame(text: string): ToAgentFrame | null {
  const json = parseJson(text);
  const known = toAgentFrame.safeParse(json);
  if (known.success) return known.data;
  const envelope = commandEnvelope.safeParse(json);
  return envelope.success ? { ...envelope.data, kind: "noop" } : null;
}

/**
 * A small edge for tests of the agent: a real HTTP server with real WebSockets on a port of its own. It registers one
 * node, gives tokens and checks them, stores messages once each, keeps commands until they are acknowledged, and can be
 * told to answer anything else.
 */
import type { CommandFrame, ToAgentFrame, ToEdgeFrame } from "../../lib/wire/control.ts";
import { toEdgeFrame } from "../../lib/wire/control.ts";
import { type BatchMessage, messageBatch } from "../../lib/wire/message.ts";
import { type HeartbeatAnswer, nodeTokenBody, registerNode } from "../../lib/wire/node.ts";
import { within } from "../lib/live/within.ts";

export const NODE = "0197f000-0000-7000-8000-0000000000aa";
export const NODE_SECRET = "node-secret-of-the-fake-edge-00000000";

export interface SeenRequest {
  method: string;
  path: string;
  token: string | null;
  body: unknown;
  at: number;
}

type Script = (request: SeenRequest) => Response | undefined | Promise<Response | undefined>;
type Command = CommandFrame extends infer Frame ? Frame extends CommandFrame ? Omit<Frame, "type" | "seq"> : never
  : never;

export class FakeEdge implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** What was stored, by workspace, in order. */
  readonly stored = new Map<string, BatchMessage[]>();
  readonly frames: ToEdgeFrame[] = [];
  readonly commands: CommandFrame[] = [];
  readonly sockets: WebSocket[] = [];
  acked = 0;
  wanted: string[] = [];
  heartbeatMs = 30_000;
  fenced = false;
  /** How many messages a session takes. */
  room = Infinity;
  /** The next batch is stored, and its answer lost. */
  loseAnswer = false;
  /** Answers instead of the edge when it gives something. */
  script: Script = () => undefined;
  /** The first nonce that registered. */
  nonce: string | null = null;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #valid = new Set<string>();
  #tokens = 0;
  #changed = Promise.withResolvers<void>();

  constructor(port = 0) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Resolves when `condition` holds; looked at again after everything that happens here. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await within(`that ${condition}`, this.#changed.promise);
  }

  contents(workspaceId: string): string[] {
    return (this.stored.get(workspaceId) ?? []).map((message) => message.content);
  }

  /** Requests whose path ends in `end`, but for those of the tests themselves. */
  seen(end: string): SeenRequest[] {
    return this.requests.filter((request) => request.path.endsWith(end));
  }

  giveToken(): string {
    const token = `token-${++this.#tokens}`;
    this.#valid.add(token);
    return token;
  }

  expireTokens(): void {
    this.#valid.clear();
  }

  /** Makes a command and sends it if the agent is connected. */
  command(command: Command): CommandFrame {
    const frame = { ...command, type: "command", seq: this.commands.length + 1 } as CommandFrame;
    this.commands.push(frame);
    this.send(frame);
    return frame;
  }

  send(frame: ToAgentFrame): void {
    const socket = this.sockets.findLast((one) => one.readyState === WebSocket.OPEN);
    socket?.send(JSON.stringify(frame));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) if (socket.readyState === WebSocket.OPEN) socket.close();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const token = request.headers.get("authorization")?.replace("Bearer ", "") ?? null;
    const text = await request.text();
    const body: unknown = text === "" ? null : JSON.parse(text);
    const seen = { method: request.method, path: url.pathname, token, body, at: performance.now() };
    this.requests.push(seen);
    this.#tell();
    const scripted = await this.script(seen);
    if (scripted) return scripted;
    if (seen.path === "/api/health/live") return Response.json({ status: "ok" });
    if (seen.path === "/api/nodes/register") return this.#register(seen);
    if (seen.path.endsWith("/token")) return this.#renew(seen);
    if (token === null || !this.#valid.has(token)) return problemOf(401, "unauthorized");
    if (seen.path.endsWith("/control")) return this.#connect(request);
    if (seen.path.endsWith("/heartbeat")) return Response.json(this.#heartbeat());
    if (seen.path.endsWith("/messages")) return this.#store(seen);
    return Response.json({ ok: true });
  }

  #register(seen: SeenRequest): Response {
    const { nonce } = registerNode.parse(seen.body);
    if (this.nonce !== null && this.nonce !== nonce) return problemOf(401, "unauthorized");
    this.nonce = nonce;
    return Response.json({
      nodeSecret: NODE_SECRET,
      callbackToken: this.giveToken(),
      heartbeatMs: this.heartbeatMs,
      limits: { maxMessagesPerBatch: 100, maxBatchBytes: 262_144 },
    });
  }

  #renew(seen: SeenRequest): Response {
    const { nodeSecret, workspaceIds } = nodeTokenBody.parse(seen.body);
    if (nodeSecret !== NODE_SECRET) return problemOf(401, "unauthorized");
    const workspaceTokens = Object.fromEntries(workspaceIds.map((id) => [id, this.giveToken()]));
    return Response.json({ callbackToken: this.giveToken(), workspaceTokens });
  }

  #heartbeat(): HeartbeatAnswer {
    return { commandSeq: this.commands.length, wanted: this.wanted, ...(this.fenced && { fenced: true }) };
  }

  #store(seen: SeenRequest): Response {
    const { messages } = messageBatch.parse(seen.body);
    const workspaceId = seen.path.split("/").at(-2)!;
    const stored = this.stored.get(workspaceId) ?? [];
    this.stored.set(workspaceId, stored);
    const known = new Set(stored.map((message) => message.messageId));
    const fresh = messages.filter((message) => !known.has(message.messageId));
    const remaining = this.room - stored.length;
    if (fresh.length > remaining) return problemOf(409, "session_full", { remaining });
    stored.push(...fresh);
    this.#tell();
    const duplicates = messages.length - fresh.length;
    if (this.loseAnswer) {
      this.loseAnswer = false;
      return new Response("<html>bad gateway</html>", { status: 502 });
    }
    return Response.json({ persisted: fresh.length, duplicates, lastSeq: stored.length });
  }

  #connect(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = (event) => this.#take(socket, toEdgeFrame.parse(JSON.parse(String(event.data))));
    socket.onopen = () => {
      this.sockets.push(socket);
      this.#tell();
    };
    socket.onclose = () => this.#tell();
    socket.onerror = () => {};
    return response;
  }

  #take(socket: WebSocket, frame: ToEdgeFrame): void {
    this.frames.push(frame);
    if (frame.type === "ack") this.acked = Math.max(this.acked, frame.seq);
    if (frame.type === "hello") {
      const hello = {
        type: "hello",
        protocol: 1,
        agentVersion: "edge",
        instanceId: "edge",
        lastSeq: this.commands.length,
      };
      socket.send(JSON.stringify(hello));
      for (const command of this.commands) if (command.seq > frame.lastSeq) socket.send(JSON.stringify(command));
    }
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A problem document as the edge writes it. */
export function problemOf(status: number, error: string, details: Record<string, unknown> = {}): Response {
  const body = {
    ...details,
    type: `urn:hearth:error:${error}`,
    title: error,
    status,
    error,
    message: error,
    requestId: "r",
  };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json" } });
}

/**
 * A node's agent by hand: speaks the edge's own HTTP and control link, and does just what a test tells it to. For tests
 * of the edge; the real agent is tested with the real edge in `tests/e2e`.
 */
// @ts-types="../../agent/node/ws.d.ts"
import WebSocket from "ws";
import { newId } from "../../lib/ids.ts";
import type { NodeSpec } from "../../lib/providers/provider.ts";
import { type CommandFrame, toAgentFrame, type ToEdgeFrame } from "../../lib/wire/control.ts";
import type { HeartbeatAnswer, RegisterAnswer } from "../../lib/wire/node.ts";
import type { Runtime, TurnAnswer } from "../../lib/wire/workspace.ts";
import type { Answer } from "../edge.ts";
import { within } from "../lib/live/within.ts";

export class FakeAgent implements AsyncDisposable {
  readonly url: string;
  readonly nodeId: string;
  readonly commands: CommandFrame[] = [];
  registered: RegisterAnswer | null = null;
  #tokens: Record<string, string> = {};
  #socket: WebSocket | null = null;
  #changed = Promise.withResolvers<void>();
  /** Resolves when the edge says that this agent is too old. */
  readonly refused: Promise<"upgrade_required">;
  #refuse: (why: "upgrade_required") => void;
  readonly #nonce = crypto.randomUUID() + crypto.randomUUID();

  constructor(url: string, nodeId: string) {
    this.url = url;
    this.nodeId = nodeId;
    const { promise, resolve } = Promise.withResolvers<"upgrade_required">();
    [this.refused, this.#refuse] = [promise, resolve];
  }

  /** Registers, opens the control link, and is there. */
  static async boot(url: string, spec: NodeSpec, codingAgents = ["demo"]): Promise<FakeAgent> {
    const agent = new FakeAgent(url, spec.nodeId);
    await agent.register(spec.bootstrapToken, codingAgents);
    await agent.link();
    return agent;
  }

  async register(bootstrapToken: string, codingAgents = ["demo"]): Promise<Answer> {
    const answer = await this.#send("POST", "/api/nodes/register", {
      body: {
        nodeId: this.nodeId,
        bootstrapToken,
        nonce: this.#nonce,
        agentVersion: "0.1.0",
        protocol: 1,
        capabilities: { codingAgents },
      },
    });
    if (answer.status === 200) this.registered = answer.body;
    return answer;
  }

  /** Opens the control link; `lastSeq` is what the agent claims to have stored. */
  async link(lastSeq = this.commands.at(-1)?.seq ?? 0): Promise<void> {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/api/nodes/${this.nodeId}/control`, {
      headers: { authorization: `Bearer ${this.registered!.callbackToken}` },
    });
    this.#socket = socket;
    const greeted = Promise.withResolvers<void>();
    socket.on("open", () => {
      this.sendFrame({ type: "hello", protocol: 1, agentVersion: "0.1.0", instanceId: "fake", lastSeq });
    });
    socket.on("message", (data) => {
      const frame = toAgentFrame.parse(JSON.parse(data.toString()));
      if (frame.type === "hello") greeted.resolve();
      if (frame.type === "command") this.#take(frame);
      if (frame.type === "upgrade_required") this.#refuse(frame.type);
    });
    socket.on("error", (error) => greeted.reject(error));
    await greeted.promise;
  }

  sendFrame(frame: ToEdgeFrame): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Drops the control link without a word. */
  async unlink(): Promise<void> {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket || socket.readyState === 3) return;
    const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    socket.close();
    await closed;
  }

  /** The next command of this kind, and for this workspace if one is named, that was not asked for before. */
  async command<K extends CommandFrame["kind"]>(
    kind: K,
    workspaceId?: string,
  ): Promise<Extract<CommandFrame, { kind: K }>> {
    const isMeant = (frame: CommandFrame) =>
      frame.kind === kind && (!workspaceId || ("workspaceId" in frame && frame.workspaceId === workspaceId));
    while (true) {
      const found = this.commands.find((each) => isMeant(each) && !this.#seen.has(each.commandId));
      if (found) {
        this.#seen.add(found.commandId);
        return found as Extract<CommandFrame, { kind: K }>;
      }
      await within(`the command ${kind}`, this.#changed.promise);
    }
  }

  /** A call as one of the node's workspaces. */
  async asWorkspace(workspaceId: string, call: `${"GET" | "POST"} /${string}`, body?: unknown): Promise<Answer> {
    const [method, path] = call.split(" ") as [string, string];
    return await this.#send(method, path, { body, token: await this.workspaceToken(workspaceId) });
  }

  /** A call as the node itself. */
  async asNode(call: `${"GET" | "POST"} /${string}`, body?: unknown): Promise<Answer> {
    const [method, path] = call.split(" ") as [string, string];
    return await this.#send(method, path, { body, token: this.registered!.callbackToken });
  }

  async runtime(workspaceId: string): Promise<Runtime> {
    return (await this.asWorkspace(workspaceId, `GET /api/workspaces/${workspaceId}/runtime`)).body;
  }

  async report(workspaceId: string, body: Record<string, unknown>): Promise<Answer> {
    return await this.asWorkspace(workspaceId, `POST /api/workspaces/${workspaceId}/status`, body);
  }

  async turn(workspaceId: string, body: Record<string, unknown>): Promise<TurnAnswer> {
    return (await this.asWorkspace(workspaceId, `POST /api/workspaces/${workspaceId}/turns`, body)).body;
  }

  async callback(runtime: Runtime, body: Record<string, unknown>): Promise<Answer> {
    const path = `/api/projects/${runtime.projectId}/tasks/${runtime.taskId}/status/callback` as const;
    return await this.asWorkspace(runtime.workspaceId, `POST ${path}`, body);
  }

  async messages(workspaceId: string, messages: unknown[]): Promise<Answer> {
    return await this.asWorkspace(workspaceId, `POST /api/workspaces/${workspaceId}/messages`, { messages });
  }

  async heartbeat(body: Record<string, unknown> = {}): Promise<Answer & { body: HeartbeatAnswer }> {
    const beat = {
      load: 0.1,
      workspaces: [],
      outboxDepth: 0,
      deadLetters: 0,
      dropped: 0,
      clock: new Date().toISOString(),
    };
    const path = `/api/nodes/${this.nodeId}/heartbeat`;
    return await this.#send("POST", path, { body: { ...beat, ...body }, token: this.registered!.callbackToken });
  }

  /** A new token of the node's own, by its secret. */
  async renew(): Promise<void> {
    const body = { nodeSecret: this.registered!.nodeSecret, workspaceIds: [] };
    const answer = await this.#send("POST", `/api/nodes/${this.nodeId}/token`, { body });
    this.registered = { ...this.registered!, callbackToken: answer.body.callbackToken };
  }

  async workspaceToken(workspaceId: string): Promise<string> {
    if (this.#tokens[workspaceId]) return this.#tokens[workspaceId];
    const answer = await this.#send("POST", `/api/nodes/${this.nodeId}/token`, {
      body: { nodeSecret: this.registered!.nodeSecret, workspaceIds: [workspaceId] },
    });
    return this.#tokens[workspaceId] = answer.body.workspaceTokens[workspaceId];
  }

  /** Brings the workspace of the next start command, or the one named, to a running first turn. */
  async begin(named?: string): Promise<Runtime> {
    const { workspaceId } = await this.command("workspace.start", named);
    const runtime = await this.runtime(workspaceId);
    await this.report(workspaceId, {
      status: "ready",
      executionStep: "starting_agent",
      branch: runtime.branch ?? undefined,
    });
    if (runtime.prompt) await this.turn(workspaceId, { promptId: runtime.prompt.messageId, event: "accepted" });
    return runtime;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unlink();
  }

  readonly #seen = new Set<string>();

  #take(frame: CommandFrame): void {
    if (!this.commands.some((known) => known.commandId === frame.commandId)) this.commands.push(frame);
    this.sendFrame({ type: "ack", seq: frame.seq });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #send(method: string, path: string, options: { body?: unknown; token?: string }): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null, headers: response.headers };
  }
}

/** A message as an agent sends it. */
export function newMessage(sessionId: string, content: string, more: Record<string, unknown> = {}) {
  return {
    messageId: newId(),
    sessionId,
    role: "assistant",
    content,
    timestamp: new Date().toISOString(),
    ...more,
  };
}

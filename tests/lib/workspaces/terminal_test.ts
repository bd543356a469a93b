/** The edge between a reader and an agent that misbehaves, does not come, or comes to the wrong place. */
import { assert, assertEquals } from "@std/assert";
// @ts-types="../../../agent/node/ws.d.ts"
import WebSocket from "ws";
import { signNodeToken } from "../../../lib/auth/tokens.ts";
import { serveTerminal, type TerminalOptions } from "../../../lib/workspaces/terminal.ts";
import { isIdleTooLong } from "../../../lib/tasks/idle.ts";
import { readWorkspace, type WorkspaceRecord } from "../../../lib/store/workspaces.ts";
import { change } from "../../../lib/store/change.ts";
import { listCommands } from "../../../lib/store/commands.ts";
import { nodeKey, workspaceKey } from "../../../lib/store/keys.ts";
import { type NodeRecord, putNode } from "../../../lib/store/nodes.ts";
import { type RelayToAgentFrame, relayToAgentFrame, type RelayToEdgeFrame } from "../../../lib/wire/relay.ts";
import { TerminalClient } from "../../terminal_client.ts";
import { within } from "../live/within.ts";
import { type RunningTask, startRunningTask } from "../chat/fixture.ts";

/** Bytes that a relay may hold before the next are given to it. */
const UNSENT_MAX = 256 * 1024;

/** The socket that an agent dials, by hand. */
class RawRelay implements AsyncDisposable {
  readonly frames: RelayToAgentFrame[] = [];
  typed = "";
  readonly #socket: WebSocket;
  readonly #closed: Promise<number>;
  #changed = Promise.withResolvers<void>();

  constructor(
    { agent, test }: RunningTask,
    relayId: string,
    { token = agent.registered!.callbackToken, nodeId = agent.nodeId }: { token?: string; nodeId?: string } = {},
  ) {
    const url = `${test.url.replace("http", "ws")}/api/nodes/${nodeId}/relay/${relayId}`;
    this.#socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
    this.#socket.on("message", (data, isBinary) => {
      if (isBinary) this.typed += String(data);
      else this.frames.push(relayToAgentFrame.parse(JSON.parse(String(data))));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.on("error", (error) => resolve(Number(/\d{3}/.exec(error.message)?.[0] ?? 0)));
      this.#socket.on("close", (code) => resolve(code));
    });
  }

  get closed(): Promise<number> {
    return within("the end of a relay", this.#closed);
  }

  /** Comes as the agent of the reader who waits now, and hears what is wanted. */
  static async come(running: RunningTask): Promise<RawRelay> {
    const relay = new RawRelay(running, (await running.agent.command("relay.open")).relayId);
    await relay.until(() => relay.frames.length > 0);
    return relay;
  }

  send(data: RelayToEdgeFrame | Uint8Array | string): void {
    this.#socket.send(data instanceof Uint8Array || typeof data === "string" ? data : JSON.stringify(data));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === 1;
  }

  /** Resolves when what was sent is on its way, as fast as the edge takes it, or the relay has ended. */
  async taken(): Promise<void> {
    for (const deadline = Date.now() + 60_000; this.isOpen && this.#socket.bufferedAmount > UNSENT_MAX;) {
      assert(Date.now() < deadline, "the edge takes no more, and does not close");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async until(fits: () => boolean): Promise<void> {
    while (!fits()) await within("something to come to a relay", this.#changed.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.#closed;
  }
}

function openTerminal({ test, workspaceId }: RunningTask): TerminalClient {
  return new TerminalClient(test.url, test.admin, { workspaceId });
}

Deno.test("what is typed, drawn and resized passes in both directions as it is", async () => {
  await using running = await startRunningTask();
  await using terminal = openTerminal(running);
  await using relay = await RawRelay.come(running);
  assertEquals(relay.frames[0], { type: "terminal", cols: 80, rows: 24 });
  relay.send({ type: "ready" });
  relay.send(new TextEncoder().encode("prompt € "));
  await terminal.shows(/prompt € /);
  terminal.type("ls €\r");
  terminal.send({ type: "resize", cols: 100, rows: 30 });
  await relay.until(() => relay.frames.some(({ type }) => type === "resize") && relay.typed === "ls €\r");
  assertEquals(relay.frames.find(({ type }) => type === "ack"), { type: "ack", bytes: 11 });
  relay.send({ type: "exit", code: 0 });
  await terminal.until("the exit", () => terminal.frames.length === 2);
  assertEquals(terminal.frames, [{ type: "ready" }, { type: "exit", code: 0 }]);
});

Deno.test("a workspace opened by hand counts as used while somebody types, and not by a terminal that is only open", async () => {
  await using running = await startRunningTask({ env: { LIVE_RECHECK_MS: "50" } });
  const { test, workspaceId } = running;
  const { store, config } = test.edge;
  const record = async () => (await readWorkspace(store, workspaceId))!;
  await store.kv.set(workspaceKey(workspaceId), { ...await record(), taskId: null });
  const used = async (before: WorkspaceRecord) => {
    const watcher = store.kv.watch<[WorkspaceRecord]>([workspaceKey(workspaceId)]).getReader();
    try {
      for (;;) {
        const at = (await watcher.read()).value?.[0]?.value?.updatedAt ?? 0;
        if (at > before.updatedAt) return;
      }
    } finally {
      await watcher.cancel();
    }
  };
  const before = await record();
  test.skewMs += 1_000;
  await using terminal = openTerminal(running);
  await using relay = await RawRelay.come(running);
  relay.send({ type: "ready" });
  await terminal.ready();
  await within("the first use to be noted", used(before));
  const opened = await record();
  test.skewMs += config.WORKSPACE_IDLE_TIMEOUT_MS / 2;
  terminal.type("ls\r");
  await within("the typing to be noted", used(opened));
  const typed = await record();
  test.skewMs += config.WORKSPACE_IDLE_TIMEOUT_MS;
  assertEquals(isIdleTooLong(typed, null, { now: test.edge.clock(), config }), true);
  assertEquals((await record()).updatedAt, typed.updatedAt, "nobody typed since");
});

Deno.test("a relay that this instance does not hold is closed with 4404, and so is one of another node or used twice", async () => {
  const binary = { AGENT_BINARY_URL_X64: "https://example.org/agent", AGENT_BINARY_SHA256_X64: "ab".repeat(32) };
  await using running = await startRunningTask({ env: binary });
  await using unknown = new RawRelay(running, crypto.randomUUID());
  assertEquals(await unknown.closed, 4404);
  await using terminal = openTerminal(running);
  const { relayId } = await running.agent.command("relay.open");
  const nodeId = (await running.test.admin.call("POST /api/nodes", {})).body.node.id as string;
  const { edge } = running.test;
  const token = await signNodeToken(edge.keyring, { node: nodeId, generation: 1 }, edge.clock());
  await using neighbour = new RawRelay(running, relayId, { nodeId, token });
  assertEquals(await neighbour.closed, 4404);
  await using first = new RawRelay(running, relayId);
  await first.until(() => first.frames.length > 0);
  await using second = new RawRelay(running, relayId);
  assertEquals(await second.closed, 4404);
  await using stranger = new RawRelay(running, relayId, { token: running.test.admin.key });
  assertEquals(await stranger.closed, 401);
  first.send({ type: "ready" });
  await terminal.ready();
});

Deno.test("an agent that sends more than the window while nobody reads loses its reader, not the edge its memory", async () => {
  await using running = await startRunningTask();
  // A reader that takes nothing from its socket at all: what is sent to it stays at the edge.
  await using reader = await DeafReader.open(running);
  await using relay = await RawRelay.come(running);
  relay.send({ type: "ready" });
  const chunk = new Uint8Array(32 * 1024).fill(97);
  let sent = 0;
  for (; relay.isOpen && sent < 256 * 1024 * 1024; sent += chunk.length) {
    relay.send(chunk);
    await relay.taken();
  }
  assertEquals(relay.isOpen, false, `${sent} bytes were taken`);
  await reader.end();
});

Deno.test("a frame that is none of the protocol ends the relay", async () => {
  await using running = await startRunningTask();
  await using terminal = openTerminal(running);
  await using relay = await RawRelay.come(running);
  relay.send("{}");
  assertEquals(await relay.closed, 4400);
  assertEquals(await terminal.closed, 1000);
  await using other = openTerminal(running);
  await using second = await RawRelay.come(running);
  other.send({ type: "resize", cols: 0, rows: 0 });
  assertEquals(await other.closed, 4400);
  assert(await second.closed >= 1000);
});

Deno.test("a machine that is not heard of is said to be so at once, and one that does not come after a while", async () => {
  await using running = await startRunningTask();
  const { test, workspaceId, agent } = running;
  const workspace = (await readWorkspace(test.edge.store, workspaceId))!;
  await change(test.edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(agent.nodeId));
    putNode(tx, entry as Deno.KvEntry<NodeRecord>, { ...entry.value!, health: "unreachable" });
  });
  await using terminal = openTerminal(running);
  assertEquals(await terminal.closed, 4504);
  const git = await test.admin.call(`GET /api/workspaces/${workspace.id}/git`);
  assertEquals([git.status, git.body.error], [409, "node_unreachable"]);
  assertEquals((await listCommands(test.edge.store, agent.nodeId, 0)).filter(({ kind }) => kind === "relay.open"), []);
  assertEquals(agent.commands.filter(({ kind }) => kind === "relay.open"), [], "nobody was called");
});

Deno.test("a terminal in which nothing happens is closed, and so is one that was open too long", async () => {
  await using running = await startRunningTask();
  for (const limit of [{ idleMs: 50 }, { openMs: 50 }]) {
    await using served = await ServedTerminal.open(running, limit);
    assertEquals(await served.closed, 4408);
  }
});

Deno.test("a call that an agent was away for is no call any more", async () => {
  await using running = await startRunningTask();
  const { agent, test } = running;
  await agent.unlink();
  {
    await using terminal = openTerminal(running);
    // The reader has called, and goes before anybody comes.
    const wasCalled = async () =>
      (await listCommands(test.edge.store, agent.nodeId, 0)).some(({ kind }) => kind === "relay.open");
    for (const deadline = Date.now() + 60_000; !await wasCalled();) {
      assert(Date.now() < deadline, "nobody was called");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    terminal.drop();
  }
  const before = agent.commands.length;
  test.skewMs = 120_000;
  await agent.link();
  await test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/cancel`);
  await agent.command("workspace.stop");
  assertEquals(agent.commands.slice(before).filter(({ kind }) => kind === "relay.open"), []);
});

/** Only the terminal's server, with limits of its own. */
class ServedTerminal implements AsyncDisposable {
  readonly #closed: Promise<number>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #socket: WebSocket;

  private constructor(server: Deno.HttpServer<Deno.NetAddr>) {
    this.#server = server;
    this.#socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}`, { perMessageDeflate: false });
    this.#closed = new Promise((resolve) => this.#socket.on("close", resolve));
  }

  get closed(): Promise<number> {
    return within("the end of a served terminal", this.#closed);
  }

  static async open({ test, workspaceId }: RunningTask, limits: Partial<TerminalOptions>): Promise<ServedTerminal> {
    const workspace = (await readWorkspace(test.edge.store, workspaceId))!;
    const options = { workspace, size: { cols: 80, rows: 24 }, recheck: () => Promise.resolve(null), ...limits };
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      serveTerminal(test.edge, socket, options);
      return response;
    });
    return new ServedTerminal(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.#closed;
    await this.#server.shutdown();
  }
}

/** Opens a terminal over a bare connection and never reads from it. */
class DeafReader implements AsyncDisposable {
  readonly #connection: Deno.TcpConn;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async open({ test, workspaceId }: RunningTask): Promise<DeafReader> {
    const { port, host } = new URL(test.url);
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const lines = [
      `GET /api/workspaces/${workspaceId}/ws?terminal=1 HTTP/1.1`,
      `Host: ${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      `Authorization: Bearer ${test.admin.key}`,
      "",
      "",
    ];
    await connection.write(new TextEncoder().encode(lines.join("\r\n")));
    return new DeafReader(connection);
  }

  async end(): Promise<void> {
    this.#connection.close();
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end();
    } catch {
      // Ended by the test.
    }
  }
}

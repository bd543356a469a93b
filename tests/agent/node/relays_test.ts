/** The agent's side of a relay: where it dials, how often, and what it refuses. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Relays } from "../../../agent/node/relays.ts";
import { findProcesses } from "../../../lib/end_processes.ts";
import {
  RELAY_DIALS_MAX,
  type RelayToAgentFrame,
  type RelayToEdgeFrame,
  relayToEdgeFrame,
} from "../../../lib/wire/relay.ts";
import { within } from "../../lib/live/within.ts";
import { silent, WORKSPACE } from "../store/fixture.ts";
import { type NodeBench, withNode } from "./fixture.ts";

/** An edge of which only the relay is there: closes the first dials as an instance does that does not hold it. */
class RelayEdge implements AsyncDisposable {
  readonly paths: string[] = [];
  readonly frames: RelayToEdgeFrame[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #socket: WebSocket | null = null;
  #changed = Promise.withResolvers<void>();

  /** What the shell has shown. */
  shown = "";

  constructor(
    notHere: number,
    { code = 4404, ask = { type: "git" } }: { code?: number; ask?: RelayToAgentFrame } = {},
  ) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      this.paths.push(`${new URL(request.url).pathname} ${request.headers.get("authorization")?.slice(0, 13)}`);
      const { socket, response } = Deno.upgradeWebSocket(request);
      const isHere = this.paths.length > notHere;
      this.#socket = socket;
      socket.binaryType = "arraybuffer";
      socket.onopen = () => isHere ? socket.send(JSON.stringify(ask)) : socket.close(code);
      socket.onmessage = ({ data }) => {
        if (typeof data === "string") this.frames.push(relayToEdgeFrame.parse(JSON.parse(data)));
        else this.shown += new TextDecoder().decode(data);
        this.#tell();
      };
      socket.onclose = () => this.#tell();
      socket.onerror = () => {};
      this.#tell();
      return response;
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  type(text: string): void {
    this.#socket?.send(new TextEncoder().encode(text));
  }

  async until(fits: () => boolean): Promise<void> {
    while (!fits()) await within("a dial", this.#changed.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function makeRelays(bench: NodeBench, edge: RelayEdge, find: ConstructorParameters<typeof Relays>[0]["find"]): Relays {
  const config = { ...bench.config, controlPlaneUrl: edge.url, childEnvironment: { PATH: "/usr/bin:/bin" } };
  return new Relays({ config, edge: bench.client, instanceId: bench.db.instanceId, find, log: silent });
}

Deno.test("an agent that came to an instance which does not hold the relay dials until it finds the one that does", () =>
  withNode(async (bench) => {
    await using edge = new RelayEdge(3);
    await using relays = makeRelays(bench, edge, () => Promise.resolve(null));
    const relayId = crypto.randomUUID();
    relays.open(WORKSPACE, relayId);
    relays.open(WORKSPACE, relayId);
    await edge.until(() => edge.frames.length > 0);
    assertEquals(new Set(edge.paths), new Set([`/api/nodes/${bench.config.nodeId}/relay/${relayId} Bearer token-`]));
    assertEquals(edge.paths.length, 4);
    const [said] = edge.frames;
    assert(said?.type === "refused");
    assertStringIncludes(said.message, "no files");
  }));

Deno.test("a relay that no instance holds is given up, and one that was refused for good is not dialled again", () =>
  withNode(async (bench) => {
    await using edge = new RelayEdge(Infinity);
    await using relays = makeRelays(bench, edge, () => Promise.resolve(null));
    relays.open(WORKSPACE, crypto.randomUUID());
    await edge.until(() => edge.paths.length >= 2);
    await relays.endOf(WORKSPACE);
    assert(edge.paths.length <= RELAY_DIALS_MAX);
    const before = edge.paths.length;
    relays.open(WORKSPACE, crypto.randomUUID());
    await using refusing = new RelayEdge(Infinity, { code: 4403 });
    await using others = makeRelays(bench, refusing, () => Promise.resolve(null));
    others.open(WORKSPACE, crypto.randomUUID());
    await refusing.until(() => refusing.paths.length === 1);
    assertEquals(edge.paths.length, before, "a workspace that has ended opens nothing");
  }));

Deno.test("the end of a workspace waits until nothing of its terminals is left, whatever the reader does", () =>
  withNode(async (bench) => {
    await using edge = new RelayEdge(0, { ask: { type: "terminal", cols: 80, rows: 24 } });
    const environment = { PATH: "/usr/bin:/bin", SHELL: "/bin/sh" };
    const place = { path: bench.db.dataDir, base: null, environment, user: undefined };
    await using relays = makeRelays(bench, edge, () => Promise.resolve(place));
    relays.open(WORKSPACE, crypto.randomUUID());
    await edge.until(() => edge.frames.some(({ type }) => type === "ready"));
    edge.type("nohup sleep 86399 & echo star''ted\r");
    await edge.until(() => edge.shown.includes("started"));
    const mark = `${bench.db.instanceId}/`;
    assert((await findProcesses(mark, undefined)).length >= 3, "script, its shell and what runs in it");
    await relays.endOf(WORKSPACE);
    assertEquals(await findProcesses(mark, undefined), []);
  }));

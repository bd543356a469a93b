/**
 * Relays: when the edge asks, the agent dials a socket of its own for one reader of a workspace, who gets a terminal or
 * the state of its git. A call may come to an instance of the edge that does not hold the relay: then it is dialled
 * again. Nothing of it is kept; when the workspace ends, its terminals end before its files go.
 */
// @ts-types="./ws.d.ts"
import WebSocket from "ws";
import { wait } from "../../lib/backoff.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import {
  RELAY_CLOSE,
  RELAY_DIAL_MS,
  RELAY_DIALS_MAX,
  relayPath,
  type RelayToAgentFrame,
  relayToAgentFrame,
  type RelayToEdgeFrame,
  TERMINALS_PER_WORKSPACE,
} from "../../lib/wire/relay.ts";
import type { AgentConfig } from "../config.ts";
import type { EdgeClient } from "../delivery/edge_client.ts";
import { parseJson } from "../delivery/json.ts";
import type { ProcessUser } from "../process/spawn.ts";
import { readGitState } from "./git_state.ts";
import { sentence } from "./tell.ts";
import { Terminal } from "./terminal.ts";

/** Readers of one workspace at once, of all kinds. */
const RELAYS_PER_WORKSPACE = 2 * TERMINALS_PER_WORKSPACE;
const FRAME_MAX_BYTES = 64 * 1024;
/** After this the edge has long given up on a reader that never said what it wants. */
const FIRST_FRAME_MS = 15_000;
/** Workspaces that have ended are remembered, so that a call that comes late opens nothing in them. */
const ENDED_MAX = 1_000;

/** A workspace's checkout. */
export interface RelayPlace {
  path: string;
  base: string | null;
  environment: Record<string, string>;
  /** Whose it is, where it is not ours. */
  user: ProcessUser | undefined;
}

export interface RelaysOptions {
  config: Pick<AgentConfig, "controlPlaneUrl" | "nodeId">;
  edge: EdgeClient;
  /** By which processes of this agent are found. */
  instanceId: string;
  /** Where the workspace's files are and what it began from; null when there is no checkout. */
  find: (workspaceId: string) => Promise<RelayPlace | null>;
  log: Logger;
}

interface Open {
  workspaceId: string;
  relayId: string;
  end: AbortController;
  isTerminal: boolean;
  done: Promise<void>;
}

export class Relays implements AsyncDisposable {
  readonly #options: RelaysOptions;
  readonly #open = new Map<string, Open>();
  readonly #ended = new Set<string>();
  #closing = false;

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  /** Serves a relay in the background; one that is open already, or cannot be had, is not opened. */
  open(workspaceId: string, relayId: string): void {
    if (this.#closing || this.#ended.has(workspaceId) || this.#open.has(relayId)) return;
    if (this.#of(workspaceId).length >= RELAYS_PER_WORKSPACE) return;
    const open: Open = {
      workspaceId,
      relayId,
      end: new AbortController(),
      isTerminal: false,
      done: Promise.resolve(),
    };
    this.#open.set(relayId, open);
    open.done = this.#dialUntilServed(open).catch((error) => {
      this.#options.log.warn("relay_failed", { workspaceId, relayId, reason: messageOf(error) });
    }).finally(() => this.#open.delete(relayId));
  }

  /** Ends every terminal of a workspace and opens no more; resolves when none of their processes is left. */
  async endOf(workspaceId: string): Promise<void> {
    this.#ended.add(workspaceId);
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(this.#ended.values().next().value!);
    await this.#endAll(this.#of(workspaceId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    await this.#endAll([...this.#open.values()]);
  }

  async #endAll(relays: Open[]): Promise<void> {
    for (const { end } of relays) end.abort();
    await Promise.all(relays.map(({ done }) => done));
  }

  #of(workspaceId: string): Open[] {
    return [...this.#open.values()].filter((open) => open.workspaceId === workspaceId);
  }

  async #dialUntilServed(open: Open): Promise<void> {
    const started = performance.now();
    for (let dials = 0; dials < RELAY_DIALS_MAX && !open.end.signal.aborted; dials++) {
      const code = await this.#serveOnce(open);
      if (code !== RELAY_CLOSE.notHere && code !== null) return;
      if (performance.now() - started > RELAY_DIAL_MS) return;
      await wait(RELAY_DIAL_MS / RELAY_DIALS_MAX, open.end.signal);
    }
  }

  /** One connection from the dial to its end. The code it was closed with; null: it did not come about. */
  async #serveOnce(open: Open): Promise<number | null> {
    const { config, edge } = this.#options;
    const token = await edge.nodeToken(null);
    if (token === null || open.end.signal.aborted) return null;
    const url = config.controlPlaneUrl.replace(/^http/, "ws") + relayPath(config.nodeId, open.relayId);
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${token}` },
      handshakeTimeout: RELAY_DIAL_MS,
      maxPayload: FRAME_MAX_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
    });
    const onAbort = () => socket.terminate();
    open.end.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await serve(socket, (frame) => this.#begin(open, socket, frame));
    } finally {
      open.end.signal.removeEventListener("abort", onAbort);
    }
  }

  /** What the reader asked for; null when the answer was all there is. */
  async #begin(open: Open, socket: WebSocket, frame: RelayToAgentFrame): Promise<Terminal | null> {
    const { instanceId, find } = this.#options;
    const { workspaceId, relayId } = open;
    const at = await find(workspaceId);
    if (!at) throw new Error("The workspace has no files on its machine now.");
    if (frame.type === "git") {
      const state = await readGitState(at.path, {
        environment: at.environment,
        base: at.base,
        user: at.user,
        signal: open.end.signal,
      });
      send(socket, { type: "git", state });
      return null;
    }
    if (frame.type !== "terminal") throw new Error("The first frame must say what is wanted.");
    if (this.#of(workspaceId).filter(({ isTerminal }) => isTerminal).length >= TERMINALS_PER_WORKSPACE) {
      throw new Error(`A workspace has at most ${TERMINALS_PER_WORKSPACE} terminals. Close another one first.`);
    }
    open.isTerminal = true;
    const size = { cols: frame.cols, rows: frame.rows };
    // Not the mark of the coding agent: when that one is ended, what a person runs goes on.
    const mark = `${instanceId}/${workspaceId}.terminal.${relayId}`;
    return await Terminal.start(socket, { cwd: at.path, environment: at.environment, user: at.user, mark, size });
  }
}

/** Serves a socket until it is closed and nothing of it is left. */
async function serve(
  socket: WebSocket,
  begin: (frame: RelayToAgentFrame) => Promise<Terminal | null>,
): Promise<number | null> {
  const now: { terminal: Terminal | null; work: Promise<void> | null } = { terminal: null, work: null };
  const late = setTimeout(() => socket.terminate(), FIRST_FRAME_MS);
  const work = async (frame: RelayToAgentFrame) => {
    try {
      now.terminal = await begin(frame);
      // Who went meanwhile leaves nothing running.
      if (socket.readyState === WebSocket.OPEN) await now.terminal?.whenEnded();
    } catch (error) {
      send(socket, { type: "refused", message: sentence(messageOf(error)) });
    }
    socket.close(1000);
  };
  socket.on("message", (data, isBinary) => {
    if (isBinary) return void (now.terminal?.type(data) === false && socket.close(1009, "Too much was typed."));
    const frame = relayToAgentFrame.safeParse(parseJson(String(data))).data;
    if (!frame) return socket.close(RELAY_CLOSE.badFrame);
    if (frame.type === "resize" || frame.type === "ack") return now.terminal?.take(frame);
    clearTimeout(late);
    now.work ??= work(frame);
  });
  const code = await closed(socket);
  clearTimeout(late);
  await now.terminal?.[Symbol.asyncDispose]();
  await now.work;
  // It may have come up after its reader had gone.
  await now.terminal?.[Symbol.asyncDispose]();
  return code;
}

function closed(socket: WebSocket): Promise<number | null> {
  return new Promise((resolve) => {
    let opened = false;
    socket.on("open", () => opened = true);
    // Told of again by `close`.
    socket.on("error", () => {});
    socket.on("unexpected-response", (request) => request.destroy());
    socket.on("close", (code) => resolve(opened ? code : null));
  });
}

function send(socket: WebSocket, frame: RelayToEdgeFrame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

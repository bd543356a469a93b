/**
 * Relays: a reader here waits for a socket that a workspace's agent dials. The call is a command, so it reaches the
 * agent by whichever instance holds its link; the socket belongs to the instance where the reader is, and every other
 * one sends it on. Nothing is stored but the call, and nothing is buffered but what the sockets themselves hold.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import { change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { readNode } from "../store/nodes.ts";
import { isOpen, type WorkspaceRecord } from "../store/workspaces.ts";
import { GIT_DIFF_MAX } from "../wire/git_state.ts";
import { RELAY_CLOSE, type RelayToAgentFrame, type RelayToEdgeFrame, relayToEdgeFrame } from "../wire/relay.ts";

/** How long an agent may take to come: its redials, and the way of the command. */
const WAIT_MS = 12_000;
/** Readers of one process, and of one workspace in it. */
const RELAYS_MAX = 500;
const PER_WORKSPACE_MAX = 12;
/** An agent that has taken less than this of what it was sent takes nothing. */
const BUFFER_MAX_BYTES = 1024 * 1024;
/** The longest text frame, the state of git, with every character escaped. */
const TEXT_MAX = 8 * GIT_DIFF_MAX;

export interface RelayReader {
  onFrame: (frame: RelayToEdgeFrame) => void;
  onBytes: (bytes: ArrayBuffer) => void;
  /** The agent's socket is closed. */
  onEnd: () => void;
}

interface Waiting {
  nodeId: string;
  workspaceId: string;
  come: (socket: WebSocket) => void;
}

const waitingOf = new WeakMap<Edge, Map<string, Waiting>>();

/**
 * Calls the workspace's agent and resolves with its socket. Throws `session_not_live` where the workspace has ended,
 * `node_busy` where too many readers wait, `node_unreachable` where the agent does not come.
 */
export async function openRelay(
  edge: Edge,
  workspace: WorkspaceRecord,
  options: { reader: RelayReader; waitMs?: number; signal?: AbortSignal },
): Promise<AgentSocket> {
  if (!isOpen(workspace)) {
    throw new AppError("session_not_live", "The workspace is gone: there is nothing to look into.");
  }
  const node = await readNode(edge.store, workspace.nodeId);
  if (!node || node.generation !== workspace.generation || node.health === "unreachable") throw unreachable();
  const waiting = relaysOf(edge);
  const ofWorkspace = [...waiting.values()].filter(({ workspaceId }) => workspaceId === workspace.id);
  if (waiting.size >= RELAYS_MAX || ofWorkspace.length >= PER_WORKSPACE_MAX) {
    throw new AppError("node_busy", "Too many readers look into this workspace already. Close one and try again.");
  }
  const relayId = newId();
  const come = Promise.withResolvers<WebSocket>();
  const giveUp = () => come.reject(unreachable());
  const timer = setTimeout(giveUp, options.waitMs ?? WAIT_MS);
  options.signal?.addEventListener("abort", giveUp, { once: true });
  waiting.set(relayId, { nodeId: node.id, workspaceId: workspace.id, come: come.resolve });
  try {
    const call = { kind: "relay.open" as const, workspaceId: workspace.id, relayId };
    await Promise.race([change(edge.store, (tx) => addCommands(tx, node.id, [call]), edge.clock), come.promise]);
    return new AgentSocket(await come.promise, options.reader);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", giveUp);
    waiting.delete(relayId);
  }
}

/** Hands the socket of an agent to the reader who waits for it; elsewhere, or too late, the agent dials again. */
export function takeRelay(edge: Edge, at: { nodeId: string; relayId: string }, socket: WebSocket): void {
  const waiting = relaysOf(edge);
  const found = waiting.get(at.relayId);
  socket.binaryType = "arraybuffer";
  socket.onerror = () => {};
  socket.onopen = () => {
    if (found?.nodeId !== at.nodeId || !waiting.delete(at.relayId)) {
      return socket.close(RELAY_CLOSE.notHere, "This instance does not hold the relay. Dial again.");
    }
    found.come(socket);
  };
}

/** The agent's end of a relay. */
export class AgentSocket implements Disposable {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, reader: RelayReader) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) return reader.onBytes(data);
      const frame = parseFrame(data);
      if (frame) reader.onFrame(frame);
      else this.close(RELAY_CLOSE.badFrame, "A frame was not one of the protocol.");
    };
    socket.onclose = () => reader.onEnd();
    if (socket.readyState > WebSocket.OPEN) reader.onEnd();
  }

  /** False when the agent takes nothing any more. */
  send(data: RelayToAgentFrame | ArrayBuffer): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    if (this.#socket.bufferedAmount > BUFFER_MAX_BYTES) return false;
    this.#socket.send(data instanceof ArrayBuffer ? data : JSON.stringify(data));
    return true;
  }

  close(code = 1000, reason = ""): void {
    if (this.#socket.readyState <= WebSocket.OPEN) this.#socket.close(code, reason);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function unreachable(): AppError {
  return new AppError("node_unreachable", "The workspace's machine does not answer. Try again when it is back.");
}

function parseFrame(data: unknown): RelayToEdgeFrame | null {
  if (typeof data !== "string" || data.length > TEXT_MAX) return null;
  try {
    return relayToEdgeFrame.safeParse(JSON.parse(data)).data ?? null;
  } catch {
    return null;
  }
}

function relaysOf(edge: Edge): Map<string, Waiting> {
  const known = waitingOf.get(edge) ?? new Map<string, Waiting>();
  waitingOf.set(edge, known);
  return known;
}

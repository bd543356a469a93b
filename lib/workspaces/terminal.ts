/**
 * A person's terminal in a workspace: passes bytes between the browser's socket and the one that the agent dialled, and
 * holds none itself. Who may have it is looked at again while it is open; it ends with the workspace, with the node's
 * generation, when nothing happens for too long, and after a day's work at the latest.
 */
import type { Edge } from "../edge.ts";
import { AppError, messageOf } from "../errors.ts";
import { change } from "../store/change.ts";
import { nodeTopic } from "../store/keys.ts";
import { readNode } from "../store/nodes.ts";
import { isOpen, readWorkspace, touchWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import {
  RELAY_CLOSE,
  TERMINAL_CHUNK_MAX_BYTES,
  TERMINAL_WINDOW_BYTES,
  terminalInputFrame,
  type TerminalOutputFrame,
  type TerminalSize,
} from "../wire/relay.ts";
import { type AgentSocket, openRelay } from "./relay.ts";

const IDLE_MAX_MS = 60 * 60_000;
const OPEN_MAX_MS = 12 * 60 * 60_000;
const TEXT_MAX = 1_024;
/** So often within the time after which an unused workspace ends. */
const USE_NOTED_PER_TIMEOUT = 4;
/** The agent keeps to its window; one that does not is not ours. */
const BUFFER_MAX_BYTES = 4 * TERMINAL_WINDOW_BYTES;

export interface TerminalOptions {
  workspace: WorkspaceRecord;
  size: TerminalSize;
  /** Whether the person may still have it; the code to close with otherwise. */
  recheck: () => Promise<null | 4401 | 4403>;
  idleMs?: number;
  openMs?: number;
}

/** Serves a terminal until one of its sockets closes. */
export function serveTerminal(edge: Edge, socket: WebSocket, options: TerminalOptions): void {
  const terminal = new TerminalSocket(edge, socket, options);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => void terminal.connect();
  socket.onmessage = ({ data }) => terminal.take(data);
  socket.onclose = () => terminal[Symbol.dispose]();
  socket.onerror = () => {};
}

class TerminalSocket implements Disposable {
  readonly #edge: Edge;
  readonly #socket: WebSocket;
  readonly #options: TerminalOptions;
  readonly #end = new AbortController();
  readonly #stops: (() => void)[];
  #agent: AgentSocket | null = null;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #stirredAt = 0;
  #notedAt = 0;

  constructor(edge: Edge, socket: WebSocket, options: TerminalOptions) {
    this.#edge = edge;
    this.#socket = socket;
    this.#options = options;
    const { workspace, openMs = OPEN_MAX_MS } = options;
    const recheck = setInterval(() => void this.#recheck(), edge.config.LIVE_RECHECK_MS);
    const tooLong = setTimeout(() => this.#close(RELAY_CLOSE.tooLong, "It was open for too long."), openMs);
    this.#stops = [
      () => clearInterval(recheck),
      () => clearTimeout(tooLong),
      // The end of a workspace, and of a node, is told to the node's links.
      edge.live.onNews(nodeTopic(workspace.nodeId), () => void this.#lookWhetherEnded()),
    ];
    this.#stirred();
  }

  async connect(): Promise<void> {
    const { workspace, size } = this.#options;
    try {
      this.#agent = await openRelay(this.#edge, workspace, {
        signal: this.#end.signal,
        reader: {
          onFrame: (frame) => frame.type === "git" || this.#send(frame),
          onBytes: (bytes) => this.#pass(bytes),
          onEnd: () => void this.#agentLeft(),
        },
      });
      if (this.#end.signal.aborted) return this.#agent.close();
      this.#agent.send({ type: "terminal", ...size });
      this.#edge.log.info("terminal_opened", { workspaceId: workspace.id, nodeId: workspace.nodeId });
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** From the browser: what was typed, another size, how much of the output was taken. */
  take(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      if (data.byteLength > TERMINAL_CHUNK_MAX_BYTES) {
        return this.#close(RELAY_CLOSE.badFrame, "The frame is too long.");
      }
      this.#stirred();
      return this.#toAgent(data);
    }
    const frame = parseFrame(data);
    if (frame) this.#toAgent(frame);
    else this.#close(RELAY_CLOSE.badFrame, "A frame was not one of the protocol.");
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    clearTimeout(this.#idle);
    for (const stop of this.#stops) stop();
    this.#agent?.close();
  }

  /** The agent ends a terminal with its workspace: then that is the reason to tell. */
  async #agentLeft(): Promise<void> {
    await this.#lookWhetherEnded();
    this.#close(1000, "The terminal has ended.");
  }

  #toAgent(data: Parameters<AgentSocket["send"]>[0]): void {
    // Before there is a shell nothing can be typed into it.
    if (this.#agent?.send(data) === false) this.#close(RELAY_CLOSE.tooSlow, "The machine takes nothing any more.");
  }

  #pass(bytes: ArrayBuffer): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (bytes.byteLength > TERMINAL_CHUNK_MAX_BYTES || this.#socket.bufferedAmount > BUFFER_MAX_BYTES) {
      return this.#close(RELAY_CLOSE.tooSlow, "The terminal sends more than may be on its way.");
    }
    this.#stirred();
    this.#socket.send(bytes);
  }

  #send(frame: TerminalOutputFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #refuse(error: unknown): void {
    if (this.#end.signal.aborted) return;
    const known = error instanceof AppError ? error : null;
    if (!known) this.#edge.log.warn("terminal_failed", { reason: messageOf(error) });
    const code = known?.code === "session_not_live"
      ? RELAY_CLOSE.ended
      : known?.code === "node_busy"
      ? RELAY_CLOSE.tooMany
      : known
      ? RELAY_CLOSE.unreachable
      : 1011;
    this.#close(code, known?.message ?? "The edge could not open the terminal. Try again.");
  }

  async #recheck(): Promise<void> {
    const code = await this.#options.recheck().catch(() => null);
    if (code !== null) this.#close(code, code === 4401 ? "You are signed out." : "You have no access any more.");
    await this.#noteUse();
    await this.#lookWhetherEnded();
  }

  /** A workspace opened by hand ends when nobody uses it, and what passes here is in no record of it. */
  async #noteUse(): Promise<void> {
    const { workspace: { id, taskId } } = this.#options;
    const everyMs = this.#edge.config.WORKSPACE_IDLE_TIMEOUT_MS / USE_NOTED_PER_TIMEOUT;
    if (taskId !== null || this.#stirredAt - this.#notedAt < everyMs) return;
    this.#notedAt = this.#stirredAt;
    await change(this.#edge.store, (tx) => touchWorkspace(tx, id), this.#edge.clock).catch((error) => {
      this.#edge.log.warn("workspace_use_not_noted", { workspaceId: id, reason: messageOf(error) });
    });
  }

  async #lookWhetherEnded(): Promise<void> {
    const { store } = this.#edge;
    const { id, nodeId } = this.#options.workspace;
    const [workspace, node] = await Promise.all([readWorkspace(store, id), readNode(store, nodeId)]).catch(
      () => [null],
    );
    // A store that cannot be read says nothing of the workspace.
    if (workspace === null || node === undefined) return;
    if (!isOpen(workspace) || node?.generation !== workspace.generation) {
      this.#close(RELAY_CLOSE.ended, "The workspace has ended.");
    }
  }

  #stirred(): void {
    this.#stirredAt = this.#edge.clock();
    clearTimeout(this.#idle);
    const { idleMs = IDLE_MAX_MS } = this.#options;
    this.#idle = setTimeout(() => this.#close(RELAY_CLOSE.tooLong, "Nothing happened for too long."), idleMs);
  }

  #close(code: number, reason: string): void {
    this.#agent?.close();
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason);
  }
}

function parseFrame(data: unknown) {
  if (typeof data !== "string" || data.length > TEXT_MAX) return null;
  try {
    return terminalInputFrame.safeParse(JSON.parse(data)).data ?? null;
  } catch {
    return null;
  }
}

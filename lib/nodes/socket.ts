/**
 * The control link at the edge: sends stored commands in order, takes acknowledgements and live text. Any process can
 * serve it; of two sockets of one node the newer wins, also where each has a process of its own. Rows hold pointers, text is filled in when a frame is sent.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { newId } from "../ids.ts";
import { change } from "../store/change.ts";
import { acknowledge, type CommandRecord, lastCommandSeq, listCommands } from "../store/commands.ts";
import { nodeTopic, projectTopic } from "../store/keys.ts";
import { putLink, readLink } from "../store/nodes.ts";
import { readPermission } from "../store/permissions.ts";
import { readPrompt } from "../store/prompts.ts";
import { readWorkspace } from "../store/workspaces.ts";
import { type CommandFrame, type LiveFrame, type ToAgentFrame, toEdgeFrame } from "../wire/control.ts";
import { LIVE_FRAME_MAX_BYTES } from "../wire/limits.ts";

const CLOSE_ABOVE = 8 * 1024 * 1024;
const NEWER_SOCKET = 4409;
const FENCED = 4410;

/** A reader that called for the node's relay does not wait longer than this. */
const RELAY_CALL_MAX_MS = 60_000;

/** Workspaces whose session a link remembers, and frames that may wait: an agent that sends more is not ours. */
const KNOWN_MAX = 1_000;
const FRAMES_MAX = 1_000;

/** The sockets of this process, one per node, and how to ask a node for its open text. */
const links = new WeakMap<Edge, Map<string, ControlLink>>();

/** Serves a node's control link until it closes. */
export function serveControlLink(edge: Edge, socket: WebSocket, nodeId: string): void {
  const known = linksOf(edge);
  known.get(nodeId)?.close(NEWER_SOCKET, "A newer link of this node took over.");
  const link = new ControlLink(edge, socket, nodeId);
  known.set(nodeId, link);
  const end = () => {
    link.stop();
    if (known.get(nodeId) === link) known.delete(nodeId);
  };
  socket.onmessage = (event) => void link.receive(event.data);
  socket.onclose = end;
  socket.onerror = () => {};
}

/** Asks the node of a workspace, if its link is here, to send the open message whole. */
export function askForOpenText(edge: Edge, nodeId: string, workspaceId: string): void {
  linksOf(edge).get(nodeId)?.send({ type: "refresh", workspaceId });
}

class ControlLink {
  readonly #edge: Edge;
  readonly #socket: WebSocket;
  readonly #nodeId: string;
  readonly #id = newId();
  /** Which session and project each workspace of this node has; null: none, or not of this node. */
  readonly #sessions = new Map<string, { sessionId: string; topic: string } | null>();
  #sentSeq: number | null = null;
  /** The node's generation when the link was opened: a later one has fenced its agent. */
  #generation: number | null = null;
  #sending: Promise<void> = Promise.resolve();
  #line: Promise<void> = Promise.resolve();
  #inLine = 0;
  #leave = () => {};

  constructor(edge: Edge, socket: WebSocket, nodeId: string) {
    this.#edge = edge;
    this.#socket = socket;
    this.#nodeId = nodeId;
  }

  send(frame: ToAgentFrame): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > CLOSE_ABOVE) return this.close(1013, "The agent reads too slowly.");
    this.#socket.send(JSON.stringify(frame));
  }

  close(code: number, reason: string): void {
    if (this.#socket.readyState <= WebSocket.OPEN) this.#socket.close(code, reason);
  }

  stop(): void {
    this.#leave();
  }

  /** Frames are taken one after the other: text that grows belongs in the order in which it came. */
  receive(data: unknown): Promise<void> {
    if (++this.#inLine > FRAMES_MAX) this.close(1013, "Too many frames at once.");
    else this.#line = this.#line.then(() => this.#take(data)).finally(() => this.#inLine--);
    return this.#line;
  }

  async #take(data: unknown): Promise<void> {
    const frame = parseFrame(data);
    if (!frame) return this.close(4400, "A frame was not one of the protocol.");
    try {
      if (frame.type === "hello") await this.#greet(frame.protocol, frame.lastSeq);
      else if (frame.type === "ack") await acknowledge(this.#edge.store, this.#nodeId, frame.seq);
      else await this.#pass(frame);
    } catch (error) {
      this.#edge.log.warn("control_frame_failed", { nodeId: this.#nodeId, type: frame.type, reason: messageOf(error) });
      this.close(1011, "The edge could not take the frame. Reconnect.");
    }
  }

  async #greet(protocol: number, lastSeq: number): Promise<void> {
    const { min, max } = this.#edge.protocol;
    if (protocol < min || protocol > max) {
      this.send({ type: "upgrade_required", message: `This edge speaks protocol ${min} to ${max}.` });
      return this.close(4426, "The agent must be upgraded.");
    }
    const known = await lastCommandSeq(this.#edge.store, this.#nodeId);
    const { installationId } = this.#edge.store;
    this.send({ type: "hello", protocol: max, agentVersion: "edge", instanceId: installationId, lastSeq: known });
    // What the agent has stored is acknowledged, also where the acknowledgement itself was lost.
    if (lastSeq > 0) await acknowledge(this.#edge.store, this.#nodeId, lastSeq);
    this.#sentSeq = lastSeq;
    // From here on an older link in whatever process finds that it is not the newest.
    await change(this.#edge.store, (tx) => Promise.resolve(putLink(tx, this.#nodeId, this.#id)), this.#edge.clock);
    this.#generation ??= (await readLink(this.#edge.store, this.#nodeId)).generation;
    this.#leave();
    this.#leave = this.#edge.live.onNews(nodeTopic(this.#nodeId), () => this.#sendCommands());
    this.#sendCommands();
    await this.#sending;
  }

  #sendCommands(): void {
    this.#sending = this.#sending.then(async () => {
      while (this.#sentSeq !== null && this.#socket.readyState === WebSocket.OPEN) {
        const { link, generation } = await readLink(this.#edge.store, this.#nodeId);
        if (generation !== this.#generation) return this.close(FENCED, "This node was given up.");
        if (link !== this.#id) return this.close(NEWER_SOCKET, "A newer link of this node took over.");
        const rows = await listCommands(this.#edge.store, this.#nodeId, this.#sentSeq);
        if (rows.length === 0) return;
        for (const row of rows) {
          this.send(await toFrame(this.#edge, row));
          this.#sentSeq = row.seq;
        }
      }
    }).catch((error) => {
      this.#edge.log.warn("commands_not_sent", { nodeId: this.#nodeId, reason: messageOf(error) });
      this.close(1011, "The edge could not read its commands. Reconnect.");
    });
  }

  async #pass(frame: LiveFrame): Promise<void> {
    const at = await this.#sessionOf(frame.workspaceId);
    const out = at && this.#edge.live.open.accept(at.sessionId, frame);
    if (out) this.#edge.live.broadcast(at.topic, out);
  }

  async #sessionOf(workspaceId: string): Promise<{ sessionId: string; topic: string } | null> {
    const known = this.#sessions.get(workspaceId);
    if (known !== undefined) return known;
    const workspace = await readWorkspace(this.#edge.store, workspaceId);
    const linked = workspace?.nodeId === this.#nodeId && workspace.sessionId && workspace.projectId
      ? { sessionId: workspace.sessionId, topic: projectTopic(workspace.projectId) }
      : null;
    if (this.#sessions.size >= KNOWN_MAX) this.#sessions.clear();
    this.#sessions.set(workspaceId, linked);
    return linked;
  }
}

async function toFrame(edge: Edge, row: CommandRecord): Promise<CommandFrame> {
  const base = { type: "command" as const, commandId: row.commandId, seq: row.seq };
  switch (row.kind) {
    case "workspace.start":
      return { ...base, kind: row.kind, workspaceId: row.workspaceId, run: row.run, again: row.again };
    case "workspace.stop":
      return { ...base, kind: row.kind, workspaceId: row.workspaceId, run: row.run, keep: row.keep };
    case "prompt.cancel":
      return { ...base, kind: row.kind, workspaceId: row.workspaceId, messageId: row.messageId };
    case "relay.open": {
      // Whoever asked has gone long since.
      if (edge.clock() - row.at > RELAY_CALL_MAX_MS) return { ...base, kind: "noop" };
      return { ...base, kind: row.kind, workspaceId: row.workspaceId, relayId: row.relayId };
    }
    case "node.drain":
      return { ...base, kind: row.kind };
    case "permission.respond": {
      const asked = await readPermission(edge.store, row.sessionId, row.requestId);
      if (!asked || asked.status === "pending") return { ...base, kind: "noop" };
      const { workspaceId, requestId } = row;
      const end = { outcome: asked.status, optionId: asked.answer, by: asked.answeredBy };
      return { ...base, kind: row.kind, workspaceId, requestId, ...end };
    }
    case "prompt.send": {
      const prompt = await readPrompt(edge.store, row.sessionId, row.messageId);
      if (!prompt || !["sent", "running"].includes(prompt.state)) return { ...base, kind: "noop" };
      return { ...base, kind: row.kind, workspaceId: row.workspaceId, messageId: row.messageId, text: prompt.text };
    }
    case "prompt.steer": {
      const { workspaceId, messageId, into } = row;
      const prompt = await readPrompt(edge.store, row.sessionId, messageId);
      if (prompt?.state !== "sent" || prompt.steeredInto !== into) return { ...base, kind: "noop" };
      return { ...base, kind: row.kind, workspaceId, messageId, into, text: prompt.text };
    }
  }
}

function parseFrame(data: unknown) {
  // A frame of live text, escaped, is at most six times its bytes.
  if (typeof data !== "string" || data.length > LIVE_FRAME_MAX_BYTES * 6 + 32_768) return null;
  try {
    return toEdgeFrame.safeParse(JSON.parse(data)).data ?? null;
  } catch {
    return null;
  }
}

function linksOf(edge: Edge): Map<string, ControlLink> {
  const known = links.get(edge) ?? new Map<string, ControlLink>();
  links.set(edge, known);
  return known;
}

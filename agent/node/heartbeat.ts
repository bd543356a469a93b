/**
 * Tells the edge regularly that the node lives and what waits on it, and takes back what the edge wants. Commands are
 * edges, the answer of a heartbeat is the level: workspaces that are not wanted end, commands that did not come are
 * fetched. After too long without an edge the node stops by itself, because nobody else may be able to stop it.
 */
import { wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import { type Heartbeat as Beat, type HeartbeatAnswer, heartbeatAnswer } from "../../lib/wire/node.ts";
import { AGENT_VERSION, type AgentConfig } from "../config.ts";
import { type EdgeClient, NetworkError } from "../delivery/edge_client.ts";
import { Latch } from "../delivery/latch.ts";
import type { Inbox } from "../store/inbox.ts";
import type { Outbox } from "../store/outbox.ts";

/** What one heartbeat may tell, by the wire schema. */
const WORKSPACES_MAX = 200;

export interface WorkspaceState {
  id: string;
  status: string;
  turn: string;
}

export interface HeartbeatTarget {
  snapshot(): WorkspaceState[];
  /** Ends every workspace that is not in `wanted`. */
  retain(wanted: string[]): void;
  /** Ends every workspace, the youngest too. */
  stopAll(): void;
}

export interface HeartbeatOptions {
  config: Pick<AgentConfig, "nodeId" | "nodeHardLifetimeMs">;
  intervalMs: number;
  edge: EdgeClient;
  outbox: Outbox;
  /** How many lines of messages wait because the edge refuses their workspace. */
  heldLines: () => number;
  inbox: Inbox;
  workspaces: HeartbeatTarget;
  /** The edge has commands that are not stored here. */
  onBehind: (seq: number) => void;
  /**
   * Called after each answer. `fenced`: the edge has given this node up, it gets no work any more. `idle`: the edge was
   * just told that there is no workspace and no waiting row here.
   */
  onAnswer?: (answer: { fenced: boolean; idle: boolean }) => void | Promise<void>;
  /** The edge could not be reached for the node's hard lifetime. */
  onFuse: () => void;
  log: Logger;
}

export class Heartbeat implements AsyncDisposable {
  #options: HeartbeatOptions;
  #closing = new AbortController();
  #nudge = new Latch();
  #running: Promise<void> | null = null;
  #answeredAt = performance.now();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The next heartbeat now. */
  poke(): void {
    this.#nudge.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the agent ends"));
    this.#nudge.open();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const nudge = this.#nudge.signal;
      try {
        await this.#beat();
      } catch (error) {
        this.#options.log.error("heartbeat_failed", { error });
      }
      if (this.#closing.signal.aborted) return;
      // A little jitter, so that nodes that started together do not stay together.
      await wait(this.#options.intervalMs * (0.95 + Math.random() * 0.1), nudge);
    }
  }

  async #beat(): Promise<void> {
    const { config, log, onFuse } = this.#options;
    const told = await this.#describe(this.#options.workspaces.snapshot());
    const answer = await this.#post(told);
    if (answer) {
      this.#answeredAt = performance.now();
      await this.#take(answer, told);
    } else if (!this.#closing.signal.aborted && performance.now() - this.#answeredAt > config.nodeHardLifetimeMs) {
      log.critical("edge_lost", { sinceMs: Math.round(performance.now() - this.#answeredAt) });
      onFuse();
    }
  }

  async #describe(states: WorkspaceState[]): Promise<Beat> {
    const { outbox } = this.#options;
    const workspaces = await Promise.all(
      states.slice(0, WORKSPACES_MAX).map(async (state) => ({ ...state, pendingRows: await outbox.depth(state.id) })),
    );
    return {
      // Per core: what a machine can bear depends on how many it has.
      load: (Deno.loadavg()[0] ?? 0) / navigator.hardwareConcurrency,
      workspaces,
      ...await outbox.counts(),
      heldLines: this.#options.heldLines(),
      clock: new Date().toISOString(),
      agentVersion: AGENT_VERSION,
    };
  }

  async #post(body: Beat): Promise<HeartbeatAnswer | null> {
    const { config, edge, log } = this.#options;
    const path = `/api/nodes/${config.nodeId}/heartbeat`;
    try {
      const answer = await edge.request({ method: "POST", path, body, as: "node", signal: this.#closing.signal });
      const parsed = heartbeatAnswer.safeParse(answer.body);
      if (answer.status === 200 && parsed.success) return parsed.data;
      log.warn("heartbeat_refused", { status: answer.status });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      log.warn("heartbeat_delayed", { reason: error.message });
    }
    return null;
  }

  async #take(answer: HeartbeatAnswer, told: Beat): Promise<void> {
    const { edge, inbox, workspaces, onBehind, onAnswer } = this.#options;
    edge.setTokens(answer);
    if (answer.commandSeq > await inbox.lastSeq()) onBehind(answer.commandSeq);
    const idle = told.workspaces.length === 0 && told.outboxDepth === 0;
    if (answer.fenced) {
      workspaces.stopAll();
      return await onAnswer?.({ fenced: true, idle });
    }
    // A workspace that started after this heartbeat was made may be unknown to its answer: it is kept in any case.
    const known = new Set(told.workspaces.map((workspace) => workspace.id));
    const young = workspaces.snapshot().map((state) => state.id).filter((id) => !known.has(id));
    workspaces.retain([...answer.wanted, ...young]);
    await onAnswer?.({ fenced: false, idle });
  }
}

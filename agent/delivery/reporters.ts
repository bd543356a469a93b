/**
 * A reporter for every workspace that has rows, also for one that is gone from the node: as long as there are rows
 * somebody tries to deliver them.
 */
import type { Logger } from "../../lib/log.ts";
import type { Outbox } from "../store/outbox.ts";
import type { EdgeClient } from "./edge_client.ts";
import { Reporter, type ReporterConfig } from "./reporter.ts";

/** Dead letters that are to be sent again (`hearth-agent outbox retry`) are found after this time. */
const LOOK_INTERVAL_MS = 30_000;
/** Reporters without rows are kept, because they know how their line was going; only so many of them. */
const IDLE_MAX = 50;

export interface ReportersOptions {
  outbox: Outbox;
  edge: EdgeClient;
  config: ReporterConfig;
  log: Logger;
}

export class Reporters implements AsyncDisposable {
  #options: ReportersOptions;
  #byWorkspace = new Map<string, Reporter>();
  #unsubscribe: () => void;
  #timer: ReturnType<typeof setInterval>;
  #closing = false;

  constructor(options: ReportersOptions) {
    this.#options = options;
    this.#unsubscribe = options.outbox.onRows(({ workspaceId }) => void this.#get(workspaceId));
    this.#timer = setInterval(() => void this.look(), LOOK_INTERVAL_MS);
  }

  /** Starts a reporter wherever rows wait: at the start of the agent, and now and then. */
  async look(): Promise<void> {
    try {
      await this.#takeBack();
      for (const workspaceId of await this.#options.outbox.workspacesWithRows()) this.#get(workspaceId)?.poke();
    } catch (error) {
      if (!this.#closing) this.#options.log.error("outbox_look_failed", { error });
    }
  }

  /** A full disk has no room for them yet, and what waits must be sent all the same. */
  async #takeBack(): Promise<void> {
    try {
      await this.#options.outbox.takeBack();
    } catch (error) {
      if (!this.#closing) this.#options.log.error("take_back_failed", { error });
    }
  }

  /** How many lines wait because the edge refuses their workspace. */
  get heldLines(): number {
    return [...this.#byWorkspace.values()].filter((reporter) => reporter.isHeld).length;
  }

  /** The workspace's reporter. Without a session it is one that stores nothing and sends nothing. */
  for(workspaceId: string, sessionId: string | null): Reporter {
    if (sessionId === null) return new Reporter({ ...this.#options, workspaceId, sessionId });
    const known = this.#byWorkspace.get(workspaceId);
    if (known) return known;
    this.#prune();
    const reporter = new Reporter({ ...this.#options, workspaceId, sessionId });
    this.#byWorkspace.set(workspaceId, reporter);
    return reporter;
  }

  /** Every reporter sends what it can; the rest waits on the disk. */
  async shutdown(deadlineMs: number): Promise<void> {
    this.#closing = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await Promise.all([...this.#byWorkspace.values()].map((reporter) => reporter.shutdown(deadlineMs)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown(0);
  }

  /** Rows are in the outbox only where there is a session. */
  #get(workspaceId: string): Reporter | null {
    return this.#closing ? null : this.for(workspaceId, "");
  }

  #prune(): void {
    const idle = [...this.#byWorkspace.values()].filter((reporter) => reporter.idle);
    for (const reporter of idle.slice(0, Math.max(0, idle.length - IDLE_MAX))) {
      this.#byWorkspace.delete(reporter.workspaceId);
      void reporter.shutdown(0);
    }
  }
}

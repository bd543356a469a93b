/**
 * Watches over the coding agents of all workspaces, by the same session manager and monitor as the chat engine's: one
 * that holds too much memory or does nothing for long is ended, its conversation goes on with the next prompt, and
 * processes that belong to no workspace any more are ended too. How long a run may take is the run's own limit.
 */
import type { Logger } from "../../lib/log.ts";
import { machineMemoryBytes } from "../coding/memory.ts";
import { Monitor, type MonitorOptions } from "../coding/monitor_loop.ts";
import { type SessionAction, SessionManager } from "../coding/sessions.ts";
import type { AgentConfig } from "../config.ts";
import type { CodingAgent } from "./coding_agent.ts";

/** Above this share of the machine's memory a coding agent is started anew, above twice as much it is ended at once. */
const MEMORY_SHARE = 0.4;
const MIB = 1024 * 1024;

export interface CodingAgentsOptions {
  config: AgentConfig;
  instanceId: string;
  warmMarks: () => string[];
  /** Ends a workspace's coding agent when no turn runs. */
  relieve: (workspaceId: string) => void;
  monitor?: Pick<MonitorOptions, "memoryEveryMs" | "durationEveryMs">;
  log: Logger;
}

export class CodingAgents implements AsyncDisposable {
  readonly #options: CodingAgentsOptions;
  readonly #sessions: SessionManager<CodingAgent>;
  readonly #monitor: Monitor;
  readonly #maxRssBytes: number;

  constructor(options: CodingAgentsOptions) {
    const { config, instanceId, warmMarks, log } = options;
    this.#options = options;
    this.#maxRssBytes = config.maxSessionRssBytes ?? machineMemoryBytes() * MEMORY_SHARE;
    this.#sessions = new SessionManager({ instanceId, act: (agent, action) => this.#act(agent, action), log });
    this.#monitor = new Monitor({
      ...options.monitor,
      sessions: this.#sessions,
      limits: {
        maxDurationMs: Infinity,
        warningPercent: 100,
        maxRssBytes: this.#maxRssBytes,
        idleTimeoutMs: config.sessionIdleTimeoutMs,
        idleGraceMs: config.sessionIdleGraceMs,
      },
      instanceId,
      warmMarks,
      log,
    });
  }

  /** Ends what an earlier life of this program left running, and begins to watch. */
  async start(): Promise<void> {
    await this.#sessions.start();
    this.#monitor.start();
  }

  add(agent: CodingAgent): void {
    this.#sessions.add(agent);
  }

  remove(workspaceId: string): void {
    this.#sessions.remove(workspaceId);
  }

  /** Ends every process that carries a mark of this program. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]();
    await this.#sessions[Symbol.asyncDispose]();
  }

  async #act(agent: CodingAgent, action: SessionAction): Promise<void> {
    switch (action.type) {
      case "restart_memory":
      case "end_idle":
        return this.#options.relieve(agent.id);
      case "force_kill_memory": {
        const limitMb = Math.round(2 * this.#maxRssBytes / MIB);
        return await agent.endFor(`The coding agent and its tools took more than ${limitMb} MB of memory.`);
      }
      case "mark_idle":
        agent.isIdle = true;
        return;
      case "warn_duration":
      case "terminate_duration":
        return;
    }
  }
}

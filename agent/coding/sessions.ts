/**
 * The sessions of this program that have coding agents, workspaces and chats alike: whose processes are whose, what is
 * being done with one (nothing else is begun meanwhile), and the monitor's decisions handed to whoever knows what they
 * mean. What an earlier life of the program left running is ended before anything begins.
 */
import type { Logger } from "../../lib/log.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import type { Identity } from "../../lib/processes.ts";
import type { MonitorAction, SessionFacts } from "./monitor.ts";

/** How long a turn may go on when its session has to end. */
export const TURN_GRACE_MS = 30_000;

export interface ManagedSession {
  readonly id: string;
  /** What the processes started for it carry. */
  readonly mark: string;
  /** Those that work for it now, by their leader and the mark they carry; null without any. */
  readonly processes: { leader: Identity; mark: string } | null;
  readonly facts: Omit<SessionFacts, "sessionId" | "rssBytes">;
}

export type SessionAction = Exclude<MonitorAction, { type: "cleanup_zombie" }>;

export interface ManagerOptions<S> {
  /** First part of the mark of every process. */
  instanceId: string;
  /** Does what the monitor decided for a session that nothing else is being done with. */
  act: (session: S, action: SessionAction) => Promise<void>;
  log: Logger;
}

export class SessionManager<S extends ManagedSession> implements AsyncDisposable {
  readonly #options: ManagerOptions<S>;
  readonly #sessions = new Map<string, S>();
  readonly #inHand = new Map<string, Promise<void>>();

  constructor(options: ManagerOptions<S>) {
    this.#options = options;
  }

  /** Ends what an earlier life of this program left behind. */
  async start(): Promise<void> {
    await endProcesses(`${this.#options.instanceId}/`);
  }

  get all(): S[] {
    return [...this.#sessions.values()];
  }

  /** Sessions that have a process. */
  get live(): S[] {
    return this.all.filter(({ processes }) => processes !== null);
  }

  /** The marks that processes may rightly carry now. */
  get marks(): string[] {
    return this.all.flatMap((session) => session.processes ? [session.mark, session.processes.mark] : [session.mark]);
  }

  get(sessionId: string): S | undefined {
    return this.#sessions.get(sessionId);
  }

  add(session: S): void {
    this.#sessions.set(session.id, session);
  }

  remove(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  isInHand(sessionId: string): boolean {
    return this.#inHand.has(sessionId);
  }

  /** Resolves when what is being done with the session now is done. */
  async whenFree(sessionId: string): Promise<void> {
    await this.#inHand.get(sessionId);
  }

  /** Does something with a session; while it goes on the monitor's decisions on it are not carried out. */
  async hold(session: S, work: () => Promise<void>): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#inHand.set(session.id, done.promise);
    try {
      await work();
    } finally {
      this.#inHand.delete(session.id);
      done.resolve();
    }
  }

  /** Carries out what the monitor decided. Never throws. */
  async apply(actions: MonitorAction[]): Promise<void> {
    const { log } = this.#options;
    await Promise.all(actions.map(async (action) => {
      try {
        if (action.type === "cleanup_zombie") await this.#endOrphan(action.process);
        else await this.#actOn(action);
      } catch (error) {
        log.error("monitor_action_failed", { action: action.type, error });
      }
    }));
  }

  /** Waits for what is being done, and ends every process that carries a mark of this program. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#inHand.values());
    await endProcesses(`${this.#options.instanceId}/`);
  }

  async #actOn(action: SessionAction): Promise<void> {
    const session = this.#sessions.get(action.sessionId);
    if (!session || this.#inHand.has(session.id)) return;
    this.#options.log.info("monitor_action", { ...action });
    await this.#options.act(session, action);
  }

  async #endOrphan(orphan: Identity): Promise<void> {
    this.#options.log.warn("zombie_cleaned", { pid: orphan.pid });
    await endProcesses(`${this.#options.instanceId}/orphan`, { leader: orphan });
  }
}

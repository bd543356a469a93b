/**
 * The coding agent of one workspace: its program, environment and folder, from the warm ones if possible. How its
 * process lives and ends is `coding/agent_process.ts`.
 */
import type { Runtime } from "../../lib/wire/workspace.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import { AcpSession } from "../coding/acp.ts";
import { AgentProcess, type Opened } from "../coding/agent_process.ts";
import { findProfile } from "../coding/profiles.ts";
import { type Place, ProjectFolder } from "../coding/project_folder.ts";
import type { ManagedSession } from "../coding/sessions.ts";
import type { Recorder } from "./recorder.ts";
import { checkoutOf, type WorkspaceParts } from "./workspace_parts.ts";

export class CodingAgent implements ManagedSession, AsyncDisposable {
  readonly id: string;
  readonly mark: string;
  isIdle = false;
  readonly #parts: WorkspaceParts;
  readonly #process: AgentProcess;
  readonly #project: ProjectFolder;
  #startedAtMs = performance.now();
  #lastActiveAtMs = performance.now();
  #turns = 0;
  #endedFor: string | null = null;

  constructor(parts: WorkspaceParts, workspaceId: string) {
    const { config, db, log } = parts;
    this.#parts = parts;
    this.id = workspaceId;
    this.mark = `${db.instanceId}/${workspaceId}`;
    this.#process = new AgentProcess(this.mark);
    const searchPath = config.childEnvironment.PATH ?? "";
    this.#project = new ProjectFolder(checkoutOf(db, workspaceId), {
      searchPath,
      isForeign: parts.users.isOn,
      log: log.with({ workspaceId }),
    });
  }

  get processes(): ManagedSession["processes"] {
    return this.#process.session?.processes ?? null;
  }

  get facts(): ManagedSession["facts"] {
    return {
      startedAtMs: this.#startedAtMs,
      lastActiveAtMs: this.#lastActiveAtMs,
      isTurnRunning: this.#turns > 0,
      isIdle: this.isIdle,
      // A run's own limits end it, and tell why.
      wasWarned: true,
    };
  }

  /** The coding agent with its conversation open. Throws an Error with a sentence for a person. */
  async open(runtime: Runtime, options: { resume: string | null; recorder: Recorder }): Promise<Opened> {
    const { recorder, resume } = options;
    this.#touch();
    let place: Place = { cwd: this.#project.path, mcpServers: [] };
    const start = async () => {
      ({ place } = await this.#project.load());
      return await this.#start(runtime, place.cwd);
    };
    return await this.#process.open(start, () => ({
      ...place,
      resume,
      events: {
        onUpdate: (update) => recorder.take(update),
        onPermission: (asked) => recorder.permit(asked),
      },
    }));
  }

  /** Does a turn with it. */
  async during<T>(turn: () => Promise<T>): Promise<T> {
    this.#turns++;
    this.#endedFor = null;
    try {
      return await turn();
    } finally {
      this.#turns--;
      this.#touch();
    }
  }

  /** Why it was ended in the middle of the last turn; null when it was not. */
  get endedFor(): string | null {
    return this.#endedFor;
  }

  /** Ends it at once; a turn under way fails with this sentence. */
  async endFor(reason: string): Promise<void> {
    this.#endedFor = reason;
    await this.end();
  }

  /** Asks it to end its turn, if there is one; the turn then fails with this sentence. */
  stopFor(reason: string): void {
    if (this.#turns === 0) return;
    this.#endedFor ??= reason;
    this.cancel();
  }

  /** Asks it to end its turn. */
  cancel(): void {
    this.#process.cancel();
  }

  /** Ends its processes, also those of which only the mark is known, and takes back what was put into its folder. */
  async end(): Promise<void> {
    await this.#process.end();
    await this.#project[Symbol.asyncDispose]();
  }

  /** Ends whatever still runs as the workspace's user, and removes what that user left elsewhere. */
  async clear(): Promise<void> {
    const { users } = this.#parts;
    const user = await users.find(this.id);
    if (!user) return;
    await endProcesses(this.mark, { uid: user.uid });
    await users.clear(this.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #touch(): void {
    this.#lastActiveAtMs = performance.now();
    this.isIdle = false;
  }

  async #start(runtime: Runtime, cwd: string): Promise<AcpSession> {
    const { config, log, prewarm, users } = this.#parts;
    const profile = findProfile(runtime.codingAgent, config);
    if (!profile) {
      throw new Error(`This node knows no coding agent named “${runtime.codingAgent}”. Choose another one.`);
    }
    this.#startedAtMs = performance.now();
    const user = await users.find(this.id);
    const launch = {
      profile,
      env: { ...users.environmentOf(this.id, config.childEnvironment), ...runtime.credentials },
      cwd,
      mark: this.mark,
      user,
      limits: { turnStallTimeoutMs: config.turnStallTimeoutMs, toolStallTimeoutMs: config.toolStallTimeoutMs },
      log: log.with({ workspaceId: runtime.workspaceId }),
    };
    // Whose a warm process will be is not known when it is started.
    const isOwn = user !== undefined;
    const { session, warm } = isOwn
      ? { session: await AcpSession.start(launch), warm: false }
      : await prewarm.take(launch);
    const tookMs = Math.round(performance.now() - this.#startedAtMs);
    log.info("coding_agent.started", { workspaceId: runtime.workspaceId, profile: profile.id, warm, tookMs });
    return session;
  }
}

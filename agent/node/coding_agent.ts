/**
 * The coding agent of one workspace: started when it is needed, from the warm ones if possible, gone on with where it
 * can be, and ended with everything that it started.
 */
import type { Runtime } from "../../lib/wire/workspace.ts";
import { AcpSession } from "../coding/acp.ts";
import { findProfile } from "../coding/profiles.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import type { Recorder } from "./recorder.ts";
import { checkoutOf, type WorkspaceParts } from "./workspace_parts.ts";

export interface Opened {
  session: AcpSession;
  /** Whether the conversation asked for is gone on with; a new one knows nothing of it. */
  resumed: boolean;
}

export class CodingAgent implements AsyncDisposable {
  readonly #parts: WorkspaceParts;
  readonly #mark: string;
  #session: AcpSession | null = null;

  constructor(parts: WorkspaceParts, workspaceId: string) {
    this.#parts = parts;
    this.#mark = `${parts.db.instanceId}/${workspaceId}`;
  }

  /** The coding agent with its conversation open. Throws an Error with a sentence for a person. */
  async open(runtime: Runtime, options: { resume: string | null; recorder: Recorder }): Promise<Opened> {
    if (this.#session?.isAlive) return { session: this.#session, resumed: true };
    await this.end();
    const cwd = checkoutOf(this.#parts.db, runtime.workspaceId);
    const session = this.#session = await this.#start(runtime, cwd);
    const { recorder, resume } = options;
    const { resumed } = await session.open({
      cwd,
      resume,
      events: {
        onUpdate: (update) => recorder.take(update),
        onPermission: (call, choices) => recorder.permit(call, choices),
      },
    });
    return { session, resumed };
  }

  /** Asks it to end its turn. */
  cancel(): void {
    this.#session?.cancel();
  }

  /** Ends its processes, also those of which only the mark is known. */
  async end(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.[Symbol.asyncDispose]();
    await endProcesses(this.#mark);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #start(runtime: Runtime, cwd: string): Promise<AcpSession> {
    const { config, log, prewarm } = this.#parts;
    const profile = findProfile(runtime.codingAgent, config);
    if (!profile) {
      throw new Error(`This node knows no coding agent named “${runtime.codingAgent}”. Choose another one.`);
    }
    const started = performance.now();
    const { session, warm } = await prewarm.take({
      profile,
      env: { ...config.childEnvironment, ...runtime.credentials },
      cwd,
      mark: this.#mark,
      limits: { turnStallTimeoutMs: config.turnStallTimeoutMs, toolStallTimeoutMs: config.toolStallTimeoutMs },
      log: log.with({ workspaceId: runtime.workspaceId }),
    });
    const tookMs = Math.round(performance.now() - started);
    log.info("coding_agent.started", { workspaceId: runtime.workspaceId, profile: profile.id, warm, tookMs });
    return session;
  }
}

/**
 * The coding agent of one workspace: its program, environment and folder, from the warm ones if possible. How its
 * process lives and ends is `coding/agent_process.ts`.
 */
import type { Runtime } from "../../lib/wire/workspace.ts";
import type { AcpSession } from "../coding/acp.ts";
import { AgentProcess, type Opened } from "../coding/agent_process.ts";
import { findProfile } from "../coding/profiles.ts";
import type { Recorder } from "./recorder.ts";
import { checkoutOf, type WorkspaceParts } from "./workspace_parts.ts";

export class CodingAgent implements AsyncDisposable {
  readonly #parts: WorkspaceParts;
  readonly #mark: string;
  readonly #process: AgentProcess;

  constructor(parts: WorkspaceParts, workspaceId: string) {
    this.#parts = parts;
    this.#mark = `${parts.db.instanceId}/${workspaceId}`;
    this.#process = new AgentProcess(this.#mark);
  }

  /** The coding agent with its conversation open. Throws an Error with a sentence for a person. */
  async open(runtime: Runtime, options: { resume: string | null; recorder: Recorder }): Promise<Opened> {
    const { recorder, resume } = options;
    const cwd = checkoutOf(this.#parts.db, runtime.workspaceId);
    return await this.#process.open(() => this.#start(runtime, cwd), () => ({
      cwd,
      resume,
      events: {
        onUpdate: (update) => recorder.take(update),
        onPermission: (call, choices) => recorder.permit(call, choices),
      },
    }));
  }

  /** Asks it to end its turn. */
  cancel(): void {
    this.#process.cancel();
  }

  /** Ends its processes, also those of which only the mark is known. */
  async end(): Promise<void> {
    await this.#process.end();
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

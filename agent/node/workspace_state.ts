/**
 * What the steps of one workspace share: its row on the disk, what the edge wants of it, its coding agent and where
 * messages go. The row is changed by one at a time, each change decided on what the row says at that moment.
 */
import type { Logger } from "../../lib/log.ts";
import type { Runtime } from "../../lib/wire/workspace.ts";
import type { AcpSession } from "../coding/acp.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import { CodingAgent } from "./coding_agent.ts";
import { type Change, describe, isLeaving } from "./phase.ts";
import { PermissionDesk } from "./permission_desk.ts";
import { readRuntime } from "./read_runtime.ts";
import { Recorder } from "./recorder.ts";
import { Tell } from "./tell.ts";
import { checkoutOf, type WorkspaceParts } from "./workspace_parts.ts";

/** What a step begins with. */
export interface Look {
  /** As it was when the step was decided on. */
  row: WorkspaceRow;
  /** Aborts when the workspace is stopped meanwhile. */
  signal: AbortSignal;
}

/** What a step needs before the coding agent can work. */
export interface Needed {
  runtime: Runtime;
  recorder: Recorder;
}

export class WorkspaceState implements AsyncDisposable {
  readonly id: string;
  readonly parts: WorkspaceParts;
  readonly log: Logger;
  readonly tell: Tell;
  readonly desk: PermissionDesk;
  readonly agent: CodingAgent;
  /** A prompt that was cancelled before it ran. */
  cancelled: string | null = null;
  /** The turn that the coding agent does now, into which prompts can be sent. */
  turn: { promptId: string; session: AcpSession; recorder: Recorder } | null = null;
  /** What is being sent into it, one after the other; never rejects. */
  steering: Promise<void> = Promise.resolve();
  #changing: Promise<unknown> = Promise.resolve();
  #runtime: Runtime | null = null;
  #recorder: Recorder | null = null;
  #shown: Pick<WorkspaceRow, "phase" | "promptState">;
  #repositoryUrl: string | null;

  constructor(row: Omit<WorkspaceRow, "updatedAt">, parts: WorkspaceParts) {
    this.id = row.workspaceId;
    this.parts = parts;
    this.log = parts.log.with({ workspaceId: row.workspaceId });
    this.tell = new Tell(parts.reports, row.workspaceId);
    this.desk = new PermissionDesk(this.tell);
    this.agent = new CodingAgent(parts, row.workspaceId);
    this.#shown = row;
    this.#repositoryUrl = row.facts?.repositoryUrl ?? null;
    if (row.facts) this.#recorder = this.#makeRecorder(row.facts);
  }

  /** Null until it is known where messages go. */
  get recorder(): Recorder | null {
    return this.#recorder;
  }

  /** The mirror that the checkout borrows from. */
  get repositoryUrl(): string | null {
    return this.#shown.phase === "stopped" ? null : this.#repositoryUrl;
  }

  get phase(): string {
    return this.#shown.phase;
  }

  get snapshot(): { id: string; status: string; turn: string } {
    return { id: this.id, ...describe(this.#shown) };
  }

  async read(): Promise<WorkspaceRow | null> {
    return await this.parts.rows.get(this.id);
  }

  /** Reads, decides and writes the row with nobody between. False when nothing was to be changed. */
  change(decide: (row: WorkspaceRow) => Change | null): Promise<boolean> {
    const result = this.#changing.then(async () => {
      const row = await this.read();
      const change = row && decide(row);
      if (!change) return false;
      this.#shown = { ...row, ...change };
      return await this.parts.rows.patch(this.id, change);
    });
    this.#changing = result.catch(() => {});
    return result;
  }

  /** What the edge wants and where messages go. Null when the edge wants something else: then the row says so. */
  async need(signal: AbortSignal): Promise<Needed | null> {
    const runtime = this.#runtime ??= await readRuntime(this.parts, this.id, signal);
    if (runtime === null || runtime.wanted !== "run") {
      await this.change((row) =>
        isLeaving(row.phase) ? null : { phase: runtime?.wanted === "keep" ? "keeping" : "removing" }
      );
      return null;
    }
    await this.change((row) => row.facts ? null : { facts: withoutCredentials(runtime) });
    this.#repositoryUrl = runtime.repositoryUrl;
    this.#recorder ??= this.#makeRecorder(runtime);
    return { runtime, recorder: this.#recorder };
  }

  /** Ends the processes; what was still open of the conversation is closed as it stands. */
  async quieten(): Promise<void> {
    await this.agent.end();
    await this.#recorder?.endTurn({ interrupted: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.steering;
    await this.#recorder?.[Symbol.asyncDispose]();
  }

  #makeRecorder(facts: Omit<Runtime, "credentials" | "gitCredential">): Recorder {
    const { outbox, openMessages, live, db } = this.parts;
    return new Recorder({
      workspaceId: this.id,
      projectId: facts.projectId,
      sessionId: facts.chatSessionId,
      cwd: checkoutOf(db, this.id),
      permissions: {
        mode: facts.permissionMode,
        policy: facts.permissionPolicy,
        timeoutMs: facts.permissionTimeoutMs,
      },
      desk: this.desk,
      repeatsMax: this.parts.config.turnRepeatsMax,
      outbox,
      openMessages,
      live,
      log: this.log,
    });
  }
}

function withoutCredentials({ credentials: _models, gitCredential: _git, ...facts }: Runtime) {
  return facts;
}

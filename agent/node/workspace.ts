/**
 * One workspace on the node, from its start to its last trace. Its row on the disk says what to do next; after a crash
 * the same row leads to the same action, and a prompt that was running is never sent again. One action at a time; a
 * stop interrupts it. The actions themselves are in `workspace_begin.ts`, `workspace_turns.ts`, `workspace_end.ts`.
 */
import { backoffMs, wait } from "../../lib/backoff.ts";
import { messageOf } from "../../lib/errors.ts";
import { permissionRequest } from "../../lib/wire/permission.ts";
import { requestPermission } from "../../lib/wire/permission_calls.ts";
import { turnAnswer, turnReport } from "../../lib/wire/workspace.ts";
import type { Report } from "../store/reports.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import { type Action, afterAnswer, isLeaving, isRepeatable, isWorking, nextAction } from "./phase.ts";
import type { CodingAgent } from "./coding_agent.ts";
import type { Answer } from "./permission_desk.ts";
import { beginWorkspace } from "./workspace_begin.ts";
import { failWorkspace, finalizeWork, forgetWorkspace, keepWorkspace, removeWorkspace } from "./workspace_end.ts";
import type { WorkspaceParts } from "./workspace_parts.ts";
import { WorkspaceState } from "./workspace_state.ts";
import { type SteeredPrompt, steerPrompt } from "./workspace_steering.ts";
import { runPrompt, tellInterrupted } from "./workspace_turns.ts";

const RETRY = { initialMs: 500, maxMs: 30_000 };

export class Workspace implements AsyncDisposable {
  readonly id: string;
  /** By the clock that nobody sets. */
  readonly #madeAt = performance.now();
  readonly #state: WorkspaceState;
  readonly #disposed = new AbortController();
  readonly #onGone: () => void;
  #interrupt = new AbortController();
  #isAgentDue = false;
  #loop: Promise<void> | null = null;
  #again = false;

  constructor(row: Omit<WorkspaceRow, "updatedAt">, parts: WorkspaceParts, onGone: () => void) {
    this.id = row.workspaceId;
    this.#state = new WorkspaceState(row, parts);
    this.#onGone = onGone;
  }

  /** How long it has been here, in this life of the program. */
  get ageMs(): number {
    return performance.now() - this.#madeAt;
  }

  /** The mirror that the checkout borrows from. */
  get repositoryUrl(): string | null {
    return this.#state.repositoryUrl;
  }

  get snapshot(): { id: string; status: string; turn: string } {
    return this.#state.snapshot;
  }

  /** Its coding agent, for whoever watches over all of them. */
  get agent(): CodingAgent {
    return this.#state.agent;
  }

  /** Ends the coding agent when no turn runs; the next prompt starts one that goes on with the conversation. */
  relieve(): void {
    this.#isAgentDue = true;
    this.kick();
  }

  /** After a restart of this program: closes what was left open and carries on. */
  async recover(): Promise<void> {
    const { recorder, log, phase } = this.#state;
    const closed = await recorder?.closeLeftOpen() ?? 0;
    log.info("workspace.recovered", { phase, closed });
    this.kick();
  }

  /** Does what the row says, in the background, until nothing is to be done. */
  kick(): void {
    this.#again = true;
    this.#loop ??= this.#run().finally(() => {
      this.#loop = null;
      // What came after the last look and before this line.
      if (this.#again && !this.#disposed.signal.aborted) this.kick();
    });
  }

  /** The edge waits in vain for a sign of the present step: what hangs is ended and done again, where that is safe. */
  async beginAnew(): Promise<void> {
    const began = await this.#state.change((row) => {
      if (isRepeatable(row)) this.#interrupt.abort();
      // The prompt is not marked as running after this, and so is not lost: the step sees that it was interrupted.
      return isRepeatable(row) ? {} : null;
    });
    if (!began) return;
    this.#state.log.warn("workspace.begun_anew", { phase: this.#state.phase });
    await this.#state.agent.end();
    this.kick();
  }

  async stop(options: { keep: boolean }): Promise<void> {
    const phase = options.keep ? "keeping" : "removing";
    const changed = await this.#state.change((row) => isLeaving(row.phase) ? null : { phase });
    if (changed) this.#interrupt.abort();
    this.kick();
  }

  async sendPrompt(prompt: { messageId: string; text: string }): Promise<void> {
    const changed = await this.#state.change((row) => {
      const isFree = isWorking(row.phase) && row.promptState !== "running" && row.promptId !== prompt.messageId;
      return isFree ? { promptId: prompt.messageId, promptText: prompt.text, promptState: "handed" } : null;
    });
    if (!changed) this.#state.log.warn("workspace.prompt_ignored", { promptId: prompt.messageId });
    this.kick();
  }

  async cancelPrompt(messageId: string): Promise<void> {
    const row = await this.#state.read();
    if (row?.promptId !== messageId) return;
    this.#state.cancelled = messageId;
    if (row.promptState === "running") this.#state.agent.cancel();
  }

  async steerPrompt(prompt: SteeredPrompt): Promise<void> {
    await steerPrompt(this.#state, prompt);
  }

  /** What became of a permission request. */
  answerPermission(requestId: string, answer: Answer): void {
    this.#state.desk.respond(requestId, answer);
  }

  /** The coding agent is told to stop; a turn under way fails with this sentence. */
  stopTurn(reason: string): void {
    this.#state.agent.stopFor(reason);
  }

  refreshLive(): void {
    this.#state.recorder?.refresh();
  }

  /** Takes what the edge decided after a turn. Only the turn that it speaks of is affected. */
  async onReportAnswer(report: Report, answer: { status: number; body: unknown }): Promise<void> {
    if (report.kind === "permission") return this.#takePermissionAnswer(report, answer);
    if (report.kind !== "turn") return;
    const told = turnReport.parse(report.body);
    const read = turnAnswer.safeParse(answer.body);
    // A refusal means that the edge does not know this work any more: it ends here.
    const decided = answer.status < 300 && read.success ? read.data : { stop: true as const };
    if (!read.success) this.#state.log.warn("workspace.turn_refused", { status: answer.status });
    const changed = await this.#state.change((row) => afterAnswer(row, told, decided));
    if (changed && "stop" in decided) this.#interrupt.abort();
    this.kick();
  }

  /** Ends the processes; what was not finished is carried on by the next start of this program. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    this.#interrupt.abort();
    await this.#loop;
    await this.#state[Symbol.asyncDispose]();
  }

  /** A request that the edge refuses, or that was over before it came there, waits for nothing. */
  #takePermissionAnswer(report: Report, answer: { status: number; body: unknown }): void {
    const { requestId } = requestPermission.parse(report.body);
    const stored = permissionRequest.safeParse(answer.body);
    if (answer.status >= 300 || !stored.success) {
      this.#state.log.warn("workspace.permission_refused", { status: answer.status });
      return this.answerPermission(requestId, { outcome: "refused", optionId: null, by: null });
    }
    const { status, answer: optionId, answeredBy: by } = stored.data;
    if (status !== "pending") this.answerPermission(requestId, { outcome: status, optionId, by });
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#again && !this.#disposed.signal.aborted;) {
      this.#again = false;
      // Before the row is read, so that a stop after the look interrupts what follows from it.
      this.#interrupt = new AbortController();
      const row = await this.#state.read();
      if (this.#isAgentDue) await this.#state.agent.end();
      this.#isAgentDue = false;
      const action = row && nextAction(row);
      if (!row || !action) continue;
      try {
        await this.#act(action, row);
        attempt = 0;
        if (action !== "quiet") this.#again = true;
      } catch (error) {
        this.#again = true;
        if (this.#disposed.signal.aborted || this.#interrupt.signal.aborted) continue;
        this.#state.log.error("workspace.action_failed", { action, error });
        if (!await this.#fail(row, action, messageOf(error))) {
          await wait(backoffMs(attempt++, RETRY, Math.random()), this.#disposed.signal);
        }
      }
    }
  }

  /** False when it could not be told, for want of room on the disk: then the action is done again. */
  async #fail(row: WorkspaceRow, action: NonNullable<Action>, message: string): Promise<boolean> {
    try {
      return await failWorkspace(this.#state, { row, action, message });
    } catch (error) {
      this.#state.log.error("workspace.failure_not_told", { error });
      return false;
    }
  }

  async #act(action: NonNullable<Action>, row: WorkspaceRow): Promise<void> {
    const look = { row, signal: this.#interrupt.signal };
    switch (action) {
      case "begin":
        return await beginWorkspace(this.#state, look);
      case "prompt":
        return await runPrompt(this.#state, look);
      case "interrupted":
        return await tellInterrupted(this.#state, look);
      case "finalize":
        return await finalizeWork(this.#state, look);
      case "quiet":
        return await this.#state.agent.end();
      case "keep":
        return await keepWorkspace(this.#state);
      case "remove":
        return await removeWorkspace(this.#state);
      case "forget":
        await forgetWorkspace(this.#state, this.#disposed.signal);
        return this.#onGone();
    }
  }
}

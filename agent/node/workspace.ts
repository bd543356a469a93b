/**
 * One workspace on the node, from its start to its last trace. Its row on the disk says what to do next; after a crash
 * the same row leads to the same action, and a prompt that was running is never sent again. One action at a time; a
 * stop interrupts it.
 */
import { backoffMs, wait } from "../../lib/backoff.ts";
import { cutText } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { SUMMARY_MAX } from "../../lib/wire/limits.ts";
import type { TaskCallback } from "../../lib/wire/task.ts";
import { type Runtime, turnAnswer, turnReport } from "../../lib/wire/workspace.ts";
import type { Report } from "../store/reports.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import { CodingAgent } from "./coding_agent.ts";
import { requireSpace } from "./disk.ts";
import { type Action, afterAnswer, type Change, describe, isLeaving, isWorking, nextAction } from "./phase.ts";
import { pushWork } from "./push_work.ts";
import { readRuntime } from "./read_runtime.ts";
import { withRecap } from "../coding/recap.ts";
import { Recorder } from "./recorder.ts";
import { sentence, Tell } from "./tell.ts";
import { runTurn } from "./turns.ts";
import { checkoutOf, folderOf, type WorkspaceParts } from "./workspace_parts.ts";

const RETRY = { initialMs: 500, maxMs: 30_000 };
/** Within the time that the edge gives a run to end, so that the task ends even if messages are stuck. */
const DELIVERY_MAX_MS = 8 * 60_000;

export class Workspace implements AsyncDisposable {
  readonly id: string;
  readonly createdAtMs = Date.now();
  readonly #parts: WorkspaceParts;
  readonly #log: Logger;
  readonly #tell: Tell;
  readonly #agent: CodingAgent;
  readonly #disposed = new AbortController();
  readonly #onGone: () => void;
  #interrupt = new AbortController();
  #changing: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> | null = null;
  #again = false;
  #runtime: Runtime | null = null;
  #recorder: Recorder | null = null;
  /** A prompt that was cancelled before it ran. */
  #cancelled: string | null = null;
  #shown: Pick<WorkspaceRow, "phase" | "promptState">;
  #repositoryUrl: string | null;

  constructor(row: Omit<WorkspaceRow, "updatedAt">, parts: WorkspaceParts, onGone: () => void) {
    this.id = row.workspaceId;
    this.#parts = parts;
    this.#onGone = onGone;
    this.#log = parts.log.with({ workspaceId: row.workspaceId });
    this.#tell = new Tell(parts.reports, row.workspaceId);
    this.#agent = new CodingAgent(parts, row.workspaceId);
    this.#shown = row;
    this.#repositoryUrl = row.facts?.repositoryUrl ?? null;
    if (row.facts) this.#recorder = this.#makeRecorder(row.facts);
  }

  /** The mirror that the checkout borrows from. */
  get repositoryUrl(): string | null {
    return this.#shown.phase === "stopped" ? null : this.#repositoryUrl;
  }

  get snapshot(): { id: string; status: string; turn: string } {
    return { id: this.id, ...describe(this.#shown) };
  }

  /** After a restart of this program: closes what was left open and carries on. */
  async recover(): Promise<void> {
    const closed = await this.#recorder?.closeLeftOpen() ?? 0;
    this.#log.info("workspace.recovered", { phase: this.#shown.phase, closed });
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

  async stop(options: { keep: boolean }): Promise<void> {
    const phase = options.keep ? "keeping" : "removing";
    const changed = await this.#change((row) => isLeaving(row.phase) ? null : { phase });
    if (changed) this.#interrupt.abort();
    this.kick();
  }

  async sendPrompt(prompt: { messageId: string; text: string }): Promise<void> {
    const changed = await this.#change((row) => {
      const isFree = isWorking(row.phase) && row.promptState !== "running" && row.promptId !== prompt.messageId;
      return isFree ? { promptId: prompt.messageId, promptText: prompt.text, promptState: "handed" } : null;
    });
    if (!changed) this.#log.warn("workspace.prompt_ignored", { promptId: prompt.messageId });
    this.kick();
  }

  async cancelPrompt(messageId: string): Promise<void> {
    const row = await this.#parts.rows.get(this.id);
    if (row?.promptId !== messageId) return;
    this.#cancelled = messageId;
    if (row.promptState === "running") this.#agent.cancel();
  }

  refreshLive(): void {
    this.#recorder?.refresh();
  }

  /** Takes what the edge decided after a turn. Only the turn that it speaks of is affected. */
  async onReportAnswer(report: Report, answer: { status: number; body: unknown }): Promise<void> {
    if (report.kind !== "turn") return;
    const told = turnReport.parse(report.body);
    const read = turnAnswer.safeParse(answer.body);
    // A refusal means that the edge does not know this work any more: it ends here.
    const decided = answer.status < 300 && read.success ? read.data : { stop: true as const };
    if (!read.success) this.#log.warn("workspace.turn_refused", { status: answer.status });
    const changed = await this.#change((row) => afterAnswer(row, told, decided));
    if (changed && "stop" in decided) this.#interrupt.abort();
    this.kick();
  }

  /** Ends the processes; what was not finished is carried on by the next start of this program. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    this.#interrupt.abort();
    await this.#loop;
    await this.#agent[Symbol.asyncDispose]();
    await this.#recorder?.[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#again && !this.#disposed.signal.aborted;) {
      this.#again = false;
      // Before the row is read, so that a stop after the look interrupts what follows from it.
      this.#interrupt = new AbortController();
      const row = await this.#parts.rows.get(this.id);
      const action = row && nextAction(row);
      if (!row || !action) continue;
      try {
        await this.#act(action, row);
        attempt = 0;
        if (action !== "quiet") this.#again = true;
      } catch (error) {
        this.#again = true;
        if (this.#disposed.signal.aborted || this.#interrupt.signal.aborted) continue;
        this.#log.error("workspace.action_failed", { action, error });
        if (!await this.#fail(row, action, messageOf(error))) {
          await wait(backoffMs(attempt++, RETRY, Math.random()), this.#disposed.signal);
        }
      }
    }
  }

  async #act(action: NonNullable<Action>, row: WorkspaceRow): Promise<void> {
    switch (action) {
      case "begin":
        return await this.#begin(row);
      case "prompt":
        return await this.#prompt(row);
      case "interrupted":
        return await this.#tellInterrupted(row);
      case "finalize":
        return await this.#finalize(row);
      case "quiet":
        return await this.#agent.end();
      case "keep":
        return await this.#keep();
      case "remove":
        return await this.#remove();
      case "forget":
        return await this.#forget();
    }
  }

  async #begin(row: WorkspaceRow): Promise<void> {
    const needed = await this.#need();
    if (!needed) return;
    const { runtime, recorder } = needed;
    const checkout = row.branch === null ? await this.#checkOut(runtime) : null;
    if (checkout) {
      await this.#tell.status({ status: "ready", branch: checkout.branch, executionStep: "starting_agent" });
    }
    const { session } = await this.#agent.open(runtime, { resume: row.acpSessionId, recorder });
    await this.#change((now) => {
      if (now.phase !== "starting") return null;
      const isFirst = now.promptState === "none" && runtime.prompt !== null;
      const first = { promptId: runtime.prompt?.messageId, promptText: runtime.prompt?.text };
      const handed = isFirst ? { ...first, promptState: "handed" as const } : {};
      return { phase: "ready", acpSessionId: session.sessionId, ...handed };
    });
  }

  async #checkOut(runtime: Runtime): Promise<{ branch: string }> {
    const { mirrors, db } = this.#parts;
    await requireSpace(db.dataDir, this.#parts.evictMirrors);
    const path = checkoutOf(db, this.id);
    await Deno.remove(path, { recursive: true }).catch(ignoreMissing);
    await Deno.mkdir(folderOf(db, this.id), { recursive: true, mode: 0o700 });
    const { repositoryUrl, baseBranch, branch, outputCommit } = runtime;
    const wanted = { repositoryUrl, baseBranch, branch, outputCommit, path, signal: this.#interrupt.signal };
    const checkout = await mirrors.checkOut(wanted);
    await this.#change((now) => now.facts && { branch: checkout.branch, facts: { ...now.facts, base: checkout.base } });
    return checkout;
  }

  async #prompt(row: WorkspaceRow): Promise<void> {
    const needed = await this.#need();
    if (!needed || row.promptId === null || row.promptText === null) return;
    const { runtime, recorder } = needed;
    const prompt = { messageId: row.promptId, text: row.promptText };
    const { session, resumed } = await this.#agent.open(runtime, { resume: row.acpSessionId, recorder });
    // The first prompt of a run is in the store already, the edge's own ones are not shown as the person's.
    const isTheirs = prompt.messageId !== runtime.prompt?.messageId && prompt.messageId !== row.facts?.ownPromptId;
    if (isTheirs) await recorder.addPrompt(prompt);
    const startedAtMs = typeof row.facts?.startedAtMs === "number" ? row.facts.startedAtMs : Date.now();
    await this.#change((now) => {
      if (now.phase !== "ready") return null;
      const facts = now.facts && { ...now.facts, startedAtMs };
      return { promptState: "running", acpSessionId: session.sessionId, facts };
    });
    const signal = this.#interrupt.signal;
    if (signal.aborted) return;
    if (this.#cancelled === prompt.messageId) {
      return await this.#endTurn({ promptId: prompt.messageId, event: "ended", stopReason: "cancelled" });
    }
    const report = await runTurn({
      session,
      recorder,
      prompt: row.acpSessionId === null || resumed ? prompt : withRecap(prompt, row.facts),
      limits: runtime.limits,
      startedAtMs,
      onAccepted: () => this.#tell.turn({ promptId: prompt.messageId, event: "accepted" }),
      signal,
    });
    if (!session.isAlive) await this.#agent.end();
    if (signal.aborted) return;
    await this.#endTurn(report);
  }

  /** The report is durable before the row says that the turn ended: a crash between repeats it, under the same id. */
  async #endTurn(report: Parameters<Tell["turn"]>[0]): Promise<void> {
    const summary = this.#recorder?.lastAnswer;
    await this.#change((now) => {
      if (!now.facts) return null;
      const used = { costUsd: report.costUsd ?? now.facts.costUsd, tokens: report.tokens ?? now.facts.tokens };
      const said = summary ? cutText(summary.trim(), SUMMARY_MAX) : now.facts.summary;
      return { facts: { ...now.facts, ...used, summary: said } };
    });
    await this.#tell.turn(report);
    await this.#change((now) =>
      now.promptId === report.promptId && now.promptState === "running" ? { promptState: "ended" } : null
    );
  }

  /** A prompt that a crash cut is never sent again; the edge decides whether the conversation goes on. */
  async #tellInterrupted(row: WorkspaceRow): Promise<void> {
    const needed = await this.#need();
    if (!needed || row.promptId === null) return;
    const { runtime, recorder } = needed;
    let resumable = false;
    try {
      const opened = await this.#agent.open(runtime, { resume: row.acpSessionId, recorder });
      resumable = row.acpSessionId !== null && opened.resumed;
    } catch (error) {
      this.#log.warn("workspace.not_resumable", { reason: messageOf(error) });
    }
    await this.#change((now) => ({ resumes: now.resumes + 1 }));
    await this.#endTurn({ promptId: row.promptId, event: "ended", interrupted: true, resumable });
  }

  async #finalize(row: WorkspaceRow): Promise<void> {
    const needed = await this.#need();
    if (!needed) return;
    const { facts } = row;
    if (!facts?.taskId || !facts.projectId) return void await this.#change(() => ({ phase: "finished" }));
    await this.#tell.status({ executionStep: "finalizing" });
    const pushed = await pushWork(this.#parts, row, this.#interrupt.signal);
    await needed.recorder.endTurn({ interrupted: true });
    await this.#delivered();
    this.#interrupt.signal.throwIfAborted();
    const body: TaskCallback = { toStatus: "completed", ...pushed };
    if (typeof facts.summary === "string" && facts.summary !== "") body.outputSummary = facts.summary;
    if (typeof facts.costUsd === "number") body.costUsd = facts.costUsd;
    await this.#tell.end({ projectId: facts.projectId, taskId: facts.taskId }, body);
    await this.#change((now) => now.phase === "finalizing" ? { phase: "finished" } : null);
  }

  /** Waits until every message is with the edge, but not for ever. */
  async #delivered(): Promise<void> {
    const late = AbortSignal.timeout(DELIVERY_MAX_MS);
    const signal = AbortSignal.any([late, this.#interrupt.signal]);
    await this.#parts.outbox.whenEmpty(this.id, signal).catch((error) => {
      if (!late.aborted) throw error;
      this.#log.warn("workspace.messages_late");
    });
  }

  async #keep(): Promise<void> {
    await this.#quieten();
    await this.#tell.status({ status: "ready" });
    await this.#change((row) => row.phase === "keeping" ? { phase: "kept" } : null);
  }

  async #remove(): Promise<void> {
    await this.#quieten();
    await Deno.remove(folderOf(this.#parts.db, this.id), { recursive: true }).catch(ignoreMissing);
    await this.#tell.status({ status: "stopped" });
    await this.#change(() => ({ phase: "stopped", promptState: "none", promptText: null }));
    await this.#parts.evictMirrors();
  }

  /** Ends the processes; what was still open of the conversation is closed as it stands. */
  async #quieten(): Promise<void> {
    await this.#agent.end();
    await this.#recorder?.endTurn({ interrupted: true });
  }

  /** The row goes when the edge has everything: until then a restart must know the workspace. */
  async #forget(): Promise<void> {
    const { outbox, reports, rows } = this.#parts;
    await outbox.whenEmpty(this.id, this.#disposed.signal);
    await reports.whenEmpty(this.id, this.#disposed.signal);
    await rows.remove(this.id);
    await this.#recorder?.[Symbol.asyncDispose]();
    this.#onGone();
  }

  /** Tells the edge that the run failed. False where there is nothing that could fail, only be tried again. */
  async #fail(row: WorkspaceRow, action: NonNullable<Action>, message: string): Promise<boolean> {
    if (!["begin", "prompt", "interrupted", "finalize"].includes(action)) return false;
    const facts = (await this.#parts.rows.get(this.id))?.facts;
    if (!facts) return false;
    await this.#agent.end();
    await this.#recorder?.endTurn({ interrupted: true });
    const errorMessage = sentence(message);
    if (facts.taskId && facts.projectId) {
      await this.#tell.end({ projectId: facts.projectId, taskId: facts.taskId }, { toStatus: "failed", errorMessage });
    } else await this.#tell.status({ status: "error", reason: errorMessage });
    await this.#change((now) => now.phase === row.phase ? { phase: "finished", promptState: "none" } : null);
    return true;
  }

  /** What the edge wants and where messages go. Null when the edge wants something else: then the row says so. */
  async #need(): Promise<{ runtime: Runtime; recorder: Recorder } | null> {
    const runtime = this.#runtime ??= await readRuntime(this.#parts, this.id, this.#interrupt.signal);
    if (runtime === null || runtime.wanted !== "run") {
      await this.#change((row) =>
        isLeaving(row.phase) ? null : { phase: runtime?.wanted === "keep" ? "keeping" : "removing" }
      );
      return null;
    }
    await this.#change((row) => row.facts ? null : { facts: withoutCredentials(runtime) });
    this.#repositoryUrl = runtime.repositoryUrl;
    this.#recorder ??= this.#makeRecorder(runtime);
    return { runtime, recorder: this.#recorder };
  }

  #makeRecorder(facts: Pick<Runtime, "projectId" | "chatSessionId" | "permissionMode">): Recorder {
    const { outbox, openMessages, live, db } = this.#parts;
    return new Recorder({
      workspaceId: this.id,
      projectId: facts.projectId,
      sessionId: facts.chatSessionId,
      cwd: checkoutOf(db, this.id),
      permissionMode: facts.permissionMode,
      outbox,
      openMessages,
      live,
      log: this.#log,
    });
  }

  /** Reads, decides and writes the row with nobody between. False when nothing was to be changed. */
  #change(decide: (row: WorkspaceRow) => Change | null): Promise<boolean> {
    const result = this.#changing.then(async () => {
      const row = await this.#parts.rows.get(this.id);
      const change = row && decide(row);
      if (!change) return false;
      this.#shown = { ...row, ...change };
      return await this.#parts.rows.patch(this.id, change);
    });
    this.#changing = result.catch(() => {});
    return result;
  }
}

function withoutCredentials({ credentials: _, ...facts }: Runtime) {
  return facts;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/**
 * An agent on a simulated machine. What it keeps on its disk survives its death, what it reports is repeated until it is
 * answered, and what comes next is decided by the real agent's own pure functions.
 */
import { afterAnswer, isLeaving, isWorking, nextAction, type Phase } from "../../agent/node/phase.ts";
import type { WorkspaceRow } from "../../agent/store/workspaces.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { HeartbeatAnswer } from "../../lib/wire/node.ts";
import type { Runtime, TurnAnswer, TurnReport } from "../../lib/wire/workspace.ts";
import {
  ackCommands,
  type Bootstrap,
  type Command,
  enrolAgain,
  fetchRuntime,
  heartbeat,
  type Identity,
  pullCommands,
  register,
  type Report,
  sendMessages,
  sendReport,
} from "./agent_calls.ts";
import type { Outcome } from "./fibers.ts";
import type { World } from "./world.ts";

/** A workspace this young may be missing in a list of wanted ones that was made before it. */
const YOUNG_MS = 60_000;
const BEAT_MS = 30_000;
/** How often one batch comes at once: with few, no two meet between two reads of the store in most seeds. */
const BATCH_COPIES_MAX = 12;

/** A workspace as it lies on the machine's disk. */
interface Row {
  row: WorkspaceRow;
  createdAt: number;
  runtime: Pick<Runtime, "taskId" | "projectId" | "chatSessionId" | "prompt"> | null;
  reports: Report[];
  /** A batch that is not yet acknowledged. */
  batch: string[];
  cancelled: string | null;
  /** The prompt that runs in this life of the agent: one found as running without it was cut. */
  running: string | null;
}

export class SimAgent {
  readonly from: Bootstrap;
  readonly isOwn: boolean;
  /** Whether the machine lives; a dead one never comes back. */
  isUp = true;
  identity: Identity | null = null;
  rows = new Map<string, Row>();
  lastBeatAt = -Infinity;
  #lastSeq = 0;
  #ackedSeq = 0;
  #behind = false;
  #fenced = false;
  #refused = false;
  #life = 0;
  readonly #busy = new Set<string>();
  readonly #world: World;

  constructor(world: World, from: Bootstrap, isOwn: boolean) {
    this.#world = world;
    this.from = from;
    this.isOwn = isOwn;
  }

  get nodeId(): string {
    return this.from.nodeId;
  }

  /** What it could do now. */
  options(): (() => void)[] {
    if (!this.isUp) return [];
    if (!this.identity) return this.#refused ? [] : this.#free("register", () => this.#register());
    const beats = this.#world.now - this.lastBeatAt >= BEAT_MS ? this.#free("beat", () => this.beat()) : [];
    if (this.#fenced) return [...this.#endings(), ...beats];
    return [
      ...beats,
      ...(this.#behind || this.#world.hasCommands(this.nodeId, this.#lastSeq)
        ? this.#free("pull", () => this.#pull())
        : []),
      ...(this.#ackedSeq < this.#lastSeq ? this.#free("ack", () => this.#ack()) : []),
      ...this.#endings(),
    ];
  }

  /** Its process dies and comes back: what was only in memory is gone. */
  restart(): void {
    this.#life++;
    this.#busy.clear();
    for (const row of this.rows.values()) {
      Object.assign(row, { runtime: row.row.facts ? row.runtime : null, running: null });
    }
  }

  beat(): void {
    const workspaces = [...this.rows.values()].map(({ row, batch }) => ({
      id: row.workspaceId,
      status: "running",
      turn: "idle",
      pendingRows: batch.length,
    }));
    const outboxDepth = workspaces.reduce((sum, each) => sum + each.pendingRows, 0);
    const clock = new Date(this.#world.now).toISOString();
    const lines = { outboxDepth, deadLetters: 0, dropped: 0, heldLines: 0 };
    const body = { load: this.#world.random.next() * 2.2, workspaces, ...lines, clock };
    const from = { nodeId: this.nodeId, generation: this.identity!.generation };
    this.#call("beat", (edge) => heartbeat(edge, from, body), (answer) => {
      this.lastBeatAt = this.#world.now;
      this.#takeBeat(answer, workspaces.map(({ id }) => id));
    });
  }

  /** A workspace's files are lost, and with them everything that the agent knew of it. */
  loseWorkspace(id: string): void {
    this.rows.delete(id);
  }

  #endings(): (() => void)[] {
    return [...this.rows.values()].flatMap((row) => this.#optionsOf(row));
  }

  #optionsOf(row: Row): (() => void)[] {
    const id = row.row.workspaceId;
    const options: (() => void)[] = [];
    if (row.reports.length > 0) options.push(...this.#free(`report ${id}`, () => this.#report(row)));
    if (row.batch.length > 0 && row.runtime?.chatSessionId) {
      options.push(...this.#free(`batch ${id}`, () => this.#deliver(row)));
    }
    const act = this.#actOf(row);
    return act ? [...options, ...this.#free(`act ${id}`, act)] : options;
  }

  /** Something to do by itself, or nothing until the edge says more. */
  #actOf(each: Row): (() => void) | null {
    const { row } = each;
    if (row.promptState === "running" && row.phase === "ready" && each.running === row.promptId) {
      return () => this.#endTurn(each);
    }
    switch (nextAction(row)) {
      case "begin":
        return () => this.#need(each, () => this.#begin(each));
      case "prompt":
        return () => this.#need(each, () => this.#startTurn(each));
      case "interrupted":
        return () => this.#need(each, () => this.#tellInterrupted(each));
      case "finalize":
        return () => this.#need(each, () => this.#finalize(each));
      case "keep":
        return () => this.#leave(each, "kept");
      case "remove":
        return () => this.#leave(each, "stopped");
      case "forget":
        return each.reports.length + each.batch.length === 0 ? () => this.#forget(row.workspaceId) : null;
      default:
        return null;
    }
  }

  #free(lane: string, act: () => void): (() => void)[] {
    return this.#busy.has(lane) ? [] : [act];
  }

  /** A call to the edge in a lane of its own; its answer means nothing to a later life of the agent. */
  #call<T>(
    lane: string,
    work: (edge: Edge) => Promise<T>,
    onAnswer: (value: T) => void,
    onError: (error: unknown) => void = () => {},
  ): void {
    const life = this.#life;
    this.#busy.add(lane);
    const name = `${this.#world.names.of("node", this.nodeId)} ${this.#world.names.shorten(lane)}`;
    const take = (outcome: Outcome<T>) => {
      if (life !== this.#life || !this.isUp) return;
      this.#busy.delete(lane);
      if (outcome.kind === "ok") onAnswer(outcome.value);
      if (outcome.kind === "error") onError(outcome.error);
    };
    this.#world.call(name, work, take);
  }

  #register(): void {
    this.#call("register", (edge) => register(edge, this.from), (identity) => this.identity = identity, (error) => {
      this.#refused = error instanceof AppError && error.code !== "store_busy";
    });
  }

  #takeBeat({ wanted, fenced, commandSeq }: HeartbeatAnswer, told: string[]): void {
    this.#fenced = fenced ?? false;
    this.#behind = commandSeq > this.#lastSeq;
    for (const { row, createdAt } of this.rows.values()) {
      const isYoung = this.#world.now - createdAt < YOUNG_MS || !told.includes(row.workspaceId);
      if (!wanted.includes(row.workspaceId) && !isYoung && !isLeaving(row.phase)) row.phase = "removing";
    }
    if (this.#fenced && this.isOwn && this.rows.size === 0) this.#enrolAgain();
  }

  #enrolAgain(): void {
    const { nodeSecret } = this.identity!;
    this.#call("enrol", (edge) => enrolAgain(edge, this.nodeId, nodeSecret), (identity) => {
      this.identity = identity;
      this.#fenced = false;
    });
  }

  #pull(): void {
    const from = { nodeId: this.nodeId, generation: this.identity!.generation };
    this.#call("pull", (edge) => pullCommands(edge, from, this.#lastSeq), (commands) => {
      this.#behind = false;
      for (const command of commands) if (command.seq > this.#lastSeq) this.#apply(command);
      this.#lastSeq = Math.max(this.#lastSeq, commands.at(-1)?.seq ?? 0);
    });
  }

  #ack(): void {
    const seq = this.#lastSeq;
    this.#call("ack", (edge) => ackCommands(edge, this.nodeId, seq), () => this.#ackedSeq = seq);
  }

  #apply(command: Command): void {
    if (command.kind === "node.drain") return;
    const known = this.rows.get(command.workspaceId);
    // What is begun anew hangs nowhere here; a workspace that was lost does not come back by it.
    if (command.kind === "workspace.start" && !known && !command.again) this.#add(command.workspaceId, "starting");
    if (command.kind === "workspace.stop") {
      if (known && !isLeaving(known.row.phase)) known.row.phase = command.keep ? "keeping" : "removing";
      // Forgotten already, or never come to us: what the edge waits for is the confirmation.
      if (!known && !command.keep) this.#add(command.workspaceId, "removing");
    }
    if (command.kind === "prompt.send" && known && command.text) {
      const { row } = known;
      const isFree = isWorking(row.phase) && row.promptState !== "running" && row.promptId !== command.messageId;
      if (isFree) Object.assign(row, { promptId: command.messageId, promptText: command.text, promptState: "handed" });
    }
    if (command.kind === "prompt.cancel" && known?.row.promptId === command.messageId) {
      known.cancelled = command.messageId;
    }
  }

  #add(workspaceId: string, phase: Phase): void {
    const row: WorkspaceRow = {
      workspaceId,
      run: null,
      facts: null,
      phase,
      acpSessionId: null,
      branch: null,
      promptId: null,
      promptState: "none",
      promptText: null,
      resumes: 0,
      updatedAt: "",
    };
    const rest = { runtime: null, reports: [], batch: [], cancelled: null, running: null };
    this.rows.set(workspaceId, { row, createdAt: this.#world.now, ...rest });
  }

  /** What the edge wants is asked once in each life, and after that the work goes on. */
  #need(each: Row, next: () => void): void {
    if (each.runtime) return next();
    const { row } = each;
    this.#call(`act ${row.workspaceId}`, (edge) => fetchRuntime(edge, this.nodeId, row.workspaceId), (runtime) => {
      if (runtime?.wanted === "run") {
        each.runtime = runtime;
        const { credentials: _, ...facts } = runtime;
        row.facts = facts;
      } else if (!isLeaving(row.phase)) row.phase = runtime?.wanted === "keep" ? "keeping" : "removing";
    });
  }

  #begin({ row, reports, runtime }: Row): void {
    if (this.#world.random.chance(0.08)) return this.#fail(row.workspaceId, "The repository is not there.");
    reports.push({ kind: "status", body: { status: "ready", branch: "task/x", executionStep: "starting_agent" } });
    const first = runtime!.prompt;
    row.phase = "ready";
    if (row.promptState !== "none" || !first) return;
    Object.assign(row, { promptId: first.messageId, promptText: first.text, promptState: "handed" });
  }

  #startTurn(each: Row): void {
    const { row } = each;
    const promptId = row.promptId!;
    if (each.cancelled === promptId) return this.#tellEnd(each, { promptId, event: "ended", stopReason: "cancelled" });
    row.promptState = "running";
    each.running = promptId;
    this.#world.noteRun(promptId, row.workspaceId);
    each.reports.push({ kind: "turn", body: { promptId, event: "accepted" } });
    if (this.#world.random.chance(0.8)) each.batch.push(newId());
  }

  #endTurn(each: Row): void {
    const promptId = each.row.promptId!;
    const { random } = this.#world;
    const stopReason = each.cancelled === promptId ? "cancelled" : random.chance(0.1) ? "refusal" : "end_turn";
    if (random.chance(0.3)) each.batch.push(newId());
    if (random.chance(0.05)) return this.#tellEnd(each, { promptId, event: "ended", error: "It crashed." });
    this.#tellEnd(each, { promptId, event: "ended", stopReason, costUsd: 0.1 });
  }

  #tellEnd(each: Row, body: TurnReport): void {
    each.reports.push({ kind: "turn", body });
    each.row.promptState = "ended";
    each.running = null;
  }

  #tellInterrupted(each: Row): void {
    each.row.resumes++;
    const resumable = this.#world.random.chance(0.7);
    this.#tellEnd(each, { promptId: each.row.promptId!, event: "ended", interrupted: true, resumable });
  }

  #finalize({ row, reports, runtime }: Row): void {
    const taskId = runtime!.taskId;
    row.phase = "finished";
    if (!taskId) return;
    reports.push({ kind: "status", body: { executionStep: "finalizing" } });
    const warning = this.#world.random.chance(0.25) ? "The push was refused." : undefined;
    reports.push({ kind: "task", taskId, body: { toStatus: "completed", warning, costUsd: 0.2 } });
  }

  #leave({ row, reports }: Row, phase: "kept" | "stopped"): void {
    reports.push({ kind: "status", body: { status: phase === "kept" ? "ready" : "stopped" } });
    row.phase = phase;
    if (phase === "stopped") row.promptState = "none";
  }

  #fail(workspaceId: string, errorMessage: string): void {
    const { row, reports, runtime } = this.rows.get(workspaceId)!;
    const taskId = runtime!.taskId;
    if (taskId) reports.push({ kind: "task", taskId, body: { toStatus: "failed", errorMessage } });
    else reports.push({ kind: "status", body: { status: "error", reason: errorMessage } });
    Object.assign(row, { phase: "finished", promptState: "none" });
  }

  #forget(workspaceId: string): void {
    this.rows.delete(workspaceId);
  }

  #report(each: Row): void {
    const { workspaceId } = each.row;
    const report = each.reports[0]!;
    const send = async (edge: Edge) => {
      const answer = await sendReport(edge, this.nodeId, { workspaceId, report });
      if (report.kind === "turn" && answer) this.#world.noteAnswer(workspaceId, report.body, answer);
      return answer;
    };
    this.#world.maybeRepeat(`late copy of ${report.kind} ${JSON.stringify(report.body)}`, send);
    this.#call(`report ${workspaceId}`, send, (answer) => this.#answered(each, report, answer), (error) => {
      // What is refused for good is answered; what failed is sent again.
      if (!(error instanceof AppError) || error.code === "store_busy") return;
      this.#answered(each, report, { stop: true });
    });
  }

  #answered(each: Row, report: Report, answer: TurnAnswer | null): void {
    if (each.reports[0] === report) each.reports.shift();
    if (report.kind !== "turn" || !answer) return;
    const changed = afterAnswer(each.row, report.body, answer);
    if (!changed) return;
    Object.assign(each.row, changed);
    if ("stop" in answer) each.running = null;
  }

  #deliver(each: Row): void {
    const { workspaceId } = each.row;
    const messageIds = [...each.batch];
    const batch = { workspaceId, sessionId: each.runtime!.chatSessionId!, messageIds };
    const send = (edge: Edge) => sendMessages(edge, this.nodeId, batch);
    for (let copies = 0; copies < BATCH_COPIES_MAX; copies++) this.#world.maybeRepeat("late copy of messages", send);
    const drop = () => void (each.batch = each.batch.filter((id) => !messageIds.includes(id)));
    this.#call(`batch ${workspaceId}`, send, drop, (error) => {
      if (error instanceof AppError && error.code !== "store_busy") drop();
    });
  }
}

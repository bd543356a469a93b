/**
 * One coding agent in one process, driven over ACP. Updates are handed on synchronously and in order, before the end
 * of the turn they belong to. Every call ends when the process does, and a turn that is silent for too long is ended.
 * Disposing it leaves no process behind.
 */
import {
  client,
  type ClientConnection,
  type ContentBlock,
  type McpServerStdio,
  methods,
  ndJsonStream,
  type PermissionOption,
  type RequestPermissionResponse,
} from "@agentclientprotocol/sdk/unstable";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import type { Identity } from "../../lib/processes.ts";
import { type Child, type ProcessUser, spawnChild } from "../process/spawn.ts";
import { explainEnd, explainError, isFailureText } from "./failure.ts";
import { LastLines } from "./last_lines.ts";
import { messageLines } from "./message_lines.ts";
import { RAW_MESSAGE, readRetry } from "./model_retry.ts";
import { type Profile, profileEnvironment } from "./profiles.ts";
import { readUpdate, type SessionUpdate, type ToolCallFields, toolCallFields } from "./updates.ts";
import { offersSteering, readSteered, STEER_METHOD, type Steered, toSteerParams } from "./steering.ts";
import { toTurnEnd, type TurnEnd } from "./turn_answer.ts";
import { type StallLimits, Watchdog } from "./watchdog.ts";

const START_TIMEOUT_MS = 90_000;
/** A coding agent that does not answer a cancellation is ended. */
const CANCEL_TIMEOUT_MS = 10_000;
/** How long the end of a process is waited for after its connection closed, to tell why. */
const STATUS_WAIT_MS = 1_000;
/** A prompt that brought neither update nor error for this long was taken in. */
const ACCEPTED_AFTER_MS = 200;

/** What goes on after a text was not the last word of a turn; anything else may come in between. */
const SAID = new Set(["agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan"]);

export interface AcpLaunch {
  profile: Profile;
  /** The whole environment of the process; the profile's own is added. */
  env: Record<string, string>;
  cwd: string;
  /** `<instanceId>/<session>`: by it stragglers are found. */
  mark: string;
  /** Whom it runs as, where it is not us. */
  user?: ProcessUser;
  limits: StallLimits;
  /** How long each call at the start may take. */
  startTimeoutMs?: number;
  log: Logger;
}

export interface OpenOptions {
  cwd: string;
  /** The conversation to go on with, by the coding agent's own id. */
  resume: string | null;
  events: AcpEvents;
  /** Tool servers that the coding agent starts for itself. */
  mcpServers?: McpServerStdio[];
}

export interface AskedPermission {
  call: ToolCallFields;
  options: PermissionOption[];
  signal: AbortSignal;
}

export interface AcpEvents {
  onUpdate(update: SessionUpdate): void;
  /** The coding agent asks before it acts. `signal` aborts when the answer is not waited for any more. */
  onPermission(asked: AskedPermission): RequestPermissionResponse | Promise<RequestPermissionResponse>;
}

export class AcpSession implements AsyncDisposable {
  /** Aborted when the process or the connection to it is gone. */
  readonly closed: AbortSignal;
  readonly #launch: AcpLaunch;
  readonly #child: Child;
  readonly #connection: ClientConnection;
  readonly #lastLines: LastLines;
  readonly #closing = new AbortController();
  #events: AcpEvents | null = null;
  #sessionId: string | null = null;
  #canResume = false;
  #canLoad = false;
  #canSteer = false;
  #costUsd: number | null = null;
  #watchdog: Watchdog | null = null;
  #onActivity: (() => void) | null = null;
  #stalled: string | null = null;
  #isCancelling = false;
  /** A text that looks like the failure which the turn may end with: shown when something else comes. */
  #heldFailure: SessionUpdate | null = null;
  /** Aborted when the turn is cancelled or has ended: what is asked then is not waited for. */
  #turn: AbortController | null = null;
  #disposing: Promise<void> | null = null;

  private constructor(launch: AcpLaunch, child: Child) {
    this.#launch = launch;
    this.#child = child;
    this.closed = this.#closing.signal;
    this.#lastLines = new LastLines(child.process.stderr, () => this.#watchdog?.touch());
    this.#connection = client({ name: "hearth" })
      .onNotification(methods.client.session.update, (params: unknown) => params, ({ params }) => this.#take(params))
      .onNotification(RAW_MESSAGE, (params: unknown) => params, ({ params }) => this.#takeRaw(params))
      .onNotification("*", () => {})
      .onRequest(methods.client.session.requestPermission, ({ params }) => this.#answerPermission(params))
      .connect(ndJsonStream(child.process.stdin, child.process.stdout.pipeThrough(messageLines())));
    void this.#connection.closed.then(() => this.#closing.abort());
    void child.process.status.then(() => this.#closing.abort());
  }

  /** Starts the process and shakes hands. Throws an Error with a sentence for a person. */
  static async start(launch: AcpLaunch): Promise<AcpSession> {
    const { profile, env, cwd, mark, user } = launch;
    let child: Child;
    try {
      child = await spawnChild(profile.command, {
        args: profile.args,
        cwd,
        env: profileEnvironment(profile, env),
        mark,
        user,
      });
    } catch (error) {
      const why = error instanceof Deno.errors.NotFound ? "its program is not installed" : messageOf(error);
      throw new Error(`${profile.label} could not be started on this node: ${why}.`, { cause: error });
    }
    const session = new AcpSession(launch, child);
    try {
      await session.#initialize();
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The first process of the session, and the mark of all of them. */
  get processes(): { leader: Identity; mark: string } {
    return { leader: this.#child.leader, mark: this.#launch.mark };
  }

  get isAlive(): boolean {
    return !this.closed.aborted;
  }

  get sessionId(): string | null {
    return this.#sessionId;
  }

  /** What the conversation has cost so far, as the coding agent says. */
  get costUsd(): number | null {
    return this.#costUsd;
  }

  /** Whether a later process could go on with this conversation. */
  get isResumable(): boolean {
    return this.#canResume || this.#canLoad;
  }

  /** Whether it takes prompts into a turn that runs. */
  get canSteer(): boolean {
    return this.#canSteer;
  }

  /**
   * Opens the conversation in `cwd`: the one named by `resume` where that is possible, else a new one. One that was
   * opened while this process was kept warm is taken over. Throws an Error with a sentence for a person.
   */
  async open(options: OpenOptions): Promise<{ resumed: boolean }> {
    const { cwd, mcpServers = [] } = options;
    const resumed = options.resume !== null && await this.#reopen(options.resume, { cwd, mcpServers });
    if (!resumed && this.#sessionId === null) {
      const asked = this.#connection.agent.request(methods.agent.session.new, { cwd, mcpServers, ...this.#meta });
      const { sessionId } = await this.#call(asked);
      this.#sessionId = sessionId;
    }
    this.#events = options.events;
    return { resumed };
  }

  /** Runs one turn to its end. Never throws. `onAccepted` is called once, when the coding agent has taken it in. */
  async prompt(text: string, options: { onAccepted: () => void }): Promise<TurnEnd> {
    const sessionId = this.#sessionId;
    if (sessionId === null) return { error: "The coding agent has no session.", costUsd: null };
    let isAccepted = false;
    const accept = () => {
      if (isAccepted) return;
      isAccepted = true;
      options.onAccepted();
    };
    const timer = setTimeout(() => this.isAlive && accept(), ACCEPTED_AFTER_MS);
    this.#onActivity = accept;
    this.#stalled = null;
    this.#isCancelling = false;
    const turn = this.#turn = new AbortController();
    const watchdog = this.#watchdog = new Watchdog(this.#launch.limits, (afterMs) => this.#endStalled(afterMs));
    try {
      const prompt: ContentBlock[] = [{ type: "text", text }];
      const asked = this.#connection.agent.request(methods.agent.session.prompt, { sessionId, prompt });
      const answer = await this.#request(asked);
      await this.#drain();
      this.#releaseFailure();
      accept();
      // One that is told to end may still answer, as if somebody had cancelled its turn.
      if (this.#stalled !== null && !this.#isCancelling) return { error: this.#stalled, costUsd: this.#costUsd };
      const { label } = this.#launch.profile;
      return toTurnEnd(answer, { label, costUsd: this.#costUsd, wasCancelled: this.#isCancelling });
    } catch (error) {
      await this.#drain();
      return { error: this.#stalled ?? await this.#explain(error), costUsd: this.#costUsd };
    } finally {
      clearTimeout(timer);
      watchdog.stop();
      turn.abort();
      this.#watchdog = null;
      this.#onActivity = null;
    }
  }

  /** Sends a prompt into the turn that runs. Never throws; without a turn nothing is sent. */
  async steer(text: string): Promise<Steered> {
    const sessionId = this.#sessionId;
    if (sessionId === null || !this.#canSteer || !this.#watchdog || this.#isCancelling) return "returned";
    const asked = this.#connection.agent.request(STEER_METHOD, toSteerParams(sessionId, text));
    return await readSteered(this.#request(asked), () => this.isAlive);
  }

  /** Asks the coding agent to end its turn; one that does not is ended itself. */
  cancel(): void {
    const sessionId = this.#sessionId;
    const watchdog = this.#watchdog;
    if (sessionId === null || !watchdog || !this.isAlive) return;
    this.#connection.agent.notify(methods.agent.session.cancel, { sessionId }).catch(() => {});
    this.#isCancelling = true;
    this.#turn?.abort();
    watchdog.limitTo(CANCEL_TIMEOUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#end();
    await this.#disposing;
  }

  async #initialize(): Promise<void> {
    const _meta = this.#launch.profile.clientMeta;
    const answer = await this.#call(
      this.#connection.agent.request(methods.agent.initialize, {
        protocolVersion: 1,
        // Only what is implemented is offered: no files, no terminals.
        clientCapabilities: {
          fs: { readTextFile: false, writeTextFile: false },
          terminal: false,
          ..._meta && { _meta },
        },
        clientInfo: { name: "hearth", version: "1" },
      }),
    );
    this.#canLoad = answer.agentCapabilities?.loadSession === true;
    this.#canSteer = offersSteering(answer._meta);
    this.#canResume = Boolean(answer.agentCapabilities?.sessionCapabilities?.resume);
  }

  get #meta(): { _meta?: Record<string, unknown> } {
    const { sessionMeta } = this.#launch.profile;
    return sessionMeta ? { _meta: sessionMeta } : {};
  }

  async #reopen(sessionId: string, place: { cwd: string; mcpServers: McpServerStdio[] }): Promise<boolean> {
    if (!this.isResumable) return false;
    const request = { sessionId, ...place, ...this.#meta };
    try {
      // With no events attached, what `session/load` replays is dropped: our own store has it.
      await this.#call<unknown>(
        this.#canResume
          ? this.#connection.agent.request(methods.agent.session.resume, request)
          : this.#connection.agent.request(methods.agent.session.load, request),
      );
      await this.#drain();
      this.#sessionId = sessionId;
      return true;
    } catch (error) {
      if (!this.isAlive) throw error;
      this.#launch.log.warn("acp.not_resumed", { reason: messageOf(error) });
      return false;
    }
  }

  #take(params: unknown): void {
    this.#watchdog?.touch();
    const read = readUpdate(params);
    if (!read || !this.#events || read.sessionId !== this.#sessionId) return;
    const { update } = read;
    if (update.sessionUpdate === "usage_update") this.#costUsd = update.cost?.amount ?? this.#costUsd;
    if (update.sessionUpdate === "tool_call" || update.sessionUpdate === "tool_call_update") {
      this.#watchdog?.noteTool(update.toolCallId, update.status ?? null);
    }
    this.#onActivity?.();
    if (SAID.has(update.sessionUpdate)) this.#releaseFailure();
    const isFailure = update.sessionUpdate === "agent_message_chunk" && isFailureText(update.content);
    if (isFailure) this.#heldFailure = update;
    else this.#events.onUpdate(update);
  }

  #takeRaw(params: unknown): void {
    this.#watchdog?.touch();
    const retry = readRetry(params);
    if (retry?.sessionId === this.#sessionId) this.#events?.onUpdate(retry.update);
  }

  #releaseFailure(): void {
    const held = this.#heldFailure;
    this.#heldFailure = null;
    if (held) this.#events?.onUpdate(held);
  }

  async #answerPermission(
    params: { toolCall: unknown; options: PermissionOption[] },
  ): Promise<RequestPermissionResponse> {
    this.#watchdog?.touch();
    const call = toolCallFields.safeParse(params.toolCall);
    if (!call.success || !this.#events) return { outcome: { outcome: "cancelled" } };
    this.#onActivity?.();
    const signal = this.#turn ? AbortSignal.any([this.#turn.signal, this.closed]) : this.closed;
    using _hold = this.#watchdog?.hold();
    return await this.#events.onPermission({ call: call.data, options: params.options, signal });
  }

  /** A call at the start: bounded in time, its failure told in a sentence. */
  async #call<T>(request: Promise<T>): Promise<T> {
    const { profile, startTimeoutMs = START_TIMEOUT_MS } = this.#launch;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer for ${startTimeoutMs / 1_000} s`)), startTimeoutMs);
    try {
      return await Promise.race([this.#request(request), late]);
    } catch (error) {
      throw new Error(await this.#explain(error), { cause: profile.id });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Raced with the end of the process: a grandchild may hold the pipe open for ever. */
  async #request<T>(request: Promise<T>): Promise<T> {
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const onClosed = () => reject(new Error("the connection closed"));
    if (!this.isAlive) onClosed();
    this.closed.addEventListener("abort", onClosed);
    try {
      return await Promise.race([request, ended]);
    } finally {
      this.closed.removeEventListener("abort", onClosed);
    }
  }

  async #explain(error: unknown): Promise<string> {
    const { label } = this.#launch.profile;
    const held = this.#heldFailure;
    this.#heldFailure = null;
    const said = held?.sessionUpdate === "agent_message_chunk" ? held.content : null;
    if (this.isAlive) return explainError(error, { label, said });
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const timer = setTimeout(() => resolve(null), STATUS_WAIT_MS);
    const status = await Promise.race([this.#child.process.status, late]);
    clearTimeout(timer);
    return explainEnd(status, { label, lastLines: this.#lastLines.text });
  }

  /** Lets what arrived before an answer be handed on before that answer is. */
  async #drain(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }

  #endStalled(afterMs: number): void {
    const minutes = Math.max(1, Math.round(afterMs / 60_000));
    const { label } = this.#launch.profile;
    this.#stalled = this.#isCancelling
      ? `${label} did not end its turn when it was told to, so it was ended.`
      : `${label} stalled: nothing came from it for ${minutes} min, so it was ended.`;
    this.#launch.log.warn("acp.stalled", { afterMs, cancelling: this.#isCancelling });
    void this[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    const { process, leader } = this.#child;
    const left = await endProcesses(this.#launch.mark, { leader });
    if (left.length > 0) this.#launch.log.error("acp.processes_left", { pids: left.map(({ pid }) => pid) });
    this.#connection.close();
    await process.status;
    await process.stdin.close().catch(() => {});
    await this.#lastLines[Symbol.asyncDispose]();
  }
}

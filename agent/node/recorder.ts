/**
 * What the coding agent of a workspace does, on its way to the edge: finished messages into the outbox, growing ones
 * saved beside it and shown live. How it is written is `coding/transcript_writer.ts`.
 */
import type { RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";
import type { Logger } from "../../lib/log.ts";
import type { AskedPermission } from "../coding/acp.ts";
import { allow } from "../coding/permissions.ts";
import { Progress } from "../coding/progress.ts";
import { closeInterrupted, type Step } from "../coding/transcript.ts";
import { type Shelf, TranscriptWriter } from "../coding/transcript_writer.ts";
import type { SessionUpdate } from "../coding/updates.ts";
import type { OpenMessages } from "../store/open_messages.ts";
import type { Outbox } from "../store/outbox.ts";
import { type Frame, LiveText } from "./live_text.ts";
import type { PermissionDesk, PermissionRules } from "./permission_desk.ts";

export interface RecorderOptions {
  workspaceId: string;
  projectId: string | null;
  /** Null for a workspace without a chat session: its messages are shown, and not kept. */
  sessionId: string | null;
  /** The checkout. */
  cwd: string;
  permissions: PermissionRules;
  desk: PermissionDesk;
  /** So often a turn may do the same with the same result; 0: for ever. */
  repeatsMax: number;
  outbox: Outbox;
  openMessages: OpenMessages;
  live: (frame: Frame) => void;
  log: Logger;
}

export class Recorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  readonly #live: LiveText;
  readonly #writer: TranscriptWriter;
  readonly #progress: Progress;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#live = new LiveText(options.live);
    this.#progress = new Progress(options.repeatsMax);
    const { workspaceId, projectId, sessionId, cwd, log } = options;
    this.#writer = new TranscriptWriter({
      ids: { workspaceId, projectId, sessionId: sessionId ?? "", cwd },
      shelf: sessionId === null ? null : outboxShelf(options),
      log,
    });
  }

  /** The last text that was said to the person. */
  get lastAnswer(): string | null {
    return this.#writer.lastAnswer;
  }

  /** Why the coding agent gets nowhere, in a sentence; null while it does. */
  get stuck(): string | null {
    return this.#progress.stuck;
  }

  take(update: SessionUpdate): void {
    this.#progress.note(update);
    this.#show(this.#writer.take(update));
  }

  /** Decides by the workspace's rules, or asks, and keeps the decision with the tool call. */
  async permit(asked: AskedPermission): Promise<RequestPermissionResponse> {
    const { permissions: rules, desk, cwd } = this.#options;
    const note = (permission: { outcome: string; by: string; refusal: string | null }) =>
      this.#show(this.#writer.notePermission({ call: asked.call, ...permission }));
    const call = this.#writer.knownCall(asked.call);
    const onAsked = () => note({ outcome: "asked", by: "", refusal: null });
    // Without anybody to ask the answer is made at once, before the coding agent's next update is taken.
    const decision = rules.mode === "autonomous"
      ? allow(asked.options)
      : await desk.decide(asked, { rules, call, cwd, onAsked });
    note({ ...decision.recorded, refusal: decision.refusal });
    return decision.response;
  }

  startTurn(prompt: string): void {
    this.#progress.reset();
    this.#writer.startTurn(prompt);
  }

  /** Resolves when everything of the turn is durable. */
  async endTurn(options: { interrupted: boolean }): Promise<void> {
    this.#show(this.#writer.endTurn(options));
    await this.#writer.flush();
  }

  /** A message of the person's, under the id of its prompt. Resolves when it is durable. */
  async addPrompt(prompt: { messageId: string; text: string }): Promise<void> {
    this.#writer.add({ messageId: prompt.messageId, role: "user", content: prompt.text });
    await this.#writer.flush();
  }

  /** The same for one that came into the turn under way: what was being said is cut there. */
  async addSteered(prompt: { messageId: string; text: string }): Promise<void> {
    this.#progress.reset();
    this.#show(this.#writer.steer(prompt));
    await this.#writer.flush();
  }

  /** Closes what a crash of this program left open. Answers how many messages there were. */
  async closeLeftOpen(): Promise<number> {
    const left = await this.#options.openMessages.list(this.#options.workspaceId);
    for (const row of left) {
      await this.#options.outbox.enqueue([closeInterrupted(row)], { closeOpen: row.messageId });
    }
    return left.length;
  }

  /** Somebody starts to follow. */
  refresh(): void {
    this.#live.refresh();
  }

  /** Writes what is finished; a disk that refuses is not waited for any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#live[Symbol.dispose]();
    await this.#writer[Symbol.asyncDispose]();
  }

  #show(step: Step): void {
    for (const row of step.finished) this.#live.forget(row.messageId);
    if (step.open) this.#live.show(step.open);
  }
}

function outboxShelf({ outbox, openMessages, workspaceId, log }: RecorderOptions): Shelf {
  return {
    async finish(rows, { closes }) {
      const { evicted } = await outbox.enqueue(rows, { closeOpen: closes });
      if (evicted > 0) log.warn("recorder.overflow", { workspaceId, evicted });
    },
    save: (row) => openMessages.save(row),
  };
}

/**
 * Applies stored commands to the workspaces: those of before a restart first, in order per workspace, each until it is
 * noted as applied. A crash in between applies a command twice, which every one of them bears.
 */
import { backoffMs, type BackoffRange, wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import type { CommandFrame } from "../../lib/wire/control.ts";
import type { Inbox } from "../store/inbox.ts";
import type { Answer } from "./permission_desk.ts";

const TRIES = 5;
const RETRY = { initialMs: 200, maxMs: 5_000 };

/** What commands do. Each call is durable when it resolves, and harmless when it is repeated. */
export interface CommandTarget {
  start(workspaceId: string, run: number | null): Promise<void>;
  beginAnew(workspaceId: string): Promise<void>;
  stop(workspaceId: string, options: { keep: boolean }): Promise<void>;
  sendPrompt(workspaceId: string, prompt: { messageId: string; text: string }): Promise<void>;
  steerPrompt(workspaceId: string, prompt: { messageId: string; into: string; text: string }): Promise<void>;
  cancelPrompt(workspaceId: string, messageId: string): Promise<void>;
  /** Returns before the relay stands: nothing waits for a reader. */
  openRelay(workspaceId: string, relayId: string): void;
  answerPermission(workspaceId: string, answer: { requestId: string } & Answer): void;
  drain(): void;
}

export interface CommandsOptions {
  inbox: Inbox;
  target: CommandTarget;
  /** The waits between the tries of a command that fails. */
  retry?: BackoffRange;
  log: Logger;
}

export class Commands implements AsyncDisposable {
  #options: CommandsOptions;
  /** Seqs that are in a line. */
  #taken = new Set<number>();
  #lines = new Map<string, Promise<void>>();
  #closing = new AbortController();

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** Takes up every command that is stored and not applied. */
  async apply(): Promise<void> {
    for (const frame of await this.#options.inbox.pending()) {
      if (this.#taken.has(frame.seq)) continue;
      this.#taken.add(frame.seq);
      this.#append(lineOf(frame), frame);
    }
  }

  /** Resolves when everything that was taken up is applied. */
  async settled(): Promise<void> {
    while (this.#lines.size > 0) await Promise.all(this.#lines.values());
  }

  /** Takes no more; what is not applied stays for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.settled();
  }

  #append(line: string, frame: CommandFrame): void {
    const before = this.#lines.get(line) ?? Promise.resolve();
    const here = before.then(() => this.#applyOne(frame)).finally(() => {
      this.#taken.delete(frame.seq);
      if (this.#lines.get(line) === here) this.#lines.delete(line);
    });
    this.#lines.set(line, here);
  }

  async #applyOne(frame: CommandFrame): Promise<void> {
    const { kind, seq } = frame;
    for (let attempt = 0; !this.#closing.signal.aborted; attempt++) {
      try {
        await dispatch(this.#options.target, frame);
        await this.#options.inbox.applied(seq);
        this.#options.log.info("command_applied", { kind, seq });
        return;
      } catch (error) {
        this.#options.log.error("command_failed", { kind, seq, attempt, error });
        // One command that can never work must not stop those after it; the edge's own deadlines deal with it.
        if (attempt + 1 >= TRIES) return await this.#giveUp(seq);
        await wait(backoffMs(attempt, this.#options.retry ?? RETRY, Math.random()), this.#closing.signal);
      }
    }
  }

  async #giveUp(seq: number): Promise<void> {
    await this.#options.inbox.applied(seq).catch((error: unknown) => {
      this.#options.log.error("command_not_noted", { seq, error });
    });
  }
}

/** Commands of one line wait for each other. */
function lineOf(frame: CommandFrame): string {
  // A reader needs nothing of what is done before, and must not wait for it.
  if (frame.kind === "relay.open") return frame.relayId;
  return "workspaceId" in frame ? frame.workspaceId : "node";
}

async function dispatch(target: CommandTarget, frame: CommandFrame): Promise<void> {
  switch (frame.kind) {
    case "workspace.start":
      if (frame.again) return await target.beginAnew(frame.workspaceId);
      return await target.start(frame.workspaceId, frame.run);
    case "workspace.stop":
      return await target.stop(frame.workspaceId, { keep: frame.keep });
    case "prompt.send":
      return await target.sendPrompt(frame.workspaceId, { messageId: frame.messageId, text: frame.text });
    case "prompt.steer": {
      const { messageId, into, text } = frame;
      return await target.steerPrompt(frame.workspaceId, { messageId, into, text });
    }
    case "prompt.cancel":
      return await target.cancelPrompt(frame.workspaceId, frame.messageId);
    case "relay.open":
      return target.openRelay(frame.workspaceId, frame.relayId);
    case "permission.respond": {
      const { workspaceId, requestId, outcome, optionId, by } = frame;
      return target.answerPermission(workspaceId, { requestId, outcome, optionId, by });
    }
    case "node.drain":
      return target.drain();
    case "noop":
      return;
  }
}

/**
 * Hands the dead letters to the edge before the machine goes. It begins when the node is told to leave (drained or given
 * up by the edge) and goes on until the edge has every one; a letter that the edge refuses for its own sake stays here
 * and holds up no other.
 */
import { wait } from "../../lib/backoff.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { BATCH_MAX_BYTES, BATCH_MAX_MESSAGES } from "../../lib/wire/limits.ts";
import type { AgentConfig } from "../config.ts";
import type { DeadLetters, StoredDeadLetter } from "../store/dead_letters.ts";
import { type EdgeClient, NetworkError } from "./edge_client.ts";
import { Patience, type PatienceConfig } from "./patience.ts";
import { type Answer, decideHandOver } from "./retry.ts";

/** `{"deadLetters":[` and `]}` around the letters. */
const BODY_FRAME_BYTES = 20;

export interface HandOverOptions {
  config: Pick<AgentConfig, "nodeId"> & PatienceConfig;
  deadLetters: DeadLetters;
  edge: EdgeClient;
  /** Called when letters were handed over: the edge should learn at once how many are left. */
  onProgress: () => void;
  log: Logger;
}

export class HandOver implements AsyncDisposable {
  readonly #options: HandOverOptions;
  readonly #patience: Patience;
  readonly #closing = new AbortController();
  /** The last letter that was tried; those before it are with the edge, or refused. */
  #after = 0;
  #rowsAtOnce = BATCH_MAX_MESSAGES;
  #running: Promise<void> | null = null;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#patience = new Patience(options.config);
  }

  /** Hands over what there is, in the background. Calls while it does are joined. */
  start(): void {
    if (this.#closing.signal.aborted) return;
    this.#running ??= this.#run().finally(() => this.#running = null);
  }

  /** Whether every dead letter was taken over or refused. */
  async isDone(): Promise<boolean> {
    return this.#running === null && (await this.#next(1)).length === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the agent ends"));
    await this.#running;
  }

  async #run(): Promise<void> {
    let handed = 0;
    while (!this.#closing.signal.aborted) {
      try {
        const letters = await this.#next(this.#rowsAtOnce);
        if (letters.length === 0) break;
        const answer = await this.#post(letters);
        const retryAfterMs = await this.#settle(letters, answer);
        if (retryAfterMs === "done") {
          this.#patience.succeeded();
          handed += letters.length;
          continue;
        }
        await this.#pause(retryAfterMs);
      } catch (error) {
        this.#options.log.error("hand_over_failed", { reason: messageOf(error) });
        await this.#pause(undefined);
      }
    }
    if (handed > 0) this.#options.onProgress();
  }

  #next(maxRows: number): Promise<StoredDeadLetter[]> {
    const limits = { after: this.#after, maxRows, maxBytes: BATCH_MAX_BYTES - BODY_FRAME_BYTES };
    return this.#options.deadLetters.oldest(limits);
  }

  async #post(letters: StoredDeadLetter[]): Promise<Answer> {
    try {
      return await this.#options.edge.request({
        method: "POST",
        path: `/api/nodes/${this.#options.config.nodeId}/dead-letters`,
        body: { deadLetters: letters.map(({ letter }) => letter) },
        as: "node",
        signal: this.#closing.signal,
      });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return "unreachable";
    }
  }

  /** Acts on the answer: done with these, or how long to wait (undefined: by back-off). */
  async #settle(letters: StoredDeadLetter[], answer: Answer): Promise<"done" | number | undefined> {
    const action = decideHandOver(answer, letters.length);
    switch (action.kind) {
      case "accepted":
        await this.#options.deadLetters.markHanded(letters.map(({ id }) => id));
        this.#options.log.info("dead_letters_handed_over", { count: letters.length });
        this.#rowsAtOnce = Math.min(BATCH_MAX_MESSAGES, this.#rowsAtOnce * 2);
        return "done";
      case "split":
        this.#rowsAtOnce = Math.ceil(letters.length / 2);
        return 0;
      case "refused":
        this.#after = letters[0]!.id;
        this.#options.log.error("dead_letter_refused", { messageId: letters[0]!.letter.messageId });
        return "done";
      case "retry":
        return action.afterMs;
    }
  }

  async #pause(retryAfterMs: number | undefined): Promise<void> {
    if (retryAfterMs === 0) return;
    await wait(this.#patience.failed(performance.now(), retryAfterMs), this.#closing.signal);
  }
}

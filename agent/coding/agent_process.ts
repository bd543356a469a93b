/**
 * The coding agent of one workspace or chat session: a process that is started when it is needed, gone on with while
 * it lives, and ended with everything that it started. Ending it while it is being started leaves nothing behind.
 */
import { wait } from "../../lib/backoff.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import type { AcpSession, OpenOptions } from "./acp.ts";

const LOOK_AGAIN_MS = 100;

export interface Opened {
  session: AcpSession;
  /** Whether the conversation asked for is gone on with; a new one knows nothing of it. */
  resumed: boolean;
}

export class AgentProcess implements AsyncDisposable {
  readonly #mark: string;
  #session: AcpSession | null = null;
  #opening: Promise<unknown> = Promise.resolve();
  /** Counts the ends, so that a start that was overtaken by one is noticed. */
  #ends = 0;

  /** `mark` is the one that processes started for it carry. */
  constructor(mark: string) {
    this.#mark = mark;
  }

  /** The session that is open and alive. */
  get session(): AcpSession | null {
    return this.#session?.isAlive ? this.#session : null;
  }

  /**
   * The coding agent with its conversation open; `options` are asked for once it is started. Throws an Error with a
   * sentence for a person.
   */
  async open(start: () => Promise<AcpSession>, options: () => OpenOptions): Promise<Opened> {
    if (this.#session?.isAlive) return { session: this.#session, resumed: true };
    const opening = this.#open(start, options);
    this.#opening = opening.catch(() => {});
    return await opening;
  }

  /** Asks it to end its turn. */
  cancel(): void {
    this.#session?.cancel();
  }

  /** Ends its processes, also those of which only the mark is known, and those that are on their way. */
  async end(): Promise<void> {
    this.#ends++;
    const settled = new AbortController();
    void this.#opening.then(() => settled.abort());
    // What a start under way begins after this look is found by the next one: it may hang, and would for a minute.
    do {
      await this.#endProcesses();
      await wait(LOOK_AGAIN_MS, settled.signal);
    } while (!settled.signal.aborted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #open(start: () => Promise<AcpSession>, options: () => OpenOptions): Promise<Opened> {
    const ends = this.#ends;
    await this.#endProcesses();
    const session = await start();
    try {
      if (ends === this.#ends) this.#session = session;
      if (ends !== this.#ends) throw new Error("The coding agent was ended while it was being started.");
      const { resumed } = await session.open(options());
      return { session, resumed };
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #endProcesses(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.[Symbol.asyncDispose]();
    await endProcesses(this.#mark);
  }
}

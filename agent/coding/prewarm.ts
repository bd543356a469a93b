/**
 * A few coding-agent processes started ahead of need: initialised, without a session, because the working folder is
 * known only later. The profile and environment last used are kept warm; one that is taken is replaced in the
 * background, one that died or no longer fits is dropped. Environments stay in memory only.
 */
import { newId } from "../../lib/ids.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type AcpLaunch, AcpSession } from "./acp.ts";

export interface PrewarmOptions {
  size: number;
  /** Where warm processes wait: an empty folder, made when it is missing. */
  cwd: string;
  /** First part of the mark of each process. */
  instanceId: string;
  log: Logger;
}

/** What decides whether a warm process can be used for a launch. */
type Recipe = Pick<AcpLaunch, "profile" | "env" | "limits">;

interface Warm {
  recipe: string;
  session: Promise<AcpSession | null>;
}

export class Prewarm implements AsyncDisposable {
  readonly #options: PrewarmOptions;
  #pool: Warm[] = [];
  readonly #ending = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: PrewarmOptions) {
    this.#options = options;
  }

  /** A process for this launch: a warm one if there is one, else one started now. The pool is filled up again. */
  async take(launch: AcpLaunch): Promise<{ session: AcpSession; warm: boolean }> {
    const recipe = keyOf(launch);
    for (const other of this.#remove((warm) => warm.recipe !== recipe)) this.#drop(other);
    try {
      for (let next = this.#pool.shift(); next; next = this.#pool.shift()) {
        const session = await next.session;
        if (session?.isAlive) return { session, warm: true };
        this.#drop(next);
      }
      return { session: await AcpSession.start(launch), warm: false };
    } finally {
      this.#fill(launch);
    }
  }

  /** Resolves when every process that is being warmed is ready, or has failed. Answers how many there are. */
  async whenReady(): Promise<number> {
    const sessions = await Promise.all(this.#pool.map((warm) => warm.session));
    return sessions.filter((session) => session?.isAlive).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const warm of this.#remove(() => true)) this.#drop(warm);
    await Promise.all(this.#ending);
  }

  #fill(recipe: Recipe): void {
    while (!this.#isClosed && this.#pool.length < this.#options.size) {
      this.#pool.push({ recipe: keyOf(recipe), session: this.#start(recipe) });
    }
  }

  async #start({ profile, env, limits }: Recipe): Promise<AcpSession | null> {
    const { cwd, instanceId, log } = this.#options;
    try {
      await Deno.mkdir(cwd, { recursive: true, mode: 0o700 });
      return await AcpSession.start({ profile, env, limits, cwd, mark: `${instanceId}/warm-${newId()}`, log });
    } catch (error) {
      log.warn("prewarm.failed", { profile: profile.id, reason: messageOf(error) });
      return null;
    }
  }

  #remove(isMeant: (warm: Warm) => boolean): Warm[] {
    const removed = this.#pool.filter(isMeant);
    this.#pool = this.#pool.filter((warm) => !isMeant(warm));
    return removed;
  }

  #drop(warm: Warm): void {
    const ending = warm.session.then((session) => session?.[Symbol.asyncDispose]())
      .catch((error) => this.#options.log.error("prewarm.not_ended", { reason: messageOf(error) }));
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }
}

function keyOf({ profile, env }: Recipe): string {
  return JSON.stringify([profile, Object.entries(env).sort()]);
}

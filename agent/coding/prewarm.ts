/**
 * A few coding-agent processes started ahead of need: initialised, and where the folder of the work is known already,
 * with their session open in it. The recipe last used is kept warm; one that is taken is replaced in the background,
 * one that died or no longer fits is dropped. Environments stay in memory only.
 */
import { newId } from "../../lib/ids.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type AcpEvents, type AcpLaunch, AcpSession } from "./acp.ts";
import type { Place } from "./project_folder.ts";

/** Starts at once would share the processor; each is begun this long after the one before. */
const STAGGER_MS = 150;

export interface PrewarmOptions {
  size: number;
  /** Where warm processes without a session wait: an empty folder, made when it is missing. */
  cwd: string;
  /** First part of the mark of each process. */
  instanceId: string;
  /** How long after a failure another start is tried; without it, not before the next one is taken. */
  retryAfterMs?: (reason: string) => number;
  log: Logger;
}

/** What decides whether a warm process can be used for a launch. */
export interface Recipe extends Pick<AcpLaunch, "profile" | "env" | "limits" | "startTimeoutMs"> {
  /** Warm processes also open a session here; `fingerprint` stands for all that they would find there. */
  session?: Place & { fingerprint: string };
}

/** A process that is wanted, and how the next ones are kept warm. */
export type Launch = AcpLaunch & Recipe;

interface Warm {
  recipe: string;
  session: Promise<AcpSession | null>;
  /** Set once it is ready. */
  ready: AcpSession | null;
  isLost: boolean;
  mark: string;
}

/** Until somebody takes it, a warm session says nothing that counts and is allowed nothing. */
const NOBODY: AcpEvents = {
  onUpdate: () => {},
  onPermission: () => ({ outcome: { outcome: "cancelled" } }),
};

export class Prewarm implements AsyncDisposable {
  readonly #options: PrewarmOptions;
  #pool: Warm[] = [];
  readonly #ending = new Set<Promise<void>>();
  #retry: ReturnType<typeof setTimeout> | null = null;
  #isClosed = false;

  constructor(options: PrewarmOptions) {
    this.#options = options;
  }

  /** How many are ready now. */
  get depth(): number {
    return this.#pool.filter((warm) => warm.ready?.isAlive).length;
  }

  /** What the processes that wait here, or are on their way, are marked with. */
  get marks(): string[] {
    return this.#pool.map((warm) => warm.mark);
  }

  /** Begins to keep processes of this recipe warm. Answers whether at least one could be made ready. */
  async start(recipe: Recipe): Promise<boolean> {
    this.#fill(recipe);
    const ready = this.#pool.map(async (warm) => await warm.session ?? Promise.reject(new Error("not started")));
    return await Promise.any(ready).then(() => true, () => false);
  }

  /**
   * A process for this launch: one that is ready at this moment, else one started now, told to `onCold` before. One
   * that is still on its way is not waited for, because it may hang. The pool is filled up again.
   */
  async take(launch: Launch, onCold: () => void = () => {}): Promise<{ session: AcpSession; warm: boolean }> {
    this.#dropOthers(launch);
    const found = this.#pool.find((warm) => warm.ready?.isAlive);
    for (const gone of this.#remove((warm) => warm !== found && warm.ready?.isAlive === false)) this.#drop(gone);
    this.#remove((warm) => warm === found);
    this.#fill(launch);
    if (found?.ready) return { session: found.ready, warm: true };
    onCold();
    return { session: await AcpSession.start(launch), warm: false };
  }

  /** Resolves when every process that is being warmed is ready, or has failed. Answers how many there are. */
  async whenReady(): Promise<number> {
    const sessions = await Promise.all(this.#pool.map((warm) => warm.session));
    return sessions.filter((session) => session?.isAlive).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    for (const warm of this.#remove(() => true)) this.#drop(warm);
    await Promise.all(this.#ending);
  }

  #fill(recipe: Recipe): void {
    for (let turn = 0; !this.#isClosed && this.#pool.length < this.#options.size; turn++) {
      const mark = `${this.#options.instanceId}/warm-${newId()}`;
      const warm: Warm = { recipe: keyOf(recipe), session: Promise.resolve(null), ready: null, isLost: false, mark };
      this.#pool.push(warm);
      warm.session = this.#start(recipe, { warm, delayMs: turn * STAGGER_MS });
    }
  }

  async #start(recipe: Recipe, options: { warm: Warm; delayMs: number }): Promise<AcpSession | null> {
    const { profile, env, limits, startTimeoutMs, session: place } = recipe;
    const { cwd, log } = this.#options;
    try {
      if (options.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
      if (this.#isClosed || !this.#pool.includes(options.warm)) return null;
      if (!place) await Deno.mkdir(cwd, { recursive: true, mode: 0o700 });
      const { mark } = options.warm;
      const launch = { profile, env, limits, startTimeoutMs, cwd: place?.cwd ?? cwd, mark, log };
      const session = options.warm.ready = await startSession(launch, place);
      session.closed.addEventListener("abort", () => this.#retryLater(recipe, { ...options, reason: "it ended" }));
      return session;
    } catch (error) {
      log.warn("prewarm.failed", { profile: profile.id, reason: messageOf(error) });
      this.#retryLater(recipe, { warm: options.warm, reason: messageOf(error) });
      return null;
    }
  }

  /** One that failed or died leaves its place after the pause, and a new one is tried. */
  #retryLater(recipe: Recipe, { warm, reason }: { warm: Warm; reason: string }): void {
    const { retryAfterMs } = this.#options;
    if (!retryAfterMs || this.#isClosed || !this.#pool.includes(warm)) return;
    warm.isLost = true;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      for (const lost of this.#remove(({ isLost }) => isLost)) this.#drop(lost);
      this.#fill(recipe);
    }, retryAfterMs(reason));
  }

  #dropOthers(recipe: Recipe): void {
    const key = keyOf(recipe);
    for (const other of this.#remove((warm) => warm.recipe !== key)) this.#drop(other);
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

async function startSession(launch: AcpLaunch, place: Recipe["session"]): Promise<AcpSession> {
  const session = await AcpSession.start(launch);
  if (!place) return session;
  try {
    await session.open({ cwd: place.cwd, mcpServers: place.mcpServers, resume: null, events: NOBODY });
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

function keyOf({ profile, env, session }: Recipe): string {
  return JSON.stringify([profile, Object.entries(env).sort(), session ?? null]);
}

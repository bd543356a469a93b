/**
 * Looks at sessions and processes now and then, lets `monitor.ts` decide, and hands the actions to the manager. One
 * look of a kind at a time; one that fails is logged and the next one comes.
 */
import { statfs } from "node:fs/promises";
import type { Logger } from "../../lib/log.ts";
import { listProcesses, type Process, selectMarked } from "../../lib/processes.ts";
import type { ChatSession } from "./chat_session.ts";
import { readTreeRss } from "./memory.ts";
import { check, type Limits, type SessionFacts } from "./monitor.ts";
import type { SessionManager } from "./sessions.ts";

const MEMORY_EVERY_MS = 30_000;
const DURATION_EVERY_MS = 60_000;
const DISK_EVERY_MS = 300_000;
const DISK_WARN_SHARE = 0.2;
const DISK_MIN_SHARE = 0.05;

export interface MonitorOptions {
  manager: SessionManager;
  limits: Limits;
  instanceId: string;
  /** Marks of processes that wait warm. */
  warmMarks: () => string[];
  /** A folder on the disk that must not fill. */
  folder: string;
  memoryEveryMs?: number;
  durationEveryMs?: number;
  diskEveryMs?: number;
  log: Logger;
}

export class Monitor implements AsyncDisposable {
  readonly #options: MonitorOptions;
  #timers: ReturnType<typeof setInterval>[] = [];
  readonly #looks = new Map<string, Promise<void>>();
  #suspects = new Map<number, number>();

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  start(): void {
    const { memoryEveryMs, durationEveryMs, diskEveryMs } = this.#options;
    this.#every("memory", memoryEveryMs ?? MEMORY_EVERY_MS, () => this.lookAtMemory());
    this.#every("time", durationEveryMs ?? DURATION_EVERY_MS, () => this.lookAtTime(Date.now()));
    this.#every("orphans", durationEveryMs ?? DURATION_EVERY_MS, () => this.lookForOrphans());
    this.#every("disk", diskEveryMs ?? DISK_EVERY_MS, () => this.lookAtDisk());
    this.#look("disk", () => this.lookAtDisk());
  }

  /** Acts on sessions whose processes hold too much memory. */
  async lookAtMemory(): Promise<void> {
    const { manager, limits } = this.#options;
    const facts = await Promise.all(manager.live.map(async (session) => {
      const rssBytes = session.processes && await readTreeRss(session.processes);
      return factsOf(session, rssBytes);
    }));
    const actions = check(facts, { now: Date.now(), limits }).filter(({ type }) => type.endsWith("_memory"));
    await manager.apply(actions);
  }

  /** Acts on sessions that are too old or idle at `now`. */
  async lookAtTime(now: number): Promise<void> {
    const { manager, limits } = this.#options;
    await manager.apply(check(manager.live.map((session) => factsOf(session, null)), { now, limits }));
  }

  /** Ends marked processes that belong to no session, once they were seen twice: one may just be changing hands. */
  async lookForOrphans(): Promise<void> {
    const { manager, instanceId, limits, warmMarks } = this.#options;
    const processes = await listProcesses();
    const marked = await selectMarked(processes, `${instanceId}/`);
    const known = await Promise.all([...manager.marks, ...warmMarks()].map((mark) => selectMarked(marked, mark)));
    const rightful = new Set(known.flat().map(({ pid }) => pid));
    const orphans = marked.filter(({ pid }) => !rightful.has(pid) && pid !== Deno.pid);
    const again = orphans.filter(({ pid, startTicks }) => this.#suspects.get(pid) === startTicks);
    this.#suspects = new Map(orphans.map(({ pid, startTicks }: Process) => [pid, startTicks]));
    await manager.apply(check([], { now: Date.now(), limits, orphans: again }));
  }

  /** Warns of a disk that fills up, and lets no session begin on one that is almost full. */
  async lookAtDisk(): Promise<void> {
    const { manager, folder, log } = this.#options;
    const { bavail, blocks } = await statfs(folder);
    const free = blocks > 0 ? bavail / blocks : 1;
    if (free < DISK_WARN_SHARE) log.warn("disk_low", { freePercent: Math.round(free * 100) });
    manager.setRoom(free >= DISK_MIN_SHARE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    await Promise.all(this.#looks.values());
  }

  #every(kind: string, ms: number, look: () => Promise<void>): void {
    this.#timers.push(setInterval(() => this.#look(kind, look), ms));
  }

  #look(kind: string, look: () => Promise<void>): void {
    if (this.#looks.has(kind)) return;
    const done = look().catch((error) => this.#options.log.error("monitor_failed", { error }))
      .finally(() => this.#looks.delete(kind));
    this.#looks.set(kind, done);
  }
}

function factsOf(session: ChatSession, rssBytes: number | null): SessionFacts {
  return {
    sessionId: session.id,
    startedAtMs: session.startedAtMs,
    lastActiveAtMs: session.lastActiveAtMs,
    rssBytes,
    isTurnRunning: session.isTurnRunning,
    isIdle: session.record.status === "idle",
    wasWarned: session.wasWarned,
  };
}

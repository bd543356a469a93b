/**
 * Looks at sessions and processes now and then, lets `monitor.ts` decide, and hands the actions to the manager. One
 * look of a kind at a time; one that fails is logged and the next one comes.
 */
import { statfs } from "node:fs/promises";
import type { Logger } from "../../lib/log.ts";
import { listProcesses, type Process, selectMarked } from "../../lib/processes.ts";
import { readTreeRss } from "./memory.ts";
import { check, type Limits, type MonitorAction, type SessionFacts } from "./monitor.ts";
import type { ManagedSession } from "./sessions.ts";

const MEMORY_EVERY_MS = 30_000;
const DURATION_EVERY_MS = 60_000;
const DISK_EVERY_MS = 300_000;
const DISK_WARN_SHARE = 0.2;
const DISK_MIN_SHARE = 0.05;

/** A session manager, as far as the monitor knows it. */
export interface Monitored {
  readonly live: readonly ManagedSession[];
  readonly marks: readonly string[];
  apply(actions: MonitorAction[]): Promise<void>;
}

export interface MonitorOptions {
  sessions: Monitored;
  limits: Limits;
  instanceId: string;
  /** Marks of processes that wait warm. */
  warmMarks: () => string[];
  /** A disk that must not fill, by a folder on it, and who is told whether there is room for more sessions. */
  disk?: { folder: string; onRoom: (hasRoom: boolean) => void };
  /** What the system says of the disk below a folder, in blocks. */
  readDisk?: (folder: string) => Promise<{ bavail: number; blocks: number }>;
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
    this.#every("time", durationEveryMs ?? DURATION_EVERY_MS, () => this.lookAtTime(performance.now()));
    this.#every("orphans", durationEveryMs ?? DURATION_EVERY_MS, () => this.lookForOrphans());
    if (!this.#options.disk) return;
    this.#every("disk", diskEveryMs ?? DISK_EVERY_MS, () => this.lookAtDisk());
    this.#look("disk", () => this.lookAtDisk());
  }

  /** Acts on sessions whose processes hold too much memory. */
  async lookAtMemory(): Promise<void> {
    const { sessions, limits } = this.#options;
    const facts = await Promise.all(sessions.live.map(async (session) => {
      const rssBytes = session.processes && await readTreeRss(session.processes);
      return factsOf(session, rssBytes);
    }));
    const actions = check(facts, { now: performance.now(), limits }).filter(({ type }) => type.endsWith("_memory"));
    await sessions.apply(actions);
  }

  /** Acts on sessions that are too old or idle at `now`. */
  async lookAtTime(now: number): Promise<void> {
    const { sessions, limits } = this.#options;
    await sessions.apply(check(sessions.live.map((session) => factsOf(session, null)), { now, limits }));
  }

  /** Ends marked processes that belong to no session, once they were seen twice: one may just be changing hands. */
  async lookForOrphans(): Promise<void> {
    const { sessions, instanceId, limits, warmMarks } = this.#options;
    const processes = await listProcesses();
    const marked = await selectMarked(processes, `${instanceId}/`);
    const known = [...sessions.marks, ...warmMarks()];
    // What a person runs in a session's folder carries the session's mark with a word of its own behind it.
    const rightful = [...known, ...known.map((mark) => `${mark}.`)];
    const own = await Promise.all(rightful.map((mark) => selectMarked(marked, mark)));
    const pids = new Set(own.flat().map(({ pid }) => pid));
    const orphans = marked.filter(({ pid }) => !pids.has(pid) && pid !== Deno.pid);
    const again = orphans.filter(({ pid, startTicks }) => this.#suspects.get(pid) === startTicks);
    this.#suspects = new Map(orphans.map(({ pid, startTicks }: Process) => [pid, startTicks]));
    await sessions.apply(check([], { now: performance.now(), limits, orphans: again }));
  }

  /** Warns of a disk that fills up, and lets no session begin on one that is almost full. */
  async lookAtDisk(): Promise<void> {
    const { disk, log, readDisk = statfs } = this.#options;
    if (!disk) return;
    const { bavail, blocks } = await readDisk(disk.folder);
    const free = blocks > 0 ? bavail / blocks : 1;
    if (free < DISK_WARN_SHARE) log.warn("disk_low", { freePercent: Math.round(free * 100) });
    disk.onRoom(free >= DISK_MIN_SHARE);
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

function factsOf(session: ManagedSession, rssBytes: number | null): SessionFacts {
  return { sessionId: session.id, rssBytes, ...session.facts };
}

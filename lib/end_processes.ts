/**
 * Ends all processes of a session: its group, its terminal session, whatever carries its mark and whatever descends
 * from those, first politely, then for good. Shells that made their own session, double forks and daemons included.
 */
import { wait } from "./backoff.ts";
import { type Identity, isAlive, listProcesses, type Process, selectMarked, selectOwned } from "./processes.ts";

/** Between SIGTERM and SIGKILL, where nothing else is asked for. */
const GRACE_MS = 5_000;
/** How often /proc is read while waiting: nothing tells when a process that is not our child has gone. */
const POLL_MS = 25;
/** How long processes that fork faster than they are killed are chased. */
const KILL_MAX_MS = 5_000;

export interface EndOptions {
  /** The first process of the session, where this program started it. */
  leader?: Identity;
  /** Between SIGTERM and SIGKILL. */
  graceMs?: number;
  /** Whose processes all belong to the session; never our own user's. */
  uid?: number;
}

/** Ends everything of the session with this mark; `<instanceId>/` means every session. Gives what would not die. */
export async function endProcesses(mark: string, options: EndOptions = {}): Promise<Process[]> {
  const find = async () => {
    const found = await findProcesses(mark, options.leader);
    const known = new Set(found.map(({ pid }) => pid));
    return [...found, ...(await findOwned(options.uid)).filter(({ pid }) => !known.has(pid))];
  };
  const found = await find();
  if (found.length === 0) return [];
  await signalAll(found, "SIGTERM");
  await waitUntilGone(found, options.graceMs ?? GRACE_MS);
  const deadline = performance.now() + KILL_MAX_MS;
  let left = await find();
  while (left.length > 0 && performance.now() < deadline) {
    await signalAll(left, "SIGKILL");
    await waitUntilGone(left, POLL_MS * 4);
    left = await find();
  }
  return left;
}

/** Every process of the session with this mark, with what descends from it; this program itself is never among them. */
export async function findProcesses(mark: string, leader: Identity | undefined): Promise<Process[]> {
  const processes = await listProcesses();
  const own = new Map((await selectMarked(processes, mark)).map((process) => [process.pid, process]));
  for (const process of processes) if (leader && isOfGroup(process, leader, processes)) own.set(process.pid, process);
  own.delete(Deno.pid);
  addDescendants(own, processes);
  return [...own.values()];
}

async function findOwned(uid: number | undefined): Promise<Process[]> {
  return uid === undefined || uid === Deno.uid() ? [] : await selectOwned(await listProcesses(), uid);
}

/** The kernel gives a pid out again only when no group and no session has its number any more. */
function isOfGroup(process: Process, leader: Identity, all: Process[]): boolean {
  if (process.group !== leader.pid && process.session !== leader.pid) return false;
  const holder = all.find((other) => other.pid === leader.pid);
  return (!holder || holder.startTicks === leader.startTicks) && process.startTicks >= leader.startTicks;
}

function addDescendants(own: Map<number, Process>, processes: Process[]): void {
  for (let size = -1; size !== own.size;) {
    size = own.size;
    for (const process of processes) {
      if (own.has(process.parent) && process.pid !== Deno.pid) own.set(process.pid, process);
    }
  }
}

async function signalAll(processes: Process[], signal: Deno.Signal): Promise<void> {
  for (const process of processes) {
    if (!await isAlive(process)) continue;
    try {
      Deno.kill(process.pid, signal);
    } catch {
      // It ended between the look and the signal.
    }
  }
}

async function waitUntilGone(processes: Process[], limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  let left = processes;
  while (left.length > 0 && performance.now() < deadline) {
    await wait(POLL_MS);
    const alive = await Promise.all(left.map(isAlive));
    left = left.filter((_, i) => alive[i]);
  }
}

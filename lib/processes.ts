/**
 * Processes as /proc shows them. A process is named by its pid *and* its start time, so that a pid which was given
 * out again is never mistaken for the one that was meant.
 */
/** The variable that marks every process of a session; inherited by whatever those processes start. */
export const MARK = "HEARTH_SESSION";

/**
 * A second mark, which a changed environment does not take away: the limit on message queues, a resource that hardly
 * anything uses, is inherited through every fork and can only be lowered. Its normal value is above all of these.
 */
const TAG_MIN = 20_000;
const TAG_MAX = 819_000;
const QUEUE_LIMIT = /^Max msgqueue size +(\w+) +(\w+) /m;

export interface Identity {
  pid: number;
  /** Clock ticks after boot at which the process was started. */
  startTicks: number;
}

export interface Process extends Identity {
  parent: number;
  group: number;
  session: number;
}

/** The process `pid`, or null when there is none. Zombies are given too; `listProcesses` leaves them out. */
export async function readProcess(pid: number): Promise<Process | null> {
  return (await readStat(pid))?.process ?? null;
}

/** Every process that is alive. */
export async function listProcesses(): Promise<Process[]> {
  const pids: number[] = [];
  for await (const entry of Deno.readDir("/proc")) if (/^\d+$/.test(entry.name)) pids.push(Number(entry.name));
  const stats = await Promise.all(pids.map(readStat));
  return stats.filter((stat) => stat !== null && !stat.ended).map((stat) => stat!.process);
}

/** The second mark that belongs to a mark. */
export function tagOf(mark: string): number {
  let hash = 2_166_136_261;
  for (const byte of new TextEncoder().encode(mark)) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  return TAG_MIN + hash % (TAG_MAX - TAG_MIN);
}

/** Whether children of this program can be given that second mark: a limit that was lowered cannot be raised again. */
export async function canTag(mark: string): Promise<boolean> {
  const limits = await readText("/proc/self/limits");
  const hard = limits?.match(QUEUE_LIMIT)?.[2];
  return hard === "unlimited" || Number(hard ?? 0) >= tagOf(mark);
}

/**
 * Of `processes`, those whose mark is `prefix`, or begins with it where it ends in `/` or `.`. One that carries no mark
 * any more is known by the second mark, where a whole mark is asked for.
 */
export async function selectMarked(processes: Process[], prefix: string): Promise<Process[]> {
  const isPart = /[/.]$/.test(prefix);
  const isMeant = async ({ pid }: Process) => {
    const mark = await readMark(pid);
    if (mark === null) return !isPart && await readTag(pid) === tagOf(prefix);
    return mark === prefix || (isPart && mark.startsWith(prefix));
  };
  const meant = await Promise.all(processes.map(isMeant));
  return processes.filter((_, i) => meant[i]);
}

/** Of `processes`, those that run as this user. */
export async function selectOwned(processes: Process[], uid: number): Promise<Process[]> {
  const statuses = await Promise.all(processes.map(({ pid }) => readText(`/proc/${pid}/status`)));
  return processes.filter((_, i) => Number(statuses[i]?.match(/^Uid:\s+(\d+)/m)?.[1] ?? NaN) === uid);
}

/** Whether the very process meant is still there, and not as a zombie. */
export async function isAlive(identity: Identity): Promise<boolean> {
  const stat = await readStat(identity.pid);
  return stat !== null && !stat.ended && stat.process.startTicks === identity.startTicks;
}

async function readStat(pid: number): Promise<{ process: Process; ended: boolean } | null> {
  const text = await readText(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets and may itself hold brackets and spaces.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (!fields || fields.length < 20) return null;
  const [state, parent, group, session] = fields;
  return {
    process: {
      pid,
      startTicks: Number(fields[19]),
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
    },
    ended: state === "Z" || state === "X",
  };
}

async function readMark(pid: number): Promise<string | null> {
  const environment = await readText(`/proc/${pid}/environ`);
  const entry = environment?.split("\0").find((line) => line.startsWith(`${MARK}=`));
  return entry?.slice(MARK.length + 1) ?? null;
}

async function readTag(pid: number): Promise<number | null> {
  const limits = await readText(`/proc/${pid}/limits`);
  const [, soft, hard] = limits?.match(QUEUE_LIMIT) ?? [];
  return soft !== undefined && soft === hard ? Number(soft) : null;
}

/** Null for a process that went away meanwhile and for one that belongs to somebody else. */
async function readText(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return null;
  }
}

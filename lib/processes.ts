/**
 * Processes as /proc shows them. A process is named by its pid *and* its start time, so that a pid which was given
 * out again is never mistaken for the one that was meant.
 */
/** The variable that marks every process of a session; inherited by whatever those processes start. */
export const MARK = "HEARTH_SESSION";

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

/** Of `processes`, those whose mark is `prefix`, or begins with it where it ends in `/` or `.`. */
export async function selectMarked(processes: Process[], prefix: string): Promise<Process[]> {
  const marks = await Promise.all(processes.map((process) => readMark(process.pid)));
  return processes.filter((_, i) => marks[i] === prefix || (/[/.]$/.test(prefix) && marks[i]?.startsWith(prefix)));
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

/** Null for a process that went away meanwhile and for one that belongs to somebody else. */
async function readText(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return null;
  }
}

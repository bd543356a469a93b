/** How much memory processes hold, as the system says. */
import { findProcesses } from "../../lib/end_processes.ts";
import type { Identity } from "../../lib/processes.ts";

/** Resident bytes of one process; null when there is none of this id. */
export async function readRss(pid: number): Promise<number | null> {
  return Deno.build.os === "linux" ? await readStatus(pid) : await askPs(pid);
}

/** Resident bytes of a session's whole tree of processes; null when none is left. */
export async function readTreeRss(processes: { leader: Identity; mark: string }): Promise<number | null> {
  const pids = new Set([processes.leader.pid]);
  for (const { pid } of await findProcesses(processes.mark, processes.leader)) pids.add(pid);
  const sizes = (await Promise.all([...pids].map(readRss))).filter((size) => size !== null);
  return sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes of memory that this machine has. */
export function machineMemoryBytes(): number {
  return Deno.systemMemoryInfo().total;
}

async function readStatus(pid: number): Promise<number | null> {
  const text = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => null);
  const kib = text?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

async function askPs(pid: number): Promise<number | null> {
  const { code, stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] }).output();
  const kib = Number(new TextDecoder().decode(stdout).trim());
  return code === 0 && kib > 0 ? kib * 1024 : null;
}

/**
 * Child processes: a given environment and nothing else, an own session and process group (so that a signal to the
 * group reaches all of it and never us), and a mark in the environment by which stragglers are found again.
 */
import { type Identity, MARK, readProcess } from "../../lib/processes.ts";

export interface SpawnOptions {
  args: string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** `<instanceId>/<session>`: put into the environment of the child and of all that it starts. */
  mark?: string;
  stdin?: "piped" | "null";
}

export interface Child {
  process: Deno.ChildProcess;
  /** Pid and start time of the leader of the child's group: what `endProcesses` needs to end exactly this one. */
  leader: Identity;
}

/** Starts `command`. Throws Deno.errors.NotFound when there is no such program. */
export async function spawnChild(command: string, options: SpawnOptions): Promise<Child> {
  // Only `spawn` makes the new session; `output()` ignores `detached`.
  const process = new Deno.Command(command, {
    args: options.args,
    cwd: options.cwd,
    clearEnv: true,
    env: options.mark ? { ...options.env, [MARK]: options.mark } : options.env,
    stdin: options.stdin ?? "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  // A child that is gone already is a zombie until it is waited for, so its start time can still be read.
  const seen = await readProcess(process.pid);
  return { process, leader: { pid: process.pid, startTicks: seen?.startTicks ?? 0 } };
}

/** Kills the process group that this child of ours leads, if it is still there. */
export function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It ended at the same moment.
  }
}

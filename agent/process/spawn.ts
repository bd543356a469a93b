/**
 * Child processes: a given environment and nothing else, an own session and process group (so that a signal to the
 * group reaches all of it and never us), and marks by which stragglers are found again: one in the environment, one
 * that a changed environment does not take away. A child may run as a user of its own, without any privilege.
 */
import { canTag, type Identity, MARK, readProcess, tagOf } from "../../lib/processes.ts";
import { findProgram } from "./find_program.ts";

export interface SpawnOptions {
  args: string[];
  cwd: string;
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** `<instanceId>/<session>`: put into the environment of the child and of all that it starts. */
  mark?: string;
  stdin?: "piped" | "null";
  /** Only root can run a child as somebody else. */
  user?: ProcessUser;
}

/** Whom a process runs as: without other groups, without capabilities, and with no way to get any. */
export interface ProcessUser {
  uid: number;
  gid: number;
}

export interface Child {
  process: Deno.ChildProcess;
  /** Pid and start time of the leader of the child's group: what `endProcesses` needs to end exactly this one. */
  leader: Identity;
}

/** Starts `command`. Throws Deno.errors.NotFound when there is no such program. */
export async function spawnChild(command: string, options: SpawnOptions): Promise<Child> {
  const [program, ...args] = await argvOf(command, options);
  // Only `spawn` makes the new session; `output()` ignores `detached`.
  const process = new Deno.Command(program!, {
    args,
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

/** The argv that runs a program as this user: `setpriv` becomes it. */
export function argvAs(user: ProcessUser): string[] {
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  return ["setpriv", ...ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"];
}

/** Both helpers become the program, so its pid stays the one that was started. */
async function argvOf(command: string, { args, env, mark, user }: SpawnOptions): Promise<string[]> {
  const tags = mark !== undefined && await canTag(mark) && await findProgram("prlimit", env.PATH) !== null;
  // Behind a helper a missing program would be an exit code.
  if ((tags || user) && await findProgram(command, env.PATH) === null) {
    throw new Deno.errors.NotFound(`there is no program ${command}`);
  }
  const limits = tags ? ["prlimit", `--msgqueue=${tagOf(mark)}:${tagOf(mark)}`, "--"] : [];
  return [...limits, ...user ? argvAs(user) : [], command, ...args];
}

/** Kills the process group that this child of ours leads, if it is still there. */
export function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It ended at the same moment.
  }
}

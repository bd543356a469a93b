/**
 * One supervised agent process: started in its own process group with a clean environment and its output in a file,
 * started again when it dies, with growing delays, and left alone when the edge ends. Its pid file also holds its start
 * time, so that a pid that was given out again is never taken for it; a mark in its environment finds it where a crash
 * came before the file.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { backoffMs, wait } from "../backoff.ts";
import { endProcesses } from "../end_processes.ts";
import type { Logger } from "../log.ts";
import { type Identity, isAlive, MARK, readProcess } from "../processes.ts";

const RESTART = { initialMs: 500, maxMs: 30_000 };
/** An agent that lived this long died of something new: the delays begin anew. */
const STABLE_MS = 60_000;
/** How often an agent is looked at that is not our child. */
const POLL_MS = 500;
const LOG_MAX_BYTES = 10 * 1024 * 1024;
/** How long an agent may take to flush and leave. */
const END_GRACE_MS = 8_000;

const nodeFile = z.object({
  nodeId: z.string(),
  installationId: z.string(),
  bootstrapToken: z.string(),
  controlPlaneUrl: z.string(),
  projectId: z.string().nullable(),
  sessionId: z.string().nullable(),
});
/** What starts an agent anew; the one-time token in it is spent once the agent has registered. */
export type LocalNodeFile = z.infer<typeof nodeFile>;

/** Who runs, since which boot of this machine, and for which edge. */
const pidFile = z.object({ pid: z.number(), startTicks: z.number(), boot: z.string(), controlPlaneUrl: z.string() });

export interface LocalAgentOptions {
  nodeId: string;
  command: string[];
  environment: Record<string, string>;
  log: Logger;
}

export class LocalAgent {
  readonly #directory: string;
  readonly #options: LocalAgentOptions;
  readonly #stop = new AbortController();
  #identity: Identity | null = null;
  #child: Deno.ChildProcess | null = null;
  #starting: Promise<void> = Promise.resolve();
  #supervision: Promise<void> | null = null;

  constructor(directory: string, options: LocalAgentOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  get running(): boolean {
    return this.#identity !== null;
  }

  /**
   * Watches the agent that runs for the edge of the node's file, or starts one and ends what else runs of this node.
   * Resolves when one runs; again without effect. Not for two callers at once.
   */
  async adopt(): Promise<void> {
    if (this.#supervision) return;
    const known = await this.#readRunning();
    const file = await readNodeFile(this.#directory);
    if (known && known.controlPlaneUrl === file?.controlPlaneUrl) this.#identity = known;
    else {
      await this.#endAll(known);
      await this.#start();
    }
    this.#supervision = this.#supervise();
  }

  /** Ends the agent and its whole process group, and supervises no more. Returns how many would not end. */
  async end(): Promise<number> {
    this.#stop.abort();
    await this.#starting.catch(() => {});
    const left = await this.#endAll(this.#identity ?? await this.#readRunning());
    if (left === 0) await this.#supervision;
    this.#identity = null;
    return left;
  }

  /** Supervises no more; the agent goes on. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#starting.catch(() => {});
    this.#child?.unref();
    if (!this.#child) await this.#supervision;
  }

  async #endAll(leader: Identity | null): Promise<number> {
    const options = { graceMs: END_GRACE_MS, ...(leader && { leader }) };
    return (await endProcesses(markOf(this.#options.nodeId), options)).length;
  }

  async #supervise(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const startedAt = Date.now();
      await this.#waitForEnd();
      if (this.#stop.signal.aborted) return;
      this.#identity = null;
      failures = Date.now() - startedAt > STABLE_MS ? 0 : failures + 1;
      this.#options.log.warn("agent_died", { failures });
      await wait(backoffMs(failures - 1, RESTART, Math.random()), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.#start().catch((error) => this.#options.log.error("agent_not_started", { error }));
    }
  }

  async #waitForEnd(): Promise<void> {
    if (this.#child) return void await this.#child.status;
    while (this.#identity && !this.#stop.signal.aborted && await isAlive(this.#identity)) {
      await wait(POLL_MS, this.#stop.signal);
    }
  }

  #start(): Promise<void> {
    return this.#starting = this.#spawn();
  }

  async #spawn(): Promise<void> {
    const file = await readNodeFile(this.#directory);
    if (!file) throw new Error("the node's file is gone");
    const boot = await readBoot();
    await this.#rotateLog();
    if (this.#stop.signal.aborted) return;
    const [program, ...args] = this.#options.command;
    // The shell only puts the output into the file and then becomes the agent: no pipe ties it to this process.
    this.#child = new Deno.Command("/bin/sh", {
      args: ["-c", 'exec "$@" >>"$HEARTH_AGENT_LOG" 2>&1', "hearth-agent", program!, ...args, "node"],
      cwd: this.#directory,
      clearEnv: true,
      env: {
        ...this.#options.environment,
        [MARK]: markOf(this.#options.nodeId),
        HEARTH_AGENT_LOG: join(resolve(this.#directory), "agent.log"),
        AGENT_DATA_DIR: join(resolve(this.#directory), "agent"),
        NODE_ID: file.nodeId,
        CONTROL_PLANE_URL: file.controlPlaneUrl,
        BOOTSTRAP_TOKEN: file.bootstrapToken,
        PROJECT_ID: file.projectId ?? "",
        CHAT_SESSION_ID: file.sessionId ?? "",
      },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    const seen = await readProcess(this.#child.pid);
    this.#identity = { pid: this.#child.pid, startTicks: seen?.startTicks ?? 0 };
    const running = { ...this.#identity, boot, controlPlaneUrl: file.controlPlaneUrl };
    await writeWhole(join(this.#directory, "pid.json"), JSON.stringify(running));
  }

  /** The agent that the pid file speaks of, if it lives; a file that cannot be read speaks of none. */
  async #readRunning(): Promise<z.infer<typeof pidFile> | null> {
    const text = await Deno.readTextFile(join(this.#directory, "pid.json")).catch(() => "");
    const running = parseJson(pidFile, text);
    return running && running.boot === await readBoot() && await isAlive(running) ? running : null;
  }

  async #rotateLog(): Promise<void> {
    const path = join(this.#directory, "agent.log");
    const size = (await Deno.stat(path).catch(() => null))?.size ?? 0;
    if (size > LOG_MAX_BYTES) await Deno.rename(path, `${path}.1`);
  }
}

/** The file of a node's directory, or null when there is none that can be read. */
export async function readNodeFile(directory: string): Promise<LocalNodeFile | null> {
  try {
    return parseJson(nodeFile, await Deno.readTextFile(join(directory, "node.json")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

/** Writes the file that says what starts the node's agent. */
export async function writeNodeFile(directory: string, file: LocalNodeFile): Promise<void> {
  await writeWhole(join(directory, "node.json"), JSON.stringify(nodeFile.parse(file)));
}

/** Readable by its owner alone, and moved into place whole. */
async function writeWhole(path: string, text: string): Promise<void> {
  const file = await Deno.open(`${path}.new`, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(`${path}.new`, path);
}

function parseJson<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Start times count from the boot: the same pid and time after the next one are another process. */
async function readBoot(): Promise<string> {
  return (await Deno.readTextFile("/proc/sys/kernel/random/boot_id").catch(() => "")).trim();
}

function markOf(nodeId: string): string {
  return `node/${nodeId}`;
}

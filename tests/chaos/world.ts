/**
 * One installation for one seed: an edge in a process of its own, agents that its local provider starts and that reach it
 * through the proxy, a repository, and the means to hurt each of them. Nothing in it is replaced.
 */
import { join } from "node:path";
import { wait } from "../../lib/backoff.ts";
import { listProcesses, readProcess } from "../../lib/processes.ts";
import { Proxy } from "./proxy.ts";
import { TestRepository } from "../repository.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const ENTRY = new URL("./edge_process.ts", import.meta.url).pathname;
const CLOCK = new URL("./clock.ts", import.meta.url).pathname;

/** Waits that are long in life and short here; everything else as it is by default. */
const QUICK = {
  HEARTBEAT_INTERVAL_MS: "400",
  RATE_RUNS_PER_HOUR: "100000",
  RATE_USER_PER_SECOND: "1000",
  RATE_USER_BURST: "1000",
  MSG_RETRY_INITIAL_INTERVAL_MS: "20",
  MSG_RETRY_MAX_INTERVAL_MS: "250",
  MSG_HTTP_TIMEOUT_MS: "1500",
  PREWARM_POOL_SIZE: "0",
};

const START_MAX_MS = 90_000;
const STOP_MAX_MS = 10_000;
const DISK_BYTES = 1_400 * 1024 ** 2;
/** Below the numbers that the system gives to connections, so that nobody else takes one while an edge is down. */
const PORTS = { from: 20_000, count: 12_000 };

export interface Answered {
  status: number;
  // deno-lint-ignore no-explicit-any
  body: any;
}

export class World implements AsyncDisposable {
  readonly directory: string;
  readonly repository: TestRepository;
  readonly proxy: Proxy;
  readonly url: string;
  readonly #port: number;
  readonly #hasDisk: boolean;
  /** Of this world alone: an edge of another one refuses it. */
  readonly #key = `hk_${crypto.randomUUID().replaceAll("-", "")}`;
  #secrets = [`${"s".repeat(40)}0`];
  #edge: Deno.ChildProcess | null = null;
  #filling: Promise<void> | null = null;
  #stopFilling = new AbortController();

  private constructor(parts: { directory: string; repository: TestRepository; port: number; hasDisk: boolean }) {
    this.directory = parts.directory;
    this.repository = parts.repository;
    this.#port = parts.port;
    this.#hasDisk = parts.hasDisk;
    this.url = `http://127.0.0.1:${parts.port}`;
    this.proxy = new Proxy(parts.port);
  }

  /** `smallDisk`: the nodes' directory is a file system of its own that can be filled (needs root). */
  static async make(options: { smallDisk: boolean }): Promise<World> {
    const directory = await Deno.makeTempDir({ prefix: "hearth-chaos-" });
    const nodes = join(directory, "data", "nodes");
    await Deno.mkdir(nodes, { recursive: true });
    if (options.smallDisk) await run(["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", nodes]);
    const repository = await TestRepository.make();
    await writeAgentDeno(directory);
    return new World({ directory, repository, port: freePort(), hasDisk: options.smallDisk });
  }

  get nodes(): string {
    return join(this.directory, "data", "nodes");
  }

  /** By how much a clock is wrong from now on: the edge's, or that of all agents. */
  async setClock(whose: "edge" | "agents", skewMs: number): Promise<void> {
    await Deno.writeTextFile(join(this.directory, `clock-${whose}`), String(skewMs));
  }

  /** Starts the edge, unless it runs, and waits until it answers. */
  async startEdge(): Promise<void> {
    if (this.#edge) return;
    const log = join(this.directory, "edge.log");
    const deadline = Date.now() + START_MAX_MS;
    let child = this.#edge = this.#spawnEdge(log);
    while (!await this.#isReady()) {
      if (Date.now() > deadline) throw new Error(`the edge does not start: ${await Deno.readTextFile(log)}`);
      await wait(25);
      if (this.#edge !== child) return;
      // While it was down another program may have had its port, for a moment.
      if (!await readProcess(child.pid)) child = this.#edge = this.#spawnEdge(log);
    }
  }

  async killEdge(): Promise<void> {
    const edge = this.#edge;
    this.#edge = null;
    if (!edge) return;
    signal(edge.pid, "SIGKILL");
    await edge.status;
  }

  /** Every token that was given out becomes worthless, as after a day. */
  async rotateTokens(): Promise<void> {
    this.#secrets = [`${"s".repeat(40)}${this.#secrets.length}x`];
    await this.killEdge();
    await this.startEdge();
  }

  async killAgents(): Promise<number> {
    return await this.#kill("node");
  }

  async killCodingAgents(): Promise<number> {
    return await this.#kill("demo");
  }

  /** Fills the nodes' disk to the last byte and keeps it full until `freeDisk`. */
  fillDisk(): void {
    if (!this.#hasDisk || this.#filling) return;
    this.#stopFilling = new AbortController();
    this.#filling = this.#fill(this.#stopFilling.signal);
  }

  async freeDisk(): Promise<void> {
    this.#stopFilling.abort();
    await this.#filling;
    this.#filling = null;
    for (const name of ["filler", "filler-small"]) await Deno.remove(join(this.nodes, name)).catch(() => {});
  }

  /** A call to the edge as its admin, past the proxy. Null when there was no answer. */
  async call(method: string, path: string, body?: unknown): Promise<Answered | null> {
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#key}`,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(10_000),
      });
      const text = await response.text();
      const isJson = /json$/.test(response.headers.get("content-type")?.split(";")[0] ?? "");
      return { status: response.status, body: isJson && text !== "" ? JSON.parse(text) : text };
    } catch {
      return null;
    }
  }

  /** The same until the edge has answered with something else than a fault of its own. */
  async insist(method: string, path: string, body?: unknown): Promise<Answered> {
    const deadline = Date.now() + START_MAX_MS;
    while (true) {
      const answer = await this.call(method, path, body);
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      if (Date.now() > deadline) throw new Error(`${method} ${path}: ${answer?.status ?? "no answer"}`);
      await wait(50);
    }
  }

  /** What edge and agents wrote to their logs. */
  async readLogs(): Promise<string> {
    const files = [join(this.directory, "edge.log")];
    for await (const entry of Deno.readDir(this.nodes)) {
      if (entry.isDirectory) files.push(join(this.nodes, entry.name, "agent.log"));
    }
    const texts = await Promise.all(files.map(async (file) => `== ${file}\n${await readIfThere(file)}`));
    return texts.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.freeDisk();
    await this.#stopEdge();
    while (await this.#kill("node") + await this.#kill("demo") > 0) await wait(20);
    await this.proxy[Symbol.asyncDispose]();
    if (this.#hasDisk) await run(["umount", "-l", this.nodes]);
    await Deno.remove(this.directory, { recursive: true });
    await this.repository[Symbol.asyncDispose]();
  }

  #spawnEdge(log: string): Deno.ChildProcess {
    return new Deno.Command("/bin/sh", {
      args: ["-c", `exec "$@" >>"${log}" 2>&1`, "edge", Deno.execPath(), "run", "-A", "--quiet", "--no-check", ENTRY],
      cwd: ROOT,
      env: this.#environment(),
      stdin: "null",
    }).spawn();
  }

  async #stopEdge(): Promise<void> {
    const edge = this.#edge;
    this.#edge = null;
    if (!edge) return;
    signal(edge.pid, "SIGTERM");
    const guard = setTimeout(() => signal(edge.pid, "SIGKILL"), STOP_MAX_MS);
    await edge.status;
    clearTimeout(guard);
  }

  async #isReady(): Promise<boolean> {
    return (await this.call("GET", "/api/me"))?.status === 200;
  }

  #environment(): Record<string, string> {
    return {
      ...QUICK,
      CHAOS_CLOCK: join(this.directory, "clock-edge"),
      CHAOS_AGENT_DENO: join(this.directory, "agent-deno"),
      HEARTH_DATA_DIR: join(this.directory, "data"),
      HEARTH_ADMIN_KEY: this.#key,
      JWT_SECRET: this.#secrets.join(","),
      PORT: String(this.#port),
      PUBLIC_URL: `http://127.0.0.1:${this.proxy.port}`,
    };
  }

  /** SIGKILL for every process of this world whose last argument is `role`. */
  async #kill(role: "node" | "demo"): Promise<number> {
    let killed = 0;
    for (const { pid } of await listProcesses()) {
      const [cwd, line] = await Promise.all([
        Deno.readLink(`/proc/${pid}/cwd`).catch(() => ""),
        readIfThere(`/proc/${pid}/cmdline`),
      ]);
      const isOurs = cwd.startsWith(this.directory) && line.includes("agent/main.ts") && line.endsWith(`\0${role}\0`);
      if (isOurs && signal(pid, "SIGKILL")) killed++;
    }
    return killed;
  }

  async #fill(stop: AbortSignal): Promise<void> {
    const large = join(this.nodes, "filler");
    const small = join(this.nodes, "filler-small");
    await new Deno.Command("fallocate", { args: ["-l", String(DISK_BYTES), large], stderr: "null" }).output();
    // What is given up meanwhile (the ballast) is taken as well.
    while (!stop.aborted) {
      await new Deno.Command("sh", {
        args: ["-c", `cat /dev/zero >> "${large}" 2>/dev/null; cat /dev/zero >> "${small}"`],
        stderr: "null",
      })
        .output();
      await wait(100, stop);
    }
  }
}

/** Deno as agents are started with it: it sets the clock before it runs what it is given. */
async function writeAgentDeno(directory: string): Promise<void> {
  const text = `#!/bin/sh
command="$1"
shift
CHAOS_CLOCK="${directory}/clock-agents" exec "${Deno.execPath()}" "$command" --preload "${CLOCK}" "$@"
`;
  await Deno.writeTextFile(join(directory, "agent-deno"), text, { mode: 0o700 });
}

function freePort(): number {
  while (true) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** False for a process that is gone already. */
function signal(pid: number, name: Deno.Signal): boolean {
  try {
    Deno.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

async function readIfThere(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

async function run([program, ...args]: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program!, { args, stderr: "piped" }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/**
 * Nodes on this machine: each is the agent as a child process with a directory and a process group of its own,
 * supervised like a service. Agents survive the edge and are found again by their directory. The coding agents run as
 * the edge's own user: docs/security.md says what that means and when it is refused.
 */
import { join } from "node:path";
import { hasLogin } from "../coding_agent_logins.ts";
import { endProcesses } from "../end_processes.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { LocalAgent, type LocalNodeFile, readNodeFile, writeNodeFile } from "./local_agent.ts";
import { type NodeProvider, type NodeSpec, ProviderError, type ProviderServer } from "./provider.ts";

const END_GRACE_MS = 3_000;
const REFERENCE = /^[0-9a-f-]{36}$/;

export interface LocalProviderOptions {
  /** Holds one directory per node. */
  directory: string;
  /** The agent's command line up to its sub-command. */
  agentCommand: string[];
  /** What every agent's environment holds besides what names its node. */
  environment: Record<string, string>;
  log: Logger;
}

export class LocalProvider implements NodeProvider {
  readonly id = "local";
  readonly #options: LocalProviderOptions;
  readonly #agents = new Map<string, LocalAgent>();
  /** One thing at a time per node: making and removing it at once would leave half of it. */
  readonly #lines = new Map<string, Promise<unknown>>();

  constructor(options: LocalProviderOptions) {
    this.#options = options;
  }

  /**
   * Finds the agents that an earlier edge started, watches them, and starts those that have died meanwhile or know
   * another address of the edge. One that cannot be started is logged: the edge must start without it.
   */
  async adopt(controlPlaneUrl: string): Promise<number> {
    const files = await this.#listFiles();
    await Promise.all(files.map(({ ref, file }) =>
      this.#alone(ref, async () => {
        await writeNodeFile(this.#directoryOf(ref), { ...file, controlPlaneUrl });
        await this.#agentOf(ref).adopt();
      }).catch((error) => this.#options.log.error("agent_not_adopted", { nodeId: ref, error }))
    ));
    return files.length;
  }

  async create(spec: NodeSpec): Promise<string> {
    const directory = this.#directoryOf(spec.nodeId);
    try {
      await this.#alone(spec.nodeId, async () => {
        await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
        await writeNodeFile(directory, spec);
        await this.#agentOf(spec.nodeId).adopt();
      });
    } catch (error) {
      throw new ProviderError(`the agent could not be started on this machine (${messageOf(error)})`, { cause: error });
    }
    return spec.nodeId;
  }

  async get(ref: string): Promise<ProviderServer | null> {
    const file = await readNodeFile(this.#directoryOf(ref));
    if (!file) return null;
    const running = this.#agents.get(ref)?.running ?? false;
    return { ref, nodeId: file.nodeId, status: running ? "running" : "stopped" };
  }

  async list(installationId: string): Promise<ProviderServer[]> {
    const files = (await this.#listFiles()).filter(({ file }) => file.installationId === installationId);
    return files.map(({ ref, file }) => ({
      ref,
      nodeId: file.nodeId,
      status: this.#agents.get(ref)?.running ? "running" : "stopped",
    }));
  }

  /** Coding agents run as the edge's own user here, and find what that user is signed in to. */
  async hasLogin(codingAgent: string): Promise<boolean> {
    return await hasLogin(codingAgent, this.#options.environment);
  }

  /** Every node that has a directory here, of whatever installation. */
  async references(): Promise<string[]> {
    return (await this.#listFiles()).map(({ ref }) => ref);
  }

  async destroy(ref: string): Promise<void> {
    const directory = this.#directoryOf(ref);
    await this.#alone(ref, async () => {
      const agent = this.#agentOf(ref);
      this.#agents.delete(ref);
      const left = await agent.end() + await endCodingAgents(directory);
      if (left > 0) throw new ProviderError(`${left} process(es) of the node do not end`);
      await Deno.remove(directory, { recursive: true }).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return;
        throw new ProviderError(`the node's directory could not be removed (${messageOf(error)})`);
      });
    });
  }

  /** Stops watching; the agents go on and are found again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#lines.values());
    await Promise.all([...this.#agents.values()].map((agent) => agent.leave()));
    this.#agents.clear();
  }

  #agentOf(ref: string): LocalAgent {
    const known = this.#agents.get(ref);
    if (known) return known;
    const agent = new LocalAgent(this.#directoryOf(ref), {
      nodeId: ref,
      command: this.#options.agentCommand,
      environment: this.#options.environment,
      log: this.#options.log.with({ nodeId: ref }),
    });
    this.#agents.set(ref, agent);
    return agent;
  }

  /** Runs `work` after what was asked for this node before. */
  #alone<T>(ref: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lines.get(ref) ?? Promise.resolve();
    const here = before.then(work, work);
    const line = here.catch(() => {}).finally(() => {
      if (this.#lines.get(ref) === line) this.#lines.delete(ref);
    });
    this.#lines.set(ref, line);
    return here;
  }

  async #listFiles(): Promise<{ ref: string; file: LocalNodeFile }[]> {
    const found: { ref: string; file: LocalNodeFile }[] = [];
    try {
      for await (const entry of Deno.readDir(this.#options.directory)) {
        if (!REFERENCE.test(entry.name)) continue;
        const file = await readNodeFile(this.#directoryOf(entry.name));
        if (file) found.push({ ref: entry.name, file });
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found;
  }

  /** References are node ids, made by the edge; anything else never becomes a path. */
  #directoryOf(ref: string): string {
    if (!REFERENCE.test(ref)) throw new ProviderError("this is not the reference of a local node");
    return join(this.#options.directory, ref);
  }
}

/**
 * Ends what the agent of this directory had started: every process that carries the mark of its data directory. Returns
 * how many would not end.
 */
async function endCodingAgents(directory: string): Promise<number> {
  try {
    const instanceId = (await Deno.readTextFile(join(directory, "agent", "instance-id"))).trim();
    return instanceId ? (await endProcesses(`${instanceId}/`, { graceMs: END_GRACE_MS })).length : 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

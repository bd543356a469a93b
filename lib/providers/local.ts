/**
 * Nodes on this machine: each is the agent as a child process with a directory and a process group of its own,
 * supervised like a service. Agents survive the edge and are found again by their directory. The coding agents run as
 * the edge's own user: docs/security.md says what that means and when it is refused.
 */
import { join } from "node:path";
import { endProcesses } from "../end_processes.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { LocalAgent, type LocalNodeFile, readNodeFile, writeNodeFile } from "./local_agent.ts";
import { type NodeProvider, type NodeSpec, ProviderError, type ProviderServer } from "./provider.ts";

const END_GRACE_MS = 3_000;

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

  constructor(options: LocalProviderOptions) {
    this.#options = options;
  }

  /** Finds the agents that an earlier edge started, watches them, and starts those that have died meanwhile. */
  async adopt(controlPlaneUrl: string): Promise<number> {
    for (const { ref, file } of await this.#listFiles()) {
      const moved = file.controlPlaneUrl !== controlPlaneUrl;
      if (moved) await writeNodeFile(this.#directoryOf(ref), { ...file, controlPlaneUrl });
      const agent = this.#newAgent(ref);
      this.#agents.set(ref, agent);
      await agent.adopt({ restart: moved });
    }
    return this.#agents.size;
  }

  async create(spec: NodeSpec): Promise<string> {
    const directory = this.#directoryOf(spec.nodeId);
    try {
      await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
      await writeNodeFile(directory, spec);
      const agent = this.#agents.get(spec.nodeId) ?? this.#newAgent(spec.nodeId);
      this.#agents.set(spec.nodeId, agent);
      await agent.adopt({ restart: false });
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

  /** Every node that has a directory here, of whatever installation. */
  async references(): Promise<string[]> {
    return (await this.#listFiles()).map(({ ref }) => ref);
  }

  async destroy(ref: string): Promise<void> {
    const directory = this.#directoryOf(ref);
    const agent = this.#agents.get(ref) ?? this.#newAgent(ref);
    await agent.end();
    this.#agents.delete(ref);
    await endCodingAgents(directory);
    await Deno.remove(directory, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) {
        throw new ProviderError(`the node's directory could not be removed (${messageOf(error)})`);
      }
    });
  }

  /** Stops watching; the agents go on and are found again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.leave()));
    this.#agents.clear();
  }

  #newAgent(ref: string): LocalAgent {
    return new LocalAgent(this.#directoryOf(ref), {
      command: this.#options.agentCommand,
      environment: this.#options.environment,
      log: this.#options.log.with({ nodeId: ref }),
    });
  }

  async #listFiles(): Promise<{ ref: string; file: LocalNodeFile }[]> {
    const found: { ref: string; file: LocalNodeFile }[] = [];
    try {
      for await (const entry of Deno.readDir(this.#options.directory)) {
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
    if (!/^[0-9a-f-]{36}$/.test(ref)) throw new ProviderError("this is not the reference of a local node");
    return join(this.#options.directory, ref);
  }
}

/** Ends what the agent of this directory had started: every process that carries the mark of its data directory. */
async function endCodingAgents(directory: string): Promise<void> {
  try {
    const instanceId = (await Deno.readTextFile(join(directory, "agent", "instance-id"))).trim();
    if (instanceId) await endProcesses(`${instanceId}/`, { graceMs: END_GRACE_MS });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

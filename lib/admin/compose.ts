/** Makes an edge from its configuration: store, keys, live hub, provider. Scheduler and server are main's. */
import { join, resolve } from "node:path";
import { checkSealKeys, newSealKey, readSealKeys } from "../auth/seal.ts";
import { readKeyring } from "../auth/tokens.ts";
import type { EdgeConfig } from "../config.ts";
import type { Edge } from "../edge.ts";
import { ConfigError } from "../env.ts";
import { newSecret } from "../ids.ts";
import { Live } from "../live/live.ts";
import type { Logger } from "../log.ts";
import { findSharingProblem } from "../nodes/shared_machine.ts";
import { Metrics } from "../metrics.ts";
import { machineSettings } from "../nodes/machine_settings.ts";
import { HetznerProvider } from "../providers/hetzner.ts";
import { LocalProvider } from "../providers/local.ts";
import { ManualProvider } from "../providers/manual.ts";
import type { NodeProvider } from "../providers/provider.ts";
import { openStore } from "../store/store.ts";
import { PROTOCOL, PROTOCOL_MIN } from "../wire/limits.ts";

export interface ComposeOptions {
  config: EdgeConfig;
  log: Logger;
  /** Environment of local agents: where programs and the home are, and settings meant for agents. */
  agentEnvironment: Record<string, string>;
  /** The agent's command line up to its sub-command. */
  agentCommand: string[];
  clock?: () => number;
}

export type ComposedEdge = Edge & AsyncDisposable & { local: LocalProvider };

/** Throws ConfigError when the configuration does not fit the data. */
export async function composeEdge(options: ComposeOptions): Promise<ComposedEdge> {
  const { config, log } = options;
  const clock = options.clock ?? Date.now;
  if (!config.onDeploy) await makePrivate(config.HEARTH_DATA_DIR);
  const secret = config.JWT_SECRET ??
    await readSecretFile(join(config.HEARTH_DATA_DIR, "jwt-secret"), () => newSecret(48));
  const sealKeys = await readSealKeys(
    config.ENCRYPTION_KEY ?? await readSecretFile(join(config.HEARTH_DATA_DIR, "encryption-key"), newSealKey),
  );
  const store = await openStore(storePath(config));
  try {
    await checkSealKeys(store, sealKeys);
  } catch (error) {
    store.close();
    throw error;
  }
  const live = new Live({ store, log, clock });
  const local = new LocalProvider({
    directory: resolve(join(config.HEARTH_DATA_DIR, "nodes")),
    agentCommand: options.agentCommand,
    environment: options.agentEnvironment,
    log,
  });
  const providers: NodeProvider[] = [local, newHetzner(config, log), new ManualProvider()];
  const provider = providers.find(({ id }) => id === config.NODE_PROVIDER)!;
  return {
    config,
    log,
    clock,
    store,
    live,
    metrics: new Metrics(),
    local,
    provider,
    otherProviders: providers.filter((each) => each !== provider),
    sealKeys,
    protocol: { min: PROTOCOL_MIN, max: PROTOCOL },
    keyring: readKeyring(secret),
    async [Symbol.asyncDispose]() {
      await Promise.all(providers.map((each) => each[Symbol.asyncDispose]()));
      await live[Symbol.asyncDispose]();
      store.close();
    },
  };
}

/** The store lies there, and secrets: whoever made the directory, only its owner may look into it. */
async function makePrivate(directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  await Deno.chmod(directory, 0o700);
}

/** Throws ConfigError when the local provider would serve several accounts without the operator's word. */
export async function checkLocalProvider(edge: Edge): Promise<void> {
  const problem = await findSharingProblem(edge);
  if (problem) throw new ConfigError(problem);
}

/** A file, or the URL of a KV server; on the hosted platform its own database. */
function storePath(config: EdgeConfig): string | undefined {
  return config.HEARTH_KV ?? (config.onDeploy ? undefined : join(config.HEARTH_DATA_DIR, "hearth.kv"));
}

function newHetzner(config: EdgeConfig, log: Logger): HetznerProvider {
  return new HetznerProvider({
    url: config.HCLOUD_URL,
    serverTypes: { small: config.VM_TYPE_SMALL, medium: config.VM_TYPE_MEDIUM, large: config.VM_TYPE_LARGE },
    image: config.VM_IMAGE,
    machine: machineSettings(config),
    log,
  });
}

/** A secret of a one-machine edge: made once, readable by its owner alone. */
async function readSecretFile(path: string, make: () => string): Promise<string> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.writeTextFile(path, make(), { mode: 0o600, createNew: true });
    return (await Deno.readTextFile(path)).trim();
  }
}

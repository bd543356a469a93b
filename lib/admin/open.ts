/**
 * Opens the store for a command, beside an edge that may run on it at the same time. Agents are neither adopted nor
 * started here: they belong to that edge.
 */
import { join } from "node:path";
import { backoffMs, wait } from "../backoff.ts";
import type { EdgeConfig } from "../config.ts";
import { createLogger } from "../log.ts";
import { isLocked } from "../store/store.ts";
import { type ComposedEdge, composeEdge } from "./compose.ts";
import { Refusal } from "./command.ts";

const TRIES_MAX = 8;
const RETRY = { initialMs: 20, maxMs: 500 };

/** The edge's parts without its scheduler and server. Throws Refusal when there is no data where it should be. */
export async function openForCommand(config: EdgeConfig): Promise<ComposedEdge> {
  await requireData(config);
  const log = createLogger("warn");
  for (let tries = 1;; tries++) {
    try {
      return await composeEdge({ config, log, agentCommand: [], agentEnvironment: {} });
    } catch (error) {
      // The edge that runs writes at this very moment.
      if (!isLocked(error) || tries === TRIES_MAX) throw error;
      await wait(backoffMs(tries, RETRY, Math.random()));
    }
  }
}

/** A command on data that is not there would make an empty installation, and mislead. */
async function requireData(config: EdgeConfig): Promise<void> {
  const path = config.HEARTH_KV ?? join(config.HEARTH_DATA_DIR, "hearth.kv");
  if (/^https?:/.test(path) || await isFile(path)) return;
  throw new Refusal(
    `There is no data at ${path}. Start Hearth once (deno task start), or set HEARTH_DATA_DIR to its data directory.`,
  );
}

async function isFile(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => null))?.isFile === true;
}

/**
 * Whether an edge runs on this very store, and where: whoever answers is asked for its readiness, which it proves by a
 * write that is then looked for here. So an edge of another installation is never mistaken for ours.
 */
import { join } from "node:path";
import type { Edge } from "../edge.ts";
import { readNodeFile } from "../providers/local_agent.ts";
import { change } from "../store/change.ts";
import { metaKey } from "../store/keys.ts";

const ANSWER_MAX_MS = 2_000;

/** The address of the edge that runs on this store, or null. */
export async function findRunningEdge(edge: Edge): Promise<string | null> {
  for (const url of await listAddresses(edge)) if (await isOnStore(edge, url)) return url;
  return null;
}

/** Where it should be, and where the local agents find it. */
async function listAddresses(edge: Edge): Promise<Set<string>> {
  const { config } = edge;
  const host = config.HOST.includes(":") ? `[${config.HOST}]` : config.HOST;
  const urls = new Set([`http://${host}:${config.PORT}`, config.publicUrl]);
  const nodes = join(config.HEARTH_DATA_DIR, "nodes");
  try {
    for await (const entry of Deno.readDir(nodes)) {
      const file = await readNodeFile(join(nodes, entry.name));
      if (file) urls.add(file.controlPlaneUrl);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return urls;
}

async function isOnStore(edge: Edge, url: string): Promise<boolean> {
  const before = await readProbe(edge);
  try {
    const response = await fetch(`${url}/api/health/ready`, {
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MAX_MS),
    });
    await response.body?.cancel();
  } catch {
    return false;
  }
  return await readProbe(edge) !== before;
}

async function readProbe(edge: Edge): Promise<string | null> {
  return (await change(edge.store, (tx) => tx.get(metaKey("probe")), edge.clock)).versionstamp;
}

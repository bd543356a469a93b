/**
 * Who this node is for its edge: the nonce of its registration and the secret that came back, in one file that only
 * the agent's user can read. Replaced as a whole, so that a crash leaves the old one or the new one.
 */
import { join } from "node:path";
import { z } from "zod";
import { newSecret } from "../../lib/ids.ts";
import { edgeLimits } from "../../lib/wire/node.ts";

const identity = z.object({
  nodeId: z.string(),
  nonce: z.string(),
  nodeSecret: z.string().nullable(),
  heartbeatMs: z.number(),
  /** What the edge told at registration; null before. */
  limits: edgeLimits.nullable(),
});
export type Identity = z.infer<typeof identity>;

const HEARTBEAT_MS = 30_000;

/** What is kept in the data directory; null before the first start, and when it belongs to another node. */
export async function readIdentity(dataDir: string, nodeId: string): Promise<Identity | null> {
  try {
    const kept = identity.parse(JSON.parse(await Deno.readTextFile(pathOf(dataDir))));
    return kept.nodeId === nodeId ? kept : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new Error(`${pathOf(dataDir)} cannot be read. Remove it and enrol this node again.`, { cause: error });
  }
}

/** Reads the identity, or makes and keeps one that is not registered yet. */
export async function openIdentity(dataDir: string, nodeId: string): Promise<Identity> {
  const kept = await readIdentity(dataDir, nodeId);
  if (kept) return kept;
  const made = { nodeId, nonce: newSecret(), nodeSecret: null, heartbeatMs: HEARTBEAT_MS, limits: null };
  await writeIdentity(dataDir, made);
  return made;
}

export async function writeIdentity(dataDir: string, value: Identity): Promise<void> {
  const path = pathOf(dataDir);
  const next = `${path}.next`;
  const file = await Deno.open(next, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    await file.write(new TextEncoder().encode(JSON.stringify(value)));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(next, path);
}

function pathOf(dataDir: string): string {
  return join(dataDir, "node.json");
}

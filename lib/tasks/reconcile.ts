/**
 * Compares the servers at each provider with our records. A server with our label that no record knows is destroyed after
 * a grace period and a second look; a record whose server is gone is closed. What is decided is decided on a complete
 * inventory, made under the credential that the machine was made with: any other does nothing.
 */
import { openRecord } from "../auth/credentials.ts";
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { accessOf, providerOf, RENTED } from "../nodes/accounts.ts";
import type { NodeProvider, ProviderAccess, ProviderServer } from "../providers/provider.ts";
import { listAllCredentials } from "../store/credentials.ts";
import { listLiveNodes, type NodeRecord, readNode } from "../store/nodes.ts";
import { keepInventories, noteInventory } from "../store/inventory_failures.ts";
import { forgetStray, listStrays, noteStray } from "../store/strays.ts";
import { loseNode } from "./lose.ts";

/** Failures in a row after which somebody must look. */
export const FAILURES_CRITICAL = 3;
const GONE = "The provider says that the server is gone.";

/** A place where servers are, and what they are asked about with. */
interface Account {
  provider: NodeProvider;
  /** Null: of a provider without credentials. */
  account: string | null;
  ownerId: string | null;
  access: () => Promise<ProviderAccess>;
}

export interface ReconcileOptions {
  /** Only say what would be done. */
  dryRun?: boolean;
  /** Called with each thing that is done, or would be. */
  onFinding?: (finding: Finding) => void;
}

export interface Finding {
  kind: "stray_seen" | "stray_destroyed" | "server_gone";
  provider: string;
  ref: string;
  nodeId: string | null;
}

/** Compares all accounts, each alone. Returns how many servers and records were put right; throws when one failed. */
export async function reconcile(edge: Edge, options: ReconcileOptions = {}): Promise<number> {
  let mended = 0;
  const [names, failed]: [string[], string[]] = [[], []];
  for await (const account of listAccounts(edge)) {
    const name = `${account.provider.id} ${account.account ?? ""}`.trim();
    names.push(name);
    try {
      mended += await reconcileAccount(edge, account, options);
      if (!options.dryRun) await noteInventory(edge.store, name, null);
    } catch (error) {
      const reason = messageOf(error);
      failed.push(reason);
      const { ownerId, provider } = account;
      const times = options.dryRun
        ? 1
        : await noteInventory(edge.store, name, { provider: provider.id, ownerId, reason });
      const level = times >= FAILURES_CRITICAL ? "critical" : "error";
      edge.log[level]("reconcile_failed", { account: name, ownerId, times, reason });
    }
  }
  if (!options.dryRun) edge.metrics.set("hearth_reconcile_failures", {}, await keepInventories(edge.store, names));
  if (failed.length > 0) throw new Error(`${failed.length} inventory(s) could not be compared: ${failed[0]}`);
  return mended;
}

async function reconcileAccount(edge: Edge, account: Account, options: ReconcileOptions): Promise<number> {
  const { provider } = account;
  const access = await account.access();
  // Read before the inventory: a machine that is made between the two has no record to be closed.
  const nodes = (await Array.fromAsync(listLiveNodes(edge.store))).filter((node) => isOf(node, account));
  const servers = await provider.list(edge.store.installationId, access);
  let mended = 0;
  let broken: unknown = null;
  const each = async (work: () => Promise<boolean>) => {
    try {
      if (await work()) mended++;
    } catch (error) {
      broken ??= error;
      edge.log.error("reconcile_item_failed", { provider: provider.id, reason: messageOf(error) });
    }
  };
  for (const server of servers) await each(() => reconcileServer(edge, { server, provider, access }, options));
  const present = new Set(servers.map(({ ref }) => ref));
  for (const node of nodes) {
    if (node.providerRef && !present.has(node.providerRef)) await each(() => closeGone(edge, node, options));
  }
  if (broken) throw broken;
  return mended;
}

async function reconcileServer(
  edge: Edge,
  found: { server: ProviderServer; provider: NodeProvider; access: ProviderAccess },
  { dryRun, onFinding = () => {} }: ReconcileOptions,
): Promise<boolean> {
  const { server: { ref, nodeId }, provider, access } = found;
  const stray = `${provider.id}:${ref}`;
  const node = nodeId ? await readNode(edge.store, nodeId) : null;
  if (node && node.status !== "destroyed") {
    await forgetStray(edge.store, stray);
    return false;
  }
  const facts = { provider: provider.id, ref, nodeId };
  const now = edge.clock();
  const isNew = !(await listStrays(edge.store)).includes(stray);
  if (dryRun) onFinding({ ...facts, kind: isNew ? "stray_seen" : "stray_destroyed" });
  if (dryRun) return false;
  const firstSeenAt = await noteStray(edge.store, stray, now);
  if (isNew) {
    onFinding({ ...facts, kind: "stray_seen" });
    edge.metrics.count("hearth_servers_leaked_total", { provider: provider.id });
    edge.log.warn("server_without_record", facts);
  }
  if (isNew || now - firstSeenAt < edge.config.NODE_CLEANUP_GRACE_PERIOD_MS) return false;
  await provider.destroy(ref, access);
  await forgetStray(edge.store, stray);
  onFinding({ ...facts, kind: "stray_destroyed" });
  edge.metrics.count("hearth_servers_reclaimed_total", { provider: provider.id });
  edge.log.warn("server_reclaimed", facts);
  return true;
}

/** A list may lag behind: only what is not there when it is asked for by name is gone. */
async function closeGone(
  edge: Edge,
  node: NodeRecord,
  { dryRun, onFinding = () => {} }: ReconcileOptions,
): Promise<boolean> {
  const provider = providerOf(edge, node.provider);
  if (await provider.get(node.providerRef!, await accessOf(edge, node)) !== null) return false;
  onFinding({ kind: "server_gone", provider: provider.id, ref: node.providerRef!, nodeId: node.id });
  if (dryRun) return false;
  return await loseNode(edge, node.id, GONE);
}

function isOf(node: NodeRecord, { provider, account }: Account): boolean {
  return node.provider === provider.id && (node.account ?? null) === account &&
    !["destroying", "destroyed"].includes(node.status);
}

async function* listAccounts(edge: Edge): AsyncGenerator<Account> {
  for (const provider of [edge.provider, ...edge.otherProviders]) {
    if (RENTED.has(provider.id) || provider.id === "manual") continue;
    yield { provider, account: null, ownerId: null, access: () => Promise.resolve({ secret: null }) };
  }
  for await (const record of listAllCredentials(edge.store)) {
    if (record.provider !== "hetzner") continue;
    const access = async () => ({ secret: (await openRecord(edge, record)).secret });
    const { account, userId: ownerId } = record;
    yield { provider: providerOf(edge, record.provider), account, ownerId, access };
  }
}

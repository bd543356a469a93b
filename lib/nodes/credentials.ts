/**
 * Storing and removing a person's secrets. One under which servers live is neither removed nor replaced by one that does
 * not see them: those servers could never be deleted again.
 */
import { openCredential, toGitCredential } from "../auth/credentials.ts";
import { seal } from "../auth/seal.ts";
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { newId } from "../ids.ts";
import { checkGitHost } from "../providers/git_host.ts";
import { checkModelKey } from "../providers/model_keys.ts";
import { HetznerApi } from "../providers/hetzner_api.ts";
import { ProviderError } from "../providers/provider.ts";
import { type Change, change } from "../store/change.ts";
import type { CredentialRecord } from "../store/credentials.ts";
import { credentialKey, nodeKey } from "../store/keys.ts";
import { type NodeRecord, putFleet, readFleet } from "../store/nodes.ts";
import type { CredentialCheck, CredentialProvider, PutCredential } from "../wire/credential.ts";
import { providerOf } from "./accounts.ts";

const CHECK_TIMEOUT_MS = 10_000;

/** Stores a secret, sealed. Throws `invalid_request` where a host is missing or makes no sense, and `conflict` when servers live under the one before and this one does not see them. */
export async function storeCredential(
  edge: Edge,
  userId: string,
  given: { provider: CredentialProvider } & PutCredential,
): Promise<CredentialRecord> {
  const { provider, secret } = given;
  const fresh = { ...await seal(edge.sealKeys, secret, { userId, provider }), userId, provider, ...nameOf(given) };
  const account = newId();
  const seen = new Set<string>();
  while (true) {
    const stored = await change(edge.store, async (tx) => {
      const entry = await tx.get<CredentialRecord>(credentialKey(userId, provider));
      const living = await listLiving(tx, userId, provider);
      const unseen = entry.value ? living.filter(({ id }) => !seen.has(id)) : [];
      return unseen.length > 0 ? { unseen } : { record: putCredential(tx, entry, { fresh, account, living }) };
    }, edge.clock);
    if (stored.record) return stored.record;
    // Outside of the change: a provider may take longer to answer than the store is waited for.
    await requireSeen(edge, stored.unseen, secret);
    stored.unseen.forEach(({ id }) => seen.add(id));
  }
}

/** A secret that sees the servers of the one before is of the same account. */
function putCredential(
  tx: Change,
  entry: Deno.KvEntryMaybe<CredentialRecord>,
  how: {
    fresh: Omit<CredentialRecord, "v" | "account" | "createdAt" | "updatedAt">;
    account: string;
    living: NodeRecord[];
  },
): CredentialRecord {
  const record: CredentialRecord = {
    v: 1,
    ...how.fresh,
    account: how.living.length > 0 && entry.value ? entry.value.account : how.account,
    createdAt: entry.value?.createdAt ?? tx.now,
    updatedAt: tx.now,
  };
  tx.put(entry, record);
  return record;
}

/** Removes a secret. Throws `not_found`, and `conflict` while servers live under it. */
export async function removeCredential(edge: Edge, userId: string, provider: CredentialProvider): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<CredentialRecord>(credentialKey(userId, provider));
    if (!entry.value) throw notFound("credential");
    const living = await listLiving(tx, userId, provider);
    if (living.length > 0) {
      throw new AppError(
        "conflict",
        `${living.length} server(s) live under this credential. Destroy them first, or they could never be deleted.`,
      );
    }
    tx.check(entry).delete(entry.key);
  }, edge.clock);
}

/** Asks the provider whether it accepts the stored secret. Throws `not_found`. */
export async function checkCredential(
  edge: Edge,
  userId: string,
  provider: CredentialProvider,
): Promise<CredentialCheck> {
  const credential = await openCredential(edge, userId, provider);
  if (!credential) throw notFound("credential");
  try {
    if (provider === "git") return await checkGitHost(toGitCredential(credential));
    if (provider !== "hetzner") return await checkModelKey(provider, credential.secret);
    const api = new HetznerApi({ url: edge.config.HCLOUD_URL, token: credential.secret, timeoutMs: CHECK_TIMEOUT_MS });
    await api.check();
    return { ok: true, message: "Hetzner accepts the token." };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    return { ok: false, message: `Not accepted: ${error.message}.` };
  }
}

/** Which host a Git credential is for; no other has one. */
function nameOf({ provider, host, username }: { provider: CredentialProvider } & PutCredential) {
  if (provider === "git") {
    if (host !== undefined) return { host, ...username !== undefined && { username } };
    throw new AppError("invalid_request", "Name the host that the Git token is for, for example github.com.", {
      details: { issues: [{ field: "host", message: "is missing" }] },
    });
  }
  if (host === undefined && username === undefined) return {};
  throw new AppError("invalid_request", "Only a Git credential names a host and a user.");
}

/**
 * The owner's nodes at that provider which are not destroyed. The fleet is written with it, so that a machine which is
 * begun at the same moment is seen, or sees.
 */
async function listLiving(tx: Change, userId: string, provider: CredentialProvider): Promise<NodeRecord[]> {
  if (provider !== "hetzner") return [];
  const fleet = await readFleet(tx, userId);
  const nodeIds = fleet.value?.nodeIds ?? [];
  putFleet(tx, fleet, nodeIds);
  const nodes = await Promise.all(nodeIds.map(async (id) => (await tx.get<NodeRecord>(nodeKey(id))).value));
  return nodes.filter((node) =>
    node !== null && node.provider === provider && node.status !== "destroyed"
  ) as NodeRecord[];
}

async function requireSeen(edge: Edge, living: NodeRecord[], secret: string): Promise<void> {
  for (const node of living) {
    const server = await providerOf(edge, node.provider).get(node.providerRef ?? node.id, { secret }).catch(sayWhy);
    if (server) continue;
    throw new AppError(
      "conflict",
      "Servers live under the credential that is stored, and the new one does not see them. Destroy them first.",
    );
  }
}

function sayWhy(error: unknown): never {
  if (!(error instanceof ProviderError)) throw error;
  throw new AppError("conflict", `Servers live under the stored credential, and with the new one ${error.message}.`);
}

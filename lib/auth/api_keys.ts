/** API keys: `hk_` and 43 random characters, shown once, stored as SHA-256. */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import {
  type ApiKeyRecord,
  createApiKey,
  createUser,
  deleteApiKey,
  listApiKeys,
  readApiKeyByHash,
  readUser,
  readUserByLogin,
  touchApiKey,
  type UserRecord,
} from "../store/accounts.ts";
import { change } from "../store/change.ts";
import { userKey } from "../store/keys.ts";
import { API_KEYS_MAX } from "../wire/limits.ts";
import { sha256 } from "./hash.ts";

/** A use is noted at most this often. */
const TOUCH_EVERY_MS = 5 * 60_000;
const PREFIX_LENGTH = 9;

const touched = new WeakMap<Edge, Map<string, number>>();

/** Makes a key for a user. The answer is the only place where the key itself appears. */
export async function makeApiKey(
  edge: Edge,
  userId: string,
  options: { name: string; key?: string },
): Promise<{ key: string; record: ApiKeyRecord }> {
  const key = options.key ?? `hk_${newSecret()}`;
  const record = await newKeyRecord(key, { userId, name: options.name, now: edge.clock() });
  await change(edge.store, async (tx) => {
    // The user's record is what all who make keys at once check and write: so the limit is exact.
    const user = await tx.get<UserRecord>(userKey(userId));
    if (!user.value) throw notFound("user");
    if ((await listApiKeys(edge.store, userId)).length >= API_KEYS_MAX) {
      throw new AppError("limit_reached", `You have ${API_KEYS_MAX} API keys, which is the most. Delete one first.`);
    }
    createApiKey(tx.put(user, user.value), record);
  }, edge.clock);
  return { key, record };
}

/** The user and key that this API key belongs to, or null: unknown, revoked, or the user is disabled. */
export async function findApiKey(edge: Edge, key: string): Promise<{ user: UserRecord; keyId: string } | null> {
  if (!key.startsWith("hk_")) return null;
  const record = await readApiKeyByHash(edge.store, await sha256(key));
  const user = record && await readUser(edge.store, record.userId);
  if (!user || user.disabled) return null;
  await noteUse(edge, record.id);
  return { user, keyId: record.id };
}

/** Revokes a key of the user; the logins that were made with it end with it. Throws `not_found`. */
export async function revokeApiKey(edge: Edge, userId: string, keyId: string): Promise<void> {
  const record = (await listApiKeys(edge.store, userId)).find((key) => key.id === keyId);
  if (!record) throw notFound("API key");
  await change(edge.store, (tx) => deleteApiKey(tx, record), edge.clock);
}

/**
 * Makes sure that there is an admin with this key (or a fresh one when no user exists). Returns the key when it was made
 * here, so that it can be shown once.
 */
export async function ensureAdmin(
  edge: Edge,
  configured: string | undefined,
): Promise<{ admin: UserRecord; made: string | null }> {
  const known = await readUserByLogin(edge.store, "admin");
  if (known && (!configured || await readApiKeyByHash(edge.store, await sha256(configured)))) {
    return { admin: known, made: null };
  }
  const key = configured ?? `hk_${newSecret()}`;
  const admin = known ?? newUser({ login: "admin", displayName: "Admin", role: "admin", now: edge.clock() });
  const record = await newKeyRecord(key, { userId: admin.id, name: "First admin key", now: edge.clock() });
  await change(edge.store, (tx) => {
    if (!known) createUser(tx, admin);
    createApiKey(tx, record);
    return Promise.resolve();
  }, edge.clock);
  return { admin, made: configured ? null : key };
}

export function newUser(facts: Pick<UserRecord, "login" | "displayName" | "role"> & { now: number }): UserRecord {
  const { now, ...rest } = facts;
  return { v: 1, id: newId(), disabled: false, createdAt: now, ...rest };
}

async function newKeyRecord(key: string, facts: { userId: string; name: string; now: number }): Promise<ApiKeyRecord> {
  return {
    v: 1,
    id: newId(),
    userId: facts.userId,
    name: facts.name,
    prefix: key.slice(0, PREFIX_LENGTH),
    hash: await sha256(key),
    createdAt: facts.now,
  };
}

async function noteUse(edge: Edge, keyId: string): Promise<void> {
  const uses = touched.get(edge) ?? new Map<string, number>();
  touched.set(edge, uses);
  const now = edge.clock();
  if (now - (uses.get(keyId) ?? 0) < TOUCH_EVERY_MS) return;
  uses.set(keyId, now);
  await touchApiKey(edge.store, keyId, now);
}

/** Users, API keys, logins and sign-in links. Secrets are stored as SHA-256 only. */
import type { ApiKey, User } from "../wire/account.ts";
import type { Change, Versioned } from "./change.ts";
import {
  apiKeyByHashKey,
  apiKeyKey,
  apiKeyUsedKey,
  loginByUserKey,
  loginKey,
  POINTER,
  signInLinkKey,
  userByLoginKey,
  userKey,
} from "./keys.ts";
import type { Store } from "./store.ts";

export interface UserRecord extends Versioned {
  id: string;
  login: string;
  displayName: string;
  role: "admin" | "member";
  disabled: boolean;
  createdAt: number;
  /** Who they are at GitHub, where they may sign in with it. */
  github?: GithubAccount;
}

export interface GithubAccount {
  /** The name at GitHub that an admin gave, or that they came with first; null where it is somebody else's here. */
  name: string | null;
  /** GitHub's number of the account, which no rename changes; null until the first sign-in. */
  id: number | null;
  /** An admin made this user; else GITHUB_ALLOWED has to go on naming them. */
  invited: boolean;
}

export interface ApiKeyRecord extends Versioned {
  id: string;
  userId: string;
  name: string;
  prefix: string;
  hash: string;
  createdAt: number;
}

export interface LoginRecord extends Versioned {
  userId: string;
  keyId: string | null;
  expiresAt: number;
  createdAt: number;
}

export async function readUser(store: Store, userId: string): Promise<UserRecord | null> {
  return (await store.kv.get<UserRecord>(userKey(userId))).value;
}

export async function readUserByLogin(store: Store, login: string): Promise<UserRecord | null> {
  const pointer = await store.kv.get<string>(userByLoginKey(login.toLowerCase()));
  return pointer.value === null ? null : await readUser(store, pointer.value);
}

export async function listUsers(store: Store, limit = 500): Promise<UserRecord[]> {
  return (await Array.fromAsync(store.kv.list<UserRecord>({ prefix: ["user"] }, { limit }))).map((entry) =>
    entry.value
  );
}

/** Writes a new user; the commit fails when the login name is taken meanwhile. */
export function createUser(tx: Change, user: UserRecord): void {
  const byLogin = userByLoginKey(user.login.toLowerCase());
  tx.check({ key: byLogin, versionstamp: null }).set(byLogin, user.id).set(userKey(user.id), user);
}

export function createApiKey(tx: Change, key: ApiKeyRecord): void {
  tx.set(apiKeyKey(key.userId, key.id), key).set(apiKeyByHashKey(key.hash), { u: key.userId, k: key.id });
}

export async function readApiKeyByHash(store: Store, hash: string): Promise<ApiKeyRecord | null> {
  const pointer = await store.kv.get<{ u: string; k: string }>(apiKeyByHashKey(hash));
  if (pointer.value === null) return null;
  return (await store.kv.get<ApiKeyRecord>(apiKeyKey(pointer.value.u, pointer.value.k))).value;
}

export async function readApiKey(store: Store, userId: string, keyId: string): Promise<ApiKeyRecord | null> {
  return (await store.kv.get<ApiKeyRecord>(apiKeyKey(userId, keyId))).value;
}

export async function listApiKeys(store: Store, userId: string): Promise<(ApiKeyRecord & { usedAt: number | null })[]> {
  const keys = await Array.fromAsync(store.kv.list<ApiKeyRecord>({ prefix: ["apiKey", userId] }, { limit: 100 }));
  return await Promise.all(keys.map(async ({ value }) => ({
    ...value,
    usedAt: (await store.kv.get<number>(apiKeyUsedKey(value.id))).value,
  })));
}

/** Removes a key and ends every login that was made with it. */
export async function deleteApiKey(tx: Change, key: ApiKeyRecord): Promise<void> {
  tx.delete(apiKeyKey(key.userId, key.id)).delete(apiKeyByHashKey(key.hash)).delete(apiKeyUsedKey(key.id));
  await deleteLogins(tx, { userId: key.userId, keyId: key.id });
}

/** Ends every login of a user that this key made; null: those that no key made. */
export async function deleteLogins(tx: Change, made: { userId: string; keyId: string | null }): Promise<void> {
  for await (const entry of tx.kv.list({ prefix: ["loginByUser", made.userId] }, { limit: 500 })) {
    const hash = entry.key[2] as string;
    const login = await tx.get<LoginRecord>(loginKey(hash));
    if (login.value?.keyId === made.keyId) deleteLogin(tx, { userId: made.userId, hash });
  }
}

/** Notes that a key was used; blind, because a lost note costs nothing. */
export async function touchApiKey(store: Store, keyId: string, now: number): Promise<void> {
  await store.kv.set(apiKeyUsedKey(keyId), now);
}

export function putLogin(tx: Change, hash: string, login: LoginRecord): void {
  const expireIn = Math.max(1, login.expiresAt - tx.now);
  tx.set(loginKey(hash), login, { expireIn }).set(loginByUserKey(login.userId, hash), POINTER, { expireIn });
}

export function deleteLogin(tx: Change, login: { userId: string; hash: string }): void {
  tx.delete(loginKey(login.hash)).delete(loginByUserKey(login.userId, login.hash));
}

/** The login of a cookie's hash, if it has not expired: KV removes keys late, so the time is compared. */
export async function readLogin(store: Store, hash: string, now: number): Promise<LoginRecord | null> {
  const login = (await store.kv.get<LoginRecord>(loginKey(hash))).value;
  return login && login.expiresAt > now ? login : null;
}

export function putSignInLink(tx: Change, hash: string, link: { userId: string; expiresAt: number }): void {
  tx.set(signInLinkKey(hash), link, { expireIn: Math.max(1, link.expiresAt - tx.now) });
}

/** Takes a sign-in link out of the store: a second use of it finds nothing, also at the same moment. */
export async function takeSignInLink(tx: Change, hash: string): Promise<string | null> {
  const link = await tx.get<{ userId: string; expiresAt: number }>(signInLinkKey(hash));
  if (link.value === null || link.value.expiresAt <= tx.now) return null;
  tx.check(link).delete(link.key);
  return link.value.userId;
}

export function toUser(record: UserRecord): User {
  return { id: record.id, login: record.login, displayName: record.displayName, role: record.role };
}

export function toApiKey(record: ApiKeyRecord & { usedAt: number | null }): ApiKey {
  return {
    id: record.id,
    name: record.name,
    prefix: record.prefix,
    createdAt: new Date(record.createdAt).toISOString(),
    lastUsedAt: record.usedAt === null ? null : new Date(record.usedAt).toISOString(),
  };
}

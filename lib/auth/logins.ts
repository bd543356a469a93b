/** Logins of browsers: a random cookie, stored hashed, sliding over 30 days; and sign-in links that work once. */
import type { Edge } from "../edge.ts";
import { newSecret } from "../ids.ts";
import {
  deleteLogin,
  type LoginRecord,
  putLogin,
  putSignInLink,
  readApiKey,
  readLogin,
  readUser,
  takeSignInLink,
  type UserRecord,
} from "../store/accounts.ts";
import { change } from "../store/change.ts";
import { loginKey } from "../store/keys.ts";
import { sha256 } from "./hash.ts";

export const LOGIN_LIFE_MS = 30 * 24 * 3_600_000;
const LINK_LIFE_MS = 15 * 60_000;
/** A login is prolonged when a day of its life is gone: not at every request. */
const RENEW_AFTER_MS = 24 * 3_600_000;

/** Makes a login and returns the cookie's value. */
export async function startLogin(edge: Edge, userId: string, keyId: string | null): Promise<string> {
  const cookie = newSecret();
  const hash = await sha256(cookie);
  await change(edge.store, (tx) => {
    putLogin(tx, hash, { v: 1, userId, keyId, createdAt: tx.now, expiresAt: tx.now + LOGIN_LIFE_MS });
    return Promise.resolve();
  }, edge.clock);
  return cookie;
}

/**
 * The user of a login cookie, or null: unknown, expired, ended, its key revoked, or the user is disabled. `prolonged`:
 * the login lives longer from now on, and so should the browser's cookie.
 */
export async function findLogin(
  edge: Edge,
  cookie: string,
): Promise<{ user: UserRecord; hash: string; prolonged: boolean } | null> {
  const hash = await sha256(cookie);
  const login = await readLogin(edge.store, hash, edge.clock());
  if (!login) return null;
  // Looked at each time: a login may have begun in the moment in which its key was revoked.
  const [user, key] = await Promise.all([
    readUser(edge.store, login.userId),
    login.keyId === null ? null : readApiKey(edge.store, login.userId, login.keyId),
  ]);
  if (!user || user.disabled || (login.keyId !== null && !key)) return null;
  return { user, hash, prolonged: await prolong(edge, hash, login) };
}

export async function endLogin(edge: Edge, login: { userId: string; hash: string }): Promise<void> {
  await change(edge.store, (tx) => Promise.resolve(deleteLogin(tx, login)), edge.clock);
}

/** A token for `/signin/once/<token>`: 15 minutes, one use. */
export async function makeSignInLink(edge: Edge, userId: string): Promise<string> {
  const token = newSecret();
  const hash = await sha256(token);
  await change(edge.store, (tx) => {
    putSignInLink(tx, hash, { userId, expiresAt: tx.now + LINK_LIFE_MS });
    return Promise.resolve();
  }, edge.clock);
  return token;
}

/** Uses a sign-in link: the cookie of a new login, or null when the link is unknown, used or too old. */
export async function useSignInLink(edge: Edge, token: string): Promise<string | null> {
  const hash = await sha256(token);
  const userId = await change(edge.store, (tx) => takeSignInLink(tx, hash), edge.clock);
  return userId && await startLogin(edge, userId, null);
}

/** A login that was ended meanwhile stays ended. */
async function prolong(edge: Edge, hash: string, login: LoginRecord): Promise<boolean> {
  const expiresAt = edge.clock() + LOGIN_LIFE_MS;
  if (expiresAt - login.expiresAt < RENEW_AFTER_MS) return false;
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<LoginRecord>(loginKey(hash));
    if (!entry.value) return false;
    putLogin(tx.check(entry), hash, { ...entry.value, expiresAt });
    return true;
  }, edge.clock);
}

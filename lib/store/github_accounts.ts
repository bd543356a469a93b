/**
 * Whose GitHub account is whose. GitHub's number decides: a name there can be given up and taken by somebody else. So a
 * name belongs here to the first who had it, for good or until an admin gives it away, and opens nothing once a number
 * stands beside it.
 */
import type { GithubAccount, UserRecord } from "./accounts.ts";
import type { Change } from "./change.ts";
import { githubStateKey, POINTER, userByGithubIdKey, userByGithubNameKey, userKey } from "./keys.ts";

type UserEntry = Deno.KvEntryMaybe<UserRecord>;

/** The user with that number at GitHub, checked with the commit. */
export async function readGithubUser(tx: Change, id: number): Promise<UserRecord | null> {
  return (await follow(tx, userByGithubIdKey(id)))?.value ?? null;
}

/** The user to whom a name at GitHub belongs here, checked with the commit. */
export async function readGithubNamesake(tx: Change, name: string): Promise<UserRecord | null> {
  return (await follow(tx, userByGithubNameKey(name)))?.value ?? null;
}

/** Writes who a user is at GitHub in place of what was known; null takes it away. */
export async function putGithubAccount(tx: Change, userId: string, github: GithubAccount | null): Promise<void> {
  const entry: UserEntry = await tx.get<UserRecord>(userKey(userId));
  if (!entry.value) return;
  const { github: before, ...rest } = entry.value;
  if (before?.id) tx.delete(userByGithubIdKey(before.id));
  if (before?.name) tx.delete(userByGithubNameKey(before.name));
  if (github) await pointTo(tx, userId, github);
  tx.put(entry, github ? { ...rest, github } : rest);
}

/** Points from an account at GitHub to its user; the commit fails when another one came to have it meanwhile. */
export async function pointTo(tx: Change, userId: string, { id, name }: GithubAccount): Promise<void> {
  const keys = [...id === null ? [] : [userByGithubIdKey(id)], ...name === null ? [] : [userByGithubNameKey(name)]];
  for (const key of keys) {
    const entry = await tx.get<string>(key);
    if (entry.value !== null && entry.value !== userId) throw new Error("A GitHub account is another user's already.");
    tx.check(entry).set(key, userId);
  }
}

/** Uses up the state of one sign-in: false where it was used before, also at the same moment. */
export async function takeGithubState(tx: Change, hash: string, expiresAt: number): Promise<boolean> {
  const entry = await tx.get<number>(githubStateKey(hash));
  if (entry.value !== null) return false;
  tx.check(entry).set(entry.key, POINTER, { expireIn: Math.max(1, expiresAt - tx.now) });
  return true;
}

async function follow(tx: Change, key: Deno.KvKey): Promise<UserEntry | null> {
  const pointer = await tx.get<string>(key);
  tx.check(pointer);
  return pointer.value === null ? null : await tx.get<UserRecord>(userKey(pointer.value));
}

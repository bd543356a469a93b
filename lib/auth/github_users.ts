/**
 * Whom a sign-in at GitHub lets in, and as whom: users that an admin made, and those whom GITHUB_ALLOWED names; nobody
 * else. It goes by GitHub's number of the account; a name counts only until a number is known for it.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { cutText } from "../bytes.ts";
import { createUser, type UserRecord } from "../store/accounts.ts";
import { type Change, change } from "../store/change.ts";
import { pointTo, putGithubAccount, readGithubNamesake, readGithubUser } from "../store/github_accounts.ts";
import { userByLoginKey } from "../store/keys.ts";
import { NAME_MAX } from "../wire/limits.ts";
import { newUser } from "./api_keys.ts";

export interface GithubPerson {
  id: number;
  login: string;
  name: string | null;
}

export interface Allowed {
  /** In lower case. */
  logins: string[];
  organisations: string[];
}

/** `GITHUB_ALLOWED`: logins, and organisations with `org:` before their name. */
export function readAllowed(text: string | undefined): Allowed {
  const names = (text ?? "").toLowerCase().split(/[ ,]+/).filter((name) => name !== "");
  return {
    logins: names.filter((name) => !name.startsWith("org:")),
    organisations: names.filter((name) => name.startsWith("org:")).map((name) => name.slice("org:".length)),
  };
}

/**
 * The user that this person is, made when GITHUB_ALLOWED lets them in. `isMember` is asked only where their
 * organisations decide. Throws `not_invited`, and `forbidden` for a user who is disabled.
 */
export async function admitGithub(
  edge: Edge,
  person: GithubPerson,
  isMember: (organisation: string) => Promise<boolean>,
): Promise<UserRecord> {
  const allowed = readAllowed(edge.config.GITHUB_ALLOWED);
  const admit = (member: boolean) =>
    change(edge.store, (tx) => decide(tx, person, { logins: allowed.logins, member }), edge.clock);
  const user = await admit(false) ?? (await isInOne(allowed.organisations, isMember) ? await admit(true) : null);
  if (!user) {
    throw new AppError(
      "not_invited",
      `GitHub's user ${person.login} is not invited here. Ask an admin of this Hearth to add you.`,
    );
  }
  if (user.disabled) throw new AppError("forbidden", "Your account here is disabled. Ask an admin to enable it.");
  return user;
}

interface Rule {
  logins: string[];
  /** They belong to an organisation that is let in. */
  member: boolean;
}

async function decide(tx: Change, person: GithubPerson, { logins, member }: Rule): Promise<UserRecord | null> {
  const known = await readGithubUser(tx, person.id);
  if (known?.github) {
    const { invited, name } = known.github;
    return invited || member || (name !== null && logins.includes(name.toLowerCase())) ? known : null;
  }
  const namesake = await readGithubNamesake(tx, person.login);
  if (namesake?.github && namesake.github.id === null) {
    await putGithubAccount(tx, namesake.id, { ...namesake.github, id: person.id });
    return namesake;
  }
  // A name that another account had first lets nobody in: it was given up there, and taken by somebody else.
  const named = !namesake && logins.includes(person.login.toLowerCase());
  if (!named && !member) return null;
  return await addUser(tx, person, namesake ? null : person.login);
}

async function addUser(tx: Change, person: GithubPerson, name: string | null): Promise<UserRecord> {
  const taken = await tx.get(userByLoginKey(person.login.toLowerCase()));
  const login = taken.value === null ? person.login : `${person.login}-${person.id}`;
  const displayName = cutText(person.name?.trim() || person.login, NAME_MAX);
  const github = { name, id: person.id, invited: false };
  const user: UserRecord = { ...newUser({ login, displayName, role: "member", now: tx.now }), github };
  createUser(tx, user);
  await pointTo(tx, user.id, github);
  return user;
}

async function isInOne(organisations: string[], isMember: (name: string) => Promise<boolean>): Promise<boolean> {
  for (const name of organisations) if (await isMember(name)) return true;
  return false;
}

/** `users`: who may sign in. A user who is disabled is signed out everywhere within a minute and keeps all that is theirs. */
import { newUser } from "../auth/api_keys.ts";
import type { Edge } from "../edge.ts";
import {
  createUser,
  deleteLogins,
  type GithubAccount,
  listApiKeys,
  listUsers,
  readUserByLogin,
  type UserRecord,
} from "../store/accounts.ts";
import { type Change, change } from "../store/change.ts";
import { pointTo, putGithubAccount, readGithubNamesake } from "../store/github_accounts.ts";
import { userByLoginKey, userKey } from "../store/keys.ts";
import {
  type CommandCall,
  type CommandResult,
  formatList,
  Refusal,
  requireUser,
  requireWord,
  UsageError,
} from "./command.ts";

const LOGIN = /^[a-z0-9][a-z0-9._-]{0,38}$/i;
const GITHUB_NAME = /^[a-z0-9][a-z0-9_-]{0,38}$/i;

export async function listUsersCommand(call: CommandCall): Promise<CommandResult> {
  const users = await listUsers(call.edge.store);
  const rows = await Promise.all(users.map(async (user) => ({
    login: user.login,
    role: user.role,
    disabled: user.disabled,
    keys: (await listApiKeys(call.edge.store, user.id)).length,
    github: describeGithub(user.github),
    created: new Date(user.createdAt).toISOString(),
    id: user.id,
  })));
  return formatList(call, rows);
}

export async function addUser(call: CommandCall): Promise<CommandResult> {
  const { edge, options } = call;
  const login = requireWord(call, "The login name");
  if (!LOGIN.test(login)) {
    throw new UsageError("A login name has 1 to 39 letters, digits, dots, dashes and underscores.");
  }
  const name = readGithubName(options.get("github")) ?? (edge.config.GITHUB_CLIENT_ID ? login : null);
  const role = options.has("admin") ? "admin" : "member";
  const user = newUser({ login, displayName: login, role, now: edge.clock() });
  await change(edge.store, async (tx) => {
    const taken = await tx.get(userByLoginKey(login.toLowerCase()));
    if (taken.value !== null) throw new Refusal(`There is a user "${login}" already. Choose another login name.`);
    if (name === null) return createUser(tx, user);
    const github = { name, id: null, invited: true };
    await requireFreeName(tx, name, user.id);
    createUser(tx, { ...user, github });
    await pointTo(tx, user.id, github);
  }, edge.clock);
  const github = name === null ? "" : `${whoAtGithub(name, login)}\n`;
  return { text: `Added ${login} (${role}).`, note: github + await adviseAfterAdding(edge, login) };
}

/** Says whom a user is at GitHub, or that they sign in there no more. Logins that no key made end. */
export async function setGithub(call: CommandCall): Promise<CommandResult> {
  const { edge } = call;
  const user = await requireUser(edge, requireWord(call, "The login name"));
  const name = readGithubName(call.options.get("name"));
  if ((name === null) !== call.options.has("none")) throw new UsageError("Give one of --name NAME and --none.");
  await change(edge.store, async (tx) => {
    if (name !== null) await requireFreeName(tx, name, user.id);
    await putGithubAccount(tx, user.id, name === null ? null : { name, id: null, invited: true });
    await deleteLogins(tx, { userId: user.id, keyId: null });
  }, edge.clock);
  if (name === null) return { text: `${user.login} does not sign in at GitHub any more.` };
  return { text: `${user.login} may sign in at GitHub as ${name}.`, note: whoAtGithub(name, user.login) };
}

async function requireFreeName(tx: Change, name: string, userId: string): Promise<void> {
  const other = await readGithubNamesake(tx, name);
  if (!other || other.id === userId) return;
  throw new Refusal(
    `GitHub's name "${name}" belongs to ${other.login} already. First: deno task admin users github ${other.login} --none`,
  );
}

function readGithubName(name: string | undefined): string | null {
  if (name === undefined) return null;
  if (GITHUB_NAME.test(name)) return name;
  throw new UsageError("A name at GitHub has 1 to 39 letters, digits, dashes and underscores.");
}

function whoAtGithub(name: string, login: string): string {
  return `The first to sign in at GitHub as ${name} is ${login} from then on. Somebody else's name? ` +
    `deno task admin users github ${login} --none`;
}

function describeGithub(github: GithubAccount | undefined): string | null {
  if (!github) return null;
  return github.id === null ? `${github.name} (once signed in)` : `${github.name ?? "?"} (${github.id})`;
}

export async function disableUser(call: CommandCall): Promise<CommandResult> {
  const user = await setDisabled(call, true);
  return { text: `Disabled ${user.login}.`, note: "Open pages and sockets of this user end within a minute." };
}

export async function enableUser(call: CommandCall): Promise<CommandResult> {
  const user = await setDisabled(call, false);
  return { text: `Enabled ${user.login}.` };
}

async function setDisabled(call: CommandCall, disabled: boolean): Promise<UserRecord> {
  const { edge } = call;
  const user = await requireUser(edge, requireWord(call, "The login name"));
  if (disabled && await isLastAdmin(edge, user)) {
    throw new Refusal(
      `"${user.login}" is the last admin. Add another one first: deno task admin users add LOGIN --admin`,
    );
  }
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<UserRecord>(userKey(user.id));
    const next = { ...(entry.value ?? user), disabled };
    tx.put(entry, next);
    return next;
  }, edge.clock);
}

async function isLastAdmin(edge: Edge, user: UserRecord): Promise<boolean> {
  const admins = (await listUsers(edge.store)).filter(({ role, disabled }) => role === "admin" && !disabled);
  return admins.length === 1 && admins[0]!.id === user.id;
}

async function adviseAfterAdding(edge: Edge, login: string): Promise<string> {
  const key = `Make a key for them: deno task admin keys make ${login}`;
  const enabled = (await listUsers(edge.store)).filter((user) => !user.disabled).length;
  const { NODE_PROVIDER, LOCAL_PROVIDER_SHARED } = edge.config;
  if (NODE_PROVIDER !== "local" || LOCAL_PROVIDER_SHARED || enabled < 2) return key;
  return `${key}\nWith the local provider everybody's coding agents run as one user of this machine: from the next ` +
    "start on, Hearth wants LOCAL_PROVIDER_SHARED=1 for more than one user.";
}

/** The admin that every installation begins with, or the one named. */
export async function requireSignIn(edge: Edge, login: string | undefined): Promise<UserRecord> {
  const user = login === undefined ? await readUserByLogin(edge.store, "admin") : await requireUser(edge, login);
  if (!user) throw new Refusal('There is no user "admin". Name one: deno task admin signin-link LOGIN');
  if (user.disabled) {
    throw new Refusal(`"${user.login}" is disabled. First: deno task admin users enable ${user.login}`);
  }
  return user;
}

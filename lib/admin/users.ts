/** `users`: who may sign in. A user who is disabled is signed out everywhere within a minute and keeps all that is theirs. */
import { newUser } from "../auth/api_keys.ts";
import type { Edge } from "../edge.ts";
import { createUser, listApiKeys, listUsers, readUserByLogin, type UserRecord } from "../store/accounts.ts";
import { change } from "../store/change.ts";
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

export async function listUsersCommand(call: CommandCall): Promise<CommandResult> {
  const users = await listUsers(call.edge.store);
  const rows = await Promise.all(users.map(async (user) => ({
    login: user.login,
    role: user.role,
    disabled: user.disabled,
    keys: (await listApiKeys(call.edge.store, user.id)).length,
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
  const role = options.has("admin") ? "admin" : "member";
  const user = newUser({ login, displayName: login, role, now: edge.clock() });
  await change(edge.store, async (tx) => {
    const taken = await tx.get(userByLoginKey(login.toLowerCase()));
    if (taken.value !== null) throw new Refusal(`There is a user "${login}" already. Choose another login name.`);
    createUser(tx, user);
  }, edge.clock);
  return { text: `Added ${login} (${role}).`, note: await adviseAfterAdding(edge, login) };
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

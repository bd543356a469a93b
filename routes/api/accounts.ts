/** Signing in and out, who is signed in, API keys, and what the forms may offer. */
import { deleteCookie } from "hono/cookie";
import type { Context } from "hono";
import { findApiKey, makeApiKey, revokeApiKey } from "../../lib/auth/api_keys.ts";
import { LOGIN_COOKIE } from "../../lib/auth/callers.ts";
import { checkFailures, countFailure } from "../../lib/auth/limits.ts";
import { endLogin, startLogin } from "../../lib/auth/logins.ts";
import { readOptions } from "../../lib/admin/options.ts";
import { AppError } from "../../lib/errors.ts";
import { listApiKeys, toApiKey, toUser, type UserRecord } from "../../lib/store/accounts.ts";
import { stopEverything } from "../../lib/tasks/stop_everything.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { setLoginCookie } from "../_caller.ts";
import type { App, AppEnv } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountAccounts(app: App): void {
  serve(app, endpoints.login, async ({ c, body }) => ({ user: toUser(await signIn(c, body.apiKey)) }));
  serve(app, endpoints.logout, async ({ c, userCaller }) => await signOut(c, userCaller));
  serve(app, endpoints.me, ({ user }) => Promise.resolve({ user: toUser(user) }));
  serve(app, endpoints.stopEverything, ({ edge, user }) => stopEverything(edge, user.id));
  serve(app, endpoints.options, ({ edge }) => Promise.resolve(readOptions(edge)));
  serve(app, endpoints.listKeys, async ({ edge, user }) => {
    const keys = await listApiKeys(edge.store, user.id);
    return { items: keys.map(toApiKey), nextCursor: null };
  });
  serve(app, endpoints.createKey, async ({ edge, user, body }) => {
    const { key, record } = await makeApiKey(edge, user.id, { name: body.name });
    return { ...toApiKey({ ...record, usedAt: null }), key };
  });
  serve(app, endpoints.deleteKey, async ({ edge, user, params }) => await revokeApiKey(edge, user.id, params.keyId!));
}

/** Checks a key, starts a login and sets its cookie. Throws `unauthorized`, `rate_limited`. */
export async function signIn(c: Context<AppEnv>, apiKey: string): Promise<UserRecord> {
  const edge = c.get("edge");
  await checkFailures(edge, "signIn", c.get("address"));
  const found = await findApiKey(edge, apiKey);
  if (!found) {
    await countFailure(edge, "signIn", c.get("address"));
    throw new AppError("unauthorized", "This API key is wrong or was revoked. Check that you copied all of it.");
  }
  setLoginCookie(c, await startLogin(edge, found.user.id, found.keyId));
  return found.user;
}

/** Ends the caller's login, if it came by one, and takes the cookie back. */
export async function signOut(
  c: Context<AppEnv>,
  caller: { user: UserRecord; loginHash: string | null },
): Promise<void> {
  if (caller.loginHash) await endLogin(c.get("edge"), { userId: caller.user.id, hash: caller.loginHash });
  deleteCookie(c, LOGIN_COOKIE, { path: "/" });
}

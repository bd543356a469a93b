/** The person behind a request, within the limits of callers, and the cookie that their browser keeps. */
import type { Context } from "hono";
import { setCookie } from "hono/cookie";
import { findUser, LOGIN_COOKIE, requireUser, type UserCaller } from "../lib/auth/callers.ts";
import type { BucketRule } from "../lib/auth/limits.ts";
import { LOGIN_LIFE_MS } from "../lib/auth/logins.ts";
import type { Edge } from "../lib/edge.ts";
import { AppError } from "../lib/errors.ts";
import type { AppEnv } from "./_context.ts";

/** Whoever is signed in, or null. A login that was prolonged prolongs the browser's cookie too. */
export async function findCaller(c: Context<AppEnv>): Promise<UserCaller | null> {
  const caller = await findUser(c.get("edge"), c.req.raw.headers);
  if (caller?.prolonged) setLoginCookie(c, caller.prolonged);
  return caller;
}

/**
 * The user of a call, within their limit; a caller who is nobody uses up the limit of their address. Throws
 * `unauthorized`, `rate_limited`.
 */
export async function requireUserWithinLimits(c: Context<AppEnv>): Promise<UserCaller> {
  const [edge, buckets] = [c.get("edge"), c.get("buckets")];
  try {
    const caller = await requireUser(edge, c.req.raw.headers);
    const rule = { perSecond: edge.config.RATE_USER_PER_SECOND, burst: edge.config.RATE_USER_BURST };
    buckets.take(`user:${caller.user.id}`, rule, edge.clock());
    if (caller.prolonged) setLoginCookie(c, caller.prolonged);
    return caller;
  } catch (error) {
    if (error instanceof AppError && error.code === "unauthorized") {
      buckets.take(`address:${c.get("address")}`, anonymousRule(edge), edge.clock());
    }
    throw error;
  }
}

export function anonymousRule(edge: Edge): BucketRule {
  return { perSecond: edge.config.RATE_ANONYMOUS_PER_SECOND, burst: edge.config.RATE_ANONYMOUS_BURST };
}

export function setLoginCookie(c: Context<AppEnv>, value: string): void {
  setCookie(c, LOGIN_COOKIE, value, {
    path: "/",
    httpOnly: true,
    sameSite: "Lax",
    secure: c.get("edge").config.publicUrl.startsWith("https:"),
    maxAge: LOGIN_LIFE_MS / 1_000,
  });
}

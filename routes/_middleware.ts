/**
 * What every request passes: an id, the rules for Host and Origin, security headers, one log line without the query, and
 * one place that turns whatever was thrown into a problem document or an error page.
 */
import type { Context, MiddlewareHandler } from "hono";
import { credentialOf } from "../lib/auth/callers.ts";
import { isLoopback } from "../lib/config.ts";
import type { Edge } from "../lib/edge.ts";
import { AppError, toProblem } from "../lib/errors.ts";
import { newId, newSecret } from "../lib/ids.ts";
import type { AppEnv } from "./_context.ts";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Gives the request its id and nonce, and logs how it went. */
export const observe: MiddlewareHandler<AppEnv> = async (c, next) => {
  const started = performance.now();
  c.set("requestId", newId());
  c.set("nonce", newSecret(16));
  c.set("address", addressOf(c));
  await next();
  const { status } = c.res;
  if (status !== 101) setHeaders(c);
  c.get("edge").log[status >= 500 ? "error" : "debug"]("request", {
    requestId: c.get("requestId"),
    method: c.req.method,
    path: pathOf(c),
    status,
    ms: Math.round((performance.now() - started) * 10) / 10,
  });
};

/** Refuses a request that was meant for another host, and one that another site made with the user's cookie. */
export const guard: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { config } = c.get("edge");
  const url = new URL(c.req.url);
  if (!isOwnHost(url, config.publicUrl)) {
    throw new AppError("wrong_host", `This address is not served here. Use ${config.publicUrl}.`);
  }
  const changes = !SAFE_METHODS.has(c.req.method) || c.req.header("upgrade")?.toLowerCase() === "websocket";
  if (changes && isCrossSite(c.req.raw.headers, url)) {
    throw new AppError(
      "cross_site",
      "The request came from another site and was refused. Open Hearth itself and try again.",
    );
  }
  await next();
};

/** The answer to anything thrown on the way. */
export function answerError(error: unknown, c: Context<AppEnv>): Response {
  const requestId = c.get("requestId") ?? newId();
  // An error of the store carries what the store said, which the caller is not told.
  if (!(error instanceof AppError) || (error.status >= 500 && error.cause)) {
    const cause = error instanceof AppError ? error.cause : undefined;
    c.get("edge").log.error("request_failed", { requestId, method: c.req.method, path: pathOf(c), error, cause });
  }
  const problem = toProblem(error, requestId);
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (error instanceof AppError && error.retryAfterSeconds) headers.set("retry-after", String(error.retryAfterSeconds));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

function setHeaders(c: Context<AppEnv>): void {
  const nonce = `'nonce-${c.get("nonce")}'`;
  const { headers } = c.res;
  headers.set(
    "content-security-policy",
    `default-src 'none'; script-src 'self' ${nonce}; style-src 'self' ${nonce}; img-src 'self' data:; connect-src 'self'; ` +
      "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  headers.set("referrer-policy", "no-referrer");
  headers.set("x-content-type-options", "nosniff");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("x-request-id", c.get("requestId"));
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
}

/**
 * A page on another port of the same host is sent the SameSite cookie too, so the whole origin must match. Without a
 * cookie a browser is refused only when it says that it comes from elsewhere: such a form must not sign anybody in.
 */
function isCrossSite(headers: Headers, url: URL): boolean {
  const credential = credentialOf(headers);
  if (credential === "token") return false;
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site !== "same-origin";
  const origin = headers.get("origin");
  if (origin === null) return credential === "cookie";
  return !URL.canParse(origin) || new URL(origin).host !== url.host;
}

/** The path as the log may have it: a sign-in link is a secret. */
function pathOf(c: Context<AppEnv>): string {
  return c.req.path.replace(/^\/signin\/once\/.*/s, "/signin/once/…");
}

function isOwnHost(url: URL, publicUrl: string): boolean {
  return url.host === new URL(publicUrl).host || isLoopback(url.hostname);
}

/** The caller's address; behind a trusted proxy the last hop that the proxy itself has written. */
function addressOf(c: Context<AppEnv>): string {
  const edge: Edge = c.get("edge");
  const forwarded = edge.config.TRUST_PROXY ? c.req.header("x-forwarded-for")?.split(",").at(-1)?.trim() : undefined;
  const remote = c.env?.remoteAddr;
  return forwarded || (remote && "hostname" in remote ? remote.hostname : "unknown");
}

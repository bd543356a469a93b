/**
 * Signing in at GitHub: the way there, and the way back. The way back counts once, in the browser that set out; it leads
 * to the projects or to the sign-in page with the reason, and nowhere that an address could name.
 */
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { finishGithub, startGithub, STATE_LIFE_MS } from "../lib/auth/github_state.ts";
import { admitGithub, readAllowed } from "../lib/auth/github_users.ts";
import { checkFailures, countFailure } from "../lib/auth/limits.ts";
import { startLogin } from "../lib/auth/logins.ts";
import type { Edge } from "../lib/edge.ts";
import { AppError, notFound } from "../lib/errors.ts";
import {
  authorizeUrl,
  exchangeCode,
  type GithubOptions,
  GithubUnavailable,
  isMemberOf,
  readPerson,
} from "../lib/providers/github.ts";
import type { UserRecord } from "../lib/store/accounts.ts";
import { anonymousRule, setLoginCookie } from "./_caller.ts";
import type { App, AppEnv } from "./_context.ts";

const COOKIE = "hearth_github";
const PATH = "/auth/github";
const CODE = /^[\x21-\x7e]{1,500}$/;
const AGAIN = "Start again with Sign in with GitHub.";

type Ctx = Context<AppEnv>;
type Answer = Response | Promise<Response>;

/** Whether people may sign in at GitHub. */
export function isGithubOn({ config }: Edge): boolean {
  return config.GITHUB_CLIENT_ID !== undefined;
}

/** Mounts both ways; `refuse` answers what came to nothing. */
export function mountGithub(app: App, refuse: (c: Ctx, error: AppError) => Answer): void {
  const guarded = (work: (c: Ctx, github: GithubOptions) => Answer) => async (c: Ctx): Promise<Response> => {
    const edge = c.get("edge");
    const github = githubOf(edge);
    // A look ahead by the browser, or HEAD, neither begins nor ends anything.
    if (c.req.method !== "GET" || c.req.header("sec-purpose")) return c.body(null, 204);
    try {
      c.get("buckets").take(`address:${c.get("address")}`, anonymousRule(edge), edge.clock());
      await checkFailures(edge, "signIn", c.get("address"));
      return await work(c, github);
    } catch (error) {
      return await refuse(c, toRefusal(edge, error));
    }
  };
  app.get(PATH, guarded(setOut));
  app.get(`${PATH}/callback`, guarded(comeBack));
}

async function setOut(c: Ctx, github: GithubOptions): Promise<Response> {
  const edge = c.get("edge");
  const { publicUrl } = edge.config;
  // The way back is to that host, and the cookie has to be there.
  if (new URL(c.req.url).host !== new URL(publicUrl).host) return c.redirect(publicUrl + PATH);
  const { state, challenge, cookie } = await startGithub(edge);
  setCookie(c, COOKIE, cookie, {
    path: PATH,
    httpOnly: true,
    sameSite: "Lax",
    secure: publicUrl.startsWith("https:"),
    maxAge: STATE_LIFE_MS / 1_000,
  });
  const organisations = readAllowed(edge.config.GITHUB_ALLOWED).organisations.length > 0;
  return c.redirect(authorizeUrl(github, { state, challenge, redirectUri: callbackUrl(edge), organisations }));
}

async function comeBack(c: Ctx, github: GithubOptions): Promise<Response> {
  const edge = c.get("edge");
  const { state = "", code = "", error } = c.req.query();
  const cookie = getCookie(c, COOKIE) ?? "";
  deleteCookie(c, COOKIE, { path: PATH });
  const verifier = await finishGithub(edge, { state, cookie });
  if (verifier === null) {
    throw new AppError(
      "invalid_request",
      `This sign-in was begun in another browser or tab, more than ten minutes ago, or used already. ${AGAIN}`,
    );
  }
  if (error === "access_denied") {
    throw new AppError("invalid_request", "You cancelled signing in at GitHub. Try again, or use your API key.");
  }
  if (error !== undefined || !CODE.test(code)) throw new GithubUnavailable("it sent the browser back without a code");
  const user = await identify(c, github, { code, verifier }).catch(async (thrown) => {
    if (thrown instanceof AppError && thrown.status < 500) await countFailure(edge, "signIn", c.get("address"));
    throw thrown;
  });
  setLoginCookie(c, await startLogin(edge, user.id, null));
  return c.redirect("/projects", 303);
}

async function identify(
  c: Ctx,
  github: GithubOptions,
  shown: { code: string; verifier: string },
): Promise<UserRecord> {
  const edge = c.get("edge");
  const token = await exchangeCode(github, { ...shown, redirectUri: callbackUrl(edge) });
  if (token === null) {
    throw new AppError("unauthorized", `GitHub did not confirm this sign-in: its code is wrong or too old. ${AGAIN}`);
  }
  const person = await readPerson(github, token);
  return await admitGithub(edge, person, (organisation) => isMemberOf(github, token, organisation));
}

function toRefusal(edge: Edge, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof GithubUnavailable)) throw error;
  edge.log.warn("github_unavailable", { reason: error.message });
  return new AppError(
    "github_unavailable",
    "GitHub did not answer as it should, so you are not signed in. Try again in a minute, or use your API key.",
  );
}

function githubOf({ config }: Edge): GithubOptions {
  const { GITHUB_CLIENT_ID: clientId, GITHUB_CLIENT_SECRET: clientSecret } = config;
  if (!clientId || !clientSecret) throw notFound("page");
  return { url: config.GITHUB_URL, apiUrl: config.GITHUB_API_URL, clientId, clientSecret };
}

function callbackUrl({ config }: Edge): string {
  return `${config.publicUrl}${PATH}/callback`;
}

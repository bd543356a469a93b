/**
 * GitHub as a place to sign in: where to send a person, and who came back. Every call has an end, a bounded answer and no
 * redirect. What goes wrong is told without anything that was sent or received: both hold secrets.
 */
import ky from "ky";
import { z } from "zod";

const TIMEOUT_MS = 10_000;
const ANSWER_MAX_BYTES = 256 * 1024;

const granted = z.object({ access_token: z.string().regex(/^[\w.-]{1,500}$/) });
const refused = z.object({ error: z.string() });
const person = z.object({
  id: z.int().positive(),
  login: z.string().regex(/^[a-z\d][\w-]{0,38}$/i),
  name: z.string().nullish().transform((name) => name ?? null),
});
const membership = z.object({ state: z.string() });

export interface GithubOptions {
  url: string;
  apiUrl: string;
  clientId: string;
  clientSecret: string;
  /** How long one call may take, its answer included. */
  timeoutMs?: number;
}

/** GitHub did not answer, or not with what it should have. */
export class GithubUnavailable extends Error {
  override name = "GithubUnavailable";
}

/** Where a person says yes. `organisations`: they are also asked to let us see which ones they belong to. */
export function authorizeUrl(
  { url, clientId }: GithubOptions,
  asked: { state: string; challenge: string; redirectUri: string; organisations: boolean },
): string {
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: asked.redirectUri,
    state: asked.state,
    code_challenge: asked.challenge,
    code_challenge_method: "S256",
    ...asked.organisations ? { scope: "read:org" } : {},
  });
  return `${trim(url)}/login/oauth/authorize?${query}`;
}

/** The token for a code, or null when GitHub refuses the code. Throws GithubUnavailable. */
export async function exchangeCode(
  options: GithubOptions,
  shown: { code: string; verifier: string; redirectUri: string },
): Promise<string | null> {
  const body = new URLSearchParams({
    client_id: options.clientId,
    client_secret: options.clientSecret,
    code: shown.code,
    code_verifier: shown.verifier,
    redirect_uri: shown.redirectUri,
  });
  const { status, answer } = await call(options, `${trim(options.url)}/login/oauth/access_token`, { body });
  const token = granted.safeParse(answer);
  if (status === 200 && token.success) return token.data.access_token;
  const refusal = refused.safeParse(answer);
  // Other refusals, of the client id or the address, are the operator's to mend.
  if (refusal.success && refusal.data.error === "bad_verification_code") return null;
  throw new GithubUnavailable(`the exchange of the code was answered with ${describe(status, refusal.data?.error)}`);
}

/** Who a token belongs to. Throws GithubUnavailable. */
export async function readPerson(options: GithubOptions, token: string): Promise<z.output<typeof person>> {
  const { status, answer } = await call(options, `${trim(options.apiUrl)}/user`, { token });
  const read = person.safeParse(answer);
  if (status === 200 && read.success) return read.data;
  throw new GithubUnavailable(`the question who it is was answered with ${describe(status)}`);
}

/** Whether the token's owner is an active member. Throws GithubUnavailable. */
export async function isMemberOf(options: GithubOptions, token: string, organisation: string): Promise<boolean> {
  const url = `${trim(options.apiUrl)}/user/memberships/orgs/${encodeURIComponent(organisation)}`;
  const { status, answer } = await call(options, url, { token });
  // Not a member, or the organisation lets this app see nothing.
  if (status === 404 || status === 403) return false;
  const read = membership.safeParse(answer);
  if (status === 200 && read.success) return read.data.state === "active";
  throw new GithubUnavailable(`the question for an organisation was answered with ${describe(status)}`);
}

async function call(
  { timeoutMs = TIMEOUT_MS }: GithubOptions,
  url: string,
  sent: { body?: URLSearchParams; token?: string },
): Promise<{ status: number; answer: unknown }> {
  const headers: Record<string, string> = { "user-agent": "hearth", accept: "application/json" };
  if (sent.token) headers.authorization = `Bearer ${sent.token}`;
  try {
    const response = await ky(url, {
      method: sent.body ? "POST" : "GET",
      body: sent.body,
      headers,
      retry: 0,
      timeout: false,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "manual",
      throwHttpErrors: false,
    });
    return { status: response.status, answer: toJson(await readText(response)) };
  } catch {
    // What was thrown may hold the request with its secrets.
    throw new GithubUnavailable("there was no answer that could be read");
  }
}

/** Throws when the answer is longer than any that is meant. */
async function readText(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_MAX_BYTES) throw new GithubUnavailable("the answer is too long");
  }
  return text + decoder.decode();
}

/** What is no JSON is as good as nothing. */
function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function describe(status: number, error = ""): string {
  return /^\w{1,60}$/.test(error) ? `status ${status}, ${error}` : `status ${status}`;
}

function trim(url: string): string {
  return url.replace(/\/+$/, "");
}

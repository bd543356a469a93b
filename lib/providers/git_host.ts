/**
 * Whether a Git host accepts a token: it is asked over https for a repository that nobody has, first without and then
 * with the token. No redirect is followed, and nothing of what the host says is passed on.
 */
import ky from "ky";
import type { CredentialCheck, GitCredential } from "../wire/credential.ts";

const TIMEOUT_MS = 10_000;
/** Where Git itself would begin to read a repository. */
const PATH = "/hearth/credential-check.git/info/refs?service=git-upload-pack";

/** `origin` takes the place of the host's own. */
export async function checkGitHost(
  { host, username, password }: GitCredential,
  origin = `https://${host}`,
): Promise<CredentialCheck> {
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  try {
    // A host that never asks says nothing about the token by not refusing it.
    if (await ask(origin) !== 401) {
      return { ok: false, message: `${host} asks for no token, so nothing can be told. Is it the host of Git itself?` };
    }
    const status = await ask(origin, authorization);
    if (status === 200 || status === 404) {
      return { ok: true, message: `${host} accepts the token. Which repositories it opens is seen when one is used.` };
    }
    const refused = status === 401 || status === 403;
    const text = refused ? "does not accept the token" : "could not tell, try again later";
    return { ok: false, message: `${host} ${text} (status ${status}).` };
  } catch {
    // What was thrown may hold the request with the token.
    return { ok: false, message: `${host} could not be reached over https.` };
  }
}

async function ask(origin: string, authorization?: string): Promise<number> {
  const response = await ky(`${origin}${PATH}`, {
    headers: authorization === undefined ? {} : { authorization },
    retry: 0,
    timeout: TIMEOUT_MS,
    // A redirect would carry the token elsewhere.
    redirect: "manual",
    throwHttpErrors: false,
  });
  await response.body?.cancel();
  return response.status;
}

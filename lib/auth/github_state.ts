/**
 * What ties the way back from GitHub to the browser that set out: a signed cookie of ten minutes holds the state that
 * the address carries, and each state counts once. The verifier of PKCE is made from the state under our own key, so it
 * never leaves the edge before the code is exchanged.
 */
import { base64url } from "jose";
import type { Edge } from "../edge.ts";
import { toBytes } from "../bytes.ts";
import { newSecret } from "../ids.ts";
import { change } from "../store/change.ts";
import { takeGithubState } from "../store/github_accounts.ts";
import { isSameHash, sha256 } from "./hash.ts";

export const STATE_LIFE_MS = 10 * 60_000;

export interface GithubStart {
  state: string;
  /** For the browser. */
  cookie: string;
  /** SHA-256 of the verifier, as PKCE sends it ahead. */
  challenge: string;
}

/** Begins a sign-in. Nothing is stored: whoever only sets out costs no room. */
export async function startGithub(edge: Edge): Promise<GithubStart> {
  const state = newSecret();
  const part = `${state}.${edge.clock() + STATE_LIFE_MS}`;
  const [key] = edge.keyring.keys;
  const verifier = await sign(key!.secret, `verifier|${state}`);
  const challenge = base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", toBytes(verifier))));
  return { state, cookie: `${part}.${await sign(key!.secret, `cookie|${part}`)}`, challenge };
}

/**
 * The verifier of the sign-in that this browser began with this state, which is used up by it; or null: begun in another
 * browser, longer ago than ten minutes, or used before.
 */
export async function finishGithub(
  edge: Edge,
  { state, cookie }: { state: string; cookie: string },
): Promise<string | null> {
  const [, begun, expiresAt, signature] = /^([\w-]{43})\.(\d{1,16})\.([\w-]{43})$/.exec(cookie) ?? [];
  if (!begun || !isSameHash(begun, state) || Number(expiresAt) <= edge.clock()) return null;
  const part = `${begun}.${expiresAt}`;
  for (const { secret } of edge.keyring.keys) {
    if (!isSameHash(await sign(secret, `cookie|${part}`), signature!)) continue;
    const hash = await sha256(state);
    const fresh = await change(edge.store, (tx) => takeGithubState(tx, hash, Number(expiresAt)), edge.clock);
    return fresh ? await sign(secret, `verifier|${state}`) : null;
  }
  return null;
}

/** The name in front keeps these signatures apart from those of tokens under the same secret. */
async function sign(secret: Uint8Array, text: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(secret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, toBytes(`github-sign-in|${text}`));
  return base64url.encode(new Uint8Array(signature));
}

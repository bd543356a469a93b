/**
 * The JWTs of nodes and workspaces: HS256 only, a key id, one audience each, 24 hours. Every call that shows one also
 * reads the node's or workspace's row, so a token alone opens nothing that is gone.
 */
import { errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { toBytes } from "../bytes.ts";
import { AppError } from "../errors.ts";

export const TOKEN_LIFE_S = 24 * 3_600;
const ISSUER = "hearth";
/** Tokens remembered at once; the oldest are forgotten first. */
const VERIFIED_MAX = 2_000;

/** The signing keys: the first signs, all verify. */
export interface Keyring {
  keys: { kid: string; secret: Uint8Array }[];
  /** Payloads of tokens whose signature was found good: an agent shows the same token with every batch. */
  verified: Map<string, { payload: unknown; expiresAtMs: number }>;
}

const nodeClaims = z.object({ node: z.string(), generation: z.number() });
const workspaceClaims = nodeClaims.extend({ workspace: z.string(), run: z.number().nullable() });
export type NodeClaims = z.infer<typeof nodeClaims>;
export type WorkspaceClaims = z.infer<typeof workspaceClaims>;

/** Reads `JWT_SECRET`: one secret, or several as `id:secret` separated by commas. */
export function readKeyring(text: string): Keyring {
  const keys = text.split(",").map((part, i) => {
    const at = part.indexOf(":");
    return at > 0 && at < 20
      ? { kid: part.slice(0, at), secret: toBytes(part.slice(at + 1)) }
      : { kid: `k${i}`, secret: toBytes(part) };
  });
  return { keys, verified: new Map() };
}

export async function signNodeToken(keyring: Keyring, claims: NodeClaims, now: number): Promise<string> {
  return await sign(keyring, "node-callback", claims, now);
}

export async function signWorkspaceToken(keyring: Keyring, claims: WorkspaceClaims, now: number): Promise<string> {
  return await sign(keyring, "workspace-callback", claims, now);
}

/** The claims of a node's token. Throws `unauthorized` with what is wrong with it. */
export async function verifyNodeToken(keyring: Keyring, token: string, now: number): Promise<NodeClaims> {
  return readClaims(nodeClaims, await verify(keyring, "node-callback", token, now));
}

/** The claims of a workspace's token. Throws `unauthorized` with what is wrong with it. */
export async function verifyWorkspaceToken(keyring: Keyring, token: string, now: number): Promise<WorkspaceClaims> {
  return readClaims(workspaceClaims, await verify(keyring, "workspace-callback", token, now));
}

async function sign(keyring: Keyring, audience: string, claims: Record<string, unknown>, now: number): Promise<string> {
  const key = keyring.keys[0]!;
  const issuedAt = Math.floor(now / 1000);
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", kid: key.kid })
    .setIssuer(ISSUER).setAudience(audience)
    .setIssuedAt(issuedAt).setExpirationTime(issuedAt + TOKEN_LIFE_S)
    .sign(key.secret);
}

async function verify(keyring: Keyring, audience: string, token: string, now: number): Promise<unknown> {
  const name = `${audience} ${token}`;
  const known = keyring.verified.get(name);
  if (known && now < known.expiresAtMs) return known.payload;
  const payload = await verifySigned(keyring, audience, token, now);
  keyring.verified.set(name, { payload, expiresAtMs: payload.exp! * 1_000 });
  if (keyring.verified.size > VERIFIED_MAX) keyring.verified.delete(keyring.verified.keys().next().value!);
  return payload;
}

async function verifySigned(keyring: Keyring, audience: string, token: string, now: number): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, (header) => findKey(keyring, header.kid), {
      algorithms: ["HS256"],
      audience,
      issuer: ISSUER,
      requiredClaims: ["exp", "node"],
      currentDate: new Date(now),
    });
    return payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    const expired = error instanceof errors.JWTExpired;
    throw new AppError("unauthorized", expired ? "The token has expired. Renew it." : "The token is not valid here.", {
      cause: error,
    });
  }
}

function readClaims<T>(schema: z.ZodType<T>, payload: unknown): T {
  const claims = schema.safeParse(payload);
  if (claims.success) return claims.data;
  throw new AppError("unauthorized", "The token is not valid here.", { cause: claims.error });
}

function findKey(keyring: Keyring, kid: string | undefined): Uint8Array {
  const key = keyring.keys.find((each) => each.kid === kid);
  if (!key) throw new errors.JWTInvalid("unknown key id");
  return key.secret;
}

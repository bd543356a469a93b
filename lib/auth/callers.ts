/**
 * Who calls: from the headers of a request to a user, a node or a workspace. Every node's call also reads its row, so
 * that a token of something that is gone or fenced opens nothing.
 */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import type { UserRecord } from "../store/accounts.ts";
import { type NodeRecord, readNode } from "../store/nodes.ts";
import { readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { findApiKey } from "./api_keys.ts";
import { findLogin } from "./logins.ts";
import { type NodeClaims, verifyNodeToken, verifyWorkspaceToken, type WorkspaceClaims } from "./tokens.ts";

export const LOGIN_COOKIE = "hearth_login";

export interface UserCaller {
  user: UserRecord;
  /** The hash of the login; null: the call carried an API key. */
  loginHash: string | null;
  /** The cookie, when its login was prolonged just now: the browser must learn of it. */
  prolonged: string | null;
}

/** The user of a request, by API key or cookie, or null when it carries neither or they are not valid any more. */
export async function findUser(edge: Edge, headers: Headers): Promise<UserCaller | null> {
  const token = bearerOf(headers);
  if (token !== null) {
    const found = await findApiKey(edge, token);
    return found && { user: found.user, loginHash: null, prolonged: null };
  }
  const cookie = cookieOf(headers);
  const found = cookie ? await findLogin(edge, cookie) : null;
  return found && { user: found.user, loginHash: found.hash, prolonged: found.prolonged ? cookie : null };
}

/** The user of a request. Throws `unauthorized`. */
export async function requireUser(edge: Edge, headers: Headers): Promise<UserCaller> {
  const caller = await findUser(edge, headers);
  if (caller) return caller;
  throw new AppError("unauthorized", "You are not signed in, or your API key is not valid. Sign in and try again.");
}

/** What says who calls: a header that only a program sets, a browser's cookie, or nothing. */
export function credentialOf(headers: Headers): "token" | "cookie" | null {
  if (bearerOf(headers) !== null) return "token";
  return cookieOf(headers) === null ? null : "cookie";
}

/** The node of a call to its own path. Throws `unauthorized`, `forbidden`, `not_found`. */
export async function requireNodeCaller(
  edge: Edge,
  headers: Headers,
  nodeId: string,
): Promise<{ node: NodeRecord; claims: NodeClaims }> {
  const claims = await verifyNodeToken(edge.keyring, requireBearer(headers), edge.clock());
  if (claims.node !== nodeId) throw new AppError("forbidden", "The token belongs to another node.");
  const node = await readNode(edge.store, nodeId);
  if (!node) throw notFound("node");
  return { node, claims };
}

/**
 * The workspace of a call. With `workspaceId` the token must be of exactly that one. Rows of an old generation or run
 * may still deliver; what else they may not do is decided where it is done. Throws `unauthorized`, `forbidden`,
 * `not_found`.
 */
export async function requireWorkspaceCaller(
  edge: Edge,
  headers: Headers,
  workspaceId: string | null,
): Promise<{ workspace: WorkspaceRecord; claims: WorkspaceClaims }> {
  const claims = await verifyWorkspaceToken(edge.keyring, requireBearer(headers), edge.clock());
  if (workspaceId !== null && claims.workspace !== workspaceId) {
    throw new AppError("forbidden", "The token belongs to another workspace.");
  }
  const workspace = await readWorkspace(edge.store, claims.workspace);
  if (!workspace || workspace.nodeId !== claims.node) throw notFound("workspace");
  return { workspace, claims };
}

/** Throws `node_fenced` when the node was given up since the token was made. */
export async function refuseFenced(edge: Edge, claims: NodeClaims): Promise<void> {
  const node = await readNode(edge.store, claims.node);
  if (node && node.generation === claims.generation) return;
  throw new AppError("node_fenced", "This node was given up. Deliver what is left, end all work, and enrol again.");
}

function bearerOf(headers: Headers): string | null {
  const match = /^Bearer ([\w.~+/=-]+)$/i.exec(headers.get("authorization") ?? "");
  return match ? match[1]! : null;
}

function requireBearer(headers: Headers): string {
  const token = bearerOf(headers);
  if (token) return token;
  throw new AppError("unauthorized", "The call carries no token. Send it as Authorization: Bearer.");
}

function cookieOf(headers: Headers): string | null {
  const match = /(?:^|;\s*)hearth_login=([\w-]{20,100})(?:;|$)/.exec(headers.get("cookie") ?? "");
  return match ? match[1]! : null;
}

/**
 * Mounts an endpoint of `wire/endpoints.ts`: who calls, limits, path, query and body are settled here by its schemas, in
 * the same order for every call, so that a handler gets plain types and does one thing.
 */
import type { Context } from "hono";
import type { z } from "zod";
import { requireNodeCaller, requireWorkspaceCaller, type UserCaller } from "../lib/auth/callers.ts";
import { sha256Bytes } from "../lib/auth/hash.ts";
import type { NodeClaims, WorkspaceClaims } from "../lib/auth/tokens.ts";
import type { Edge } from "../lib/edge.ts";
import { AppError } from "../lib/errors.ts";
import type { UserRecord } from "../lib/store/accounts.ts";
import type { IdempotentCall } from "../lib/store/idempotency.ts";
import type { NodeRecord } from "../lib/store/nodes.ts";
import type { WorkspaceRecord } from "../lib/store/workspaces.ts";
import type { Caller, Endpoint } from "../lib/wire/endpoint.ts";
import { pathParameters } from "../lib/wire/endpoints.ts";
import { BODY_MAX_BYTES } from "../lib/wire/limits.ts";
import { parse, readBody } from "./_body.ts";
import { anonymousRule, requireUserWithinLimits } from "./_caller.ts";
import type { App, AppEnv } from "./_context.ts";

/** What a handler gets. Only what fits the endpoint's caller is there; asking for anything else throws. */
export interface Call<Q, B> {
  edge: Edge;
  c: Context<AppEnv>;
  params: Record<string, string>;
  query: Q;
  body: B;
  user: UserRecord;
  userCaller: UserCaller;
  node: NodeRecord;
  nodeClaims: NodeClaims;
  workspace: WorkspaceRecord;
  workspaceClaims: WorkspaceClaims;
  idempotency: IdempotentCall | null;
}

type Who = Pick<Call<never, never>, "user" | "userCaller" | "node" | "nodeClaims" | "workspace" | "workspaceClaims">;

/** Serves `endpoint` with `handler`. The answer's type is checked against the endpoint's schema by the compiler. */
export function serve<Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  app: App,
  endpoint: Endpoint<Q, B, A>,
  handler: (call: Call<z.output<Q>, z.output<B>>) => Promise<z.input<A> | Response | void>,
): void {
  app.on(endpoint.method, endpoint.path, async (c) => {
    const edge = c.get("edge");
    const params = parseParams(c.req.param() as Record<string, string>);
    const who = await authenticate(c, endpoint.caller, params);
    const query = parse(endpoint.query, c.req.query(), "query");
    const maxBytes = endpoint.caller === "workspace" ? edge.config.MAX_MESSAGES_PAYLOAD_BYTES : BODY_MAX_BYTES;
    const { value: body, bytes } = endpoint.method === "GET"
      ? { value: undefined as z.output<B>, bytes: new Uint8Array() }
      : await readBody(c.req.raw, endpoint.body, maxBytes);
    const idempotency = endpoint.idempotent ? await readIdempotency(c, who, endpoint, bytes) : null;
    const answer = await handler({ ...who, edge, c, params, query, body, idempotency });
    return toResponse(c, endpoint, answer);
  });
}

/** Path parameters by their schemas, ids in lower case. Throws `invalid_request` for what cannot be an id. */
function parseParams(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const schema = pathParameters[name];
      return [name, schema ? parse(schema, value, "path") : value];
    }),
  );
}

async function authenticate(c: Context<AppEnv>, caller: Caller, params: Record<string, string>): Promise<Who> {
  const [edge, buckets] = [c.get("edge"), c.get("buckets")];
  const { config } = edge;
  const node = { perSecond: config.RATE_NODE_PER_SECOND, burst: config.RATE_NODE_BURST };
  switch (caller) {
    case "public":
      buckets.take(`address:${c.get("address")}`, anonymousRule(edge), edge.clock());
      return {} as Who;
    case "user": {
      const userCaller = await requireUserWithinLimits(c);
      return { userCaller, user: userCaller.user } as Who;
    }
    case "node": {
      const found = await requireNodeCaller(edge, c.req.raw.headers, params.nodeId!);
      buckets.take(`node:${found.node.id}`, node, edge.clock());
      return { node: found.node, nodeClaims: found.claims } as Who;
    }
    case "workspace":
    case "taskWorkspace": {
      const id = caller === "workspace" ? params.workspaceId! : null;
      const found = await requireWorkspaceCaller(edge, c.req.raw.headers, id);
      buckets.take(`node:${found.workspace.nodeId}`, node, edge.clock());
      return { workspace: found.workspace, workspaceClaims: found.claims } as Who;
    }
  }
}

async function readIdempotency(
  c: Context<AppEnv>,
  who: Who,
  endpoint: Endpoint,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<IdempotentCall | null> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return null;
  if (!/^[\x21-\x7e]{1,100}$/.test(key)) {
    throw new AppError("invalid_request", "Idempotency-Key must be 1 to 100 printable characters without spaces.");
  }
  // The same key on another call is another call.
  const bodyHash = await sha256Bytes(bytes);
  return { caller: `${who.user.id} ${endpoint.method} ${new URL(c.req.url).pathname}`, key, bodyHash };
}

function toResponse(c: Context<AppEnv>, endpoint: Endpoint, answer: unknown): Response {
  if (answer instanceof Response) return answer;
  if (endpoint.secret) c.header("cache-control", "no-store");
  if (endpoint.status === 204) return c.body(null, 204);
  return c.json(answer ?? {}, endpoint.status);
}

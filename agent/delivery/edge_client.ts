/**
 * Calls to the edge with the tokens they need. Tokens live in memory only; a missing or expired one is renewed with
 * the node's secret, once for all who wait for it. Redirects are not followed, nothing is retried here, and every call
 * ends within the time-out, its body included.
 */
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { nodeTokens } from "../../lib/wire/node.ts";
import { type Runtime, runtime } from "../../lib/wire/workspace.ts";
import type { AgentConfig } from "../config.ts";
import { readIdentity } from "../store/identity.ts";
import { parseJson } from "./json.ts";

const ANSWER_MAX_BYTES = 2 * 1024 * 1024;
const RETRY_AFTER_MAX_MS = 600_000;
/** What one renewal may name, by the wire schema. */
const RENEWAL_MAX_WORKSPACES = 200;

/** The edge could not be reached, or its answer did not come whole. */
export class NetworkError extends Error {
  override name = "NetworkError";
}

/** The edge answered, and not with what was asked for. */
export class EdgeRefusal extends Error {
  override name = "EdgeRefusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface EdgeAnswer {
  status: number;
  /** Parsed JSON, or null when there was none. */
  body: unknown;
  retryAfterMs?: number;
}

export interface EdgeRequest {
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  /** The body where it is JSON already. */
  json?: string;
  /** Whose token: the node's, or that of the workspace with this id. */
  as: "node" | string;
  signal?: AbortSignal;
}

export interface Tokens {
  callbackToken?: string;
  workspaceTokens?: Record<string, string>;
}

export interface EdgeClientOptions {
  config: Pick<AgentConfig, "controlPlaneUrl" | "nodeId" | "dataDir" | "msgHttpTimeoutMs">;
  log: Logger;
}

export class EdgeClient {
  #config: EdgeClientOptions["config"];
  #log: Logger;
  /** By "node" or the workspace's id. */
  #tokens = new Map<string, string>();
  #toRenew = new Set<string>();
  #flight: Promise<unknown> = Promise.resolve();
  #nextFlight: Promise<boolean> | null = null;

  constructor(options: EdgeClientOptions) {
    this.#config = options.config;
    this.#log = options.log;
  }

  /** Takes tokens that came with a registration, a heartbeat or a command. Those not named stay. */
  setTokens(tokens: Tokens): void {
    if (tokens.callbackToken) this.#tokens.set("node", tokens.callbackToken);
    for (const [id, token] of Object.entries(tokens.workspaceTokens ?? {})) this.#tokens.set(id, token);
  }

  /** The node's own token, new if there is none or if it equals `stale`; null when the edge refuses to give one. */
  async nodeToken(stale: string | null = null): Promise<string | null> {
    return await this.#tokenFor("node", stale);
  }

  /**
   * New tokens for the node and these workspaces. False when the edge refused or the node is not registered. Calls
   * while a renewal is under way share the next one. Throws NetworkError.
   */
  renew(workspaceIds: string[]): Promise<boolean> {
    for (const id of workspaceIds) this.#toRenew.add(id);
    this.#nextFlight ??= this.#flight.then(() => {
      const ids = [...this.#toRenew];
      this.#toRenew.clear();
      this.#nextFlight = null;
      return this.#renewNow(ids);
    });
    const flight = this.#nextFlight;
    this.#flight = flight.catch(() => {});
    return flight;
  }

  /** What the edge wants of a workspace. Throws NetworkError, or EdgeRefusal with the status when it refused. */
  async runtime(workspaceId: string): Promise<Runtime> {
    const path = `/api/workspaces/${workspaceId}/runtime`;
    const answer = await this.request({ method: "GET", path, as: workspaceId });
    const parsed = runtime.safeParse(answer.body);
    if (answer.status === 200 && parsed.success) return parsed.data;
    if (answer.status === 200) throw new NetworkError(`GET ${path} was answered with something else than a runtime`);
    throw new EdgeRefusal(answer.status, `The edge answered ${answer.status} to GET ${path}`);
  }

  /** Sends once, and once more with a new token after a 401. Throws NetworkError. */
  async request(request: EdgeRequest): Promise<EdgeAnswer> {
    const token = await this.#tokenFor(request.as, null);
    if (token === null) return { status: 401, body: null };
    const answer = await this.#send(request, token);
    if (answer.status !== 401) return answer;
    const fresh = await this.#tokenFor(request.as, token);
    return fresh === null || fresh === token ? answer : await this.#send(request, fresh);
  }

  /** A call that needs no token: registration, and the renewal itself, which carries the node's secret. */
  requestOpenly(request: Omit<EdgeRequest, "as">): Promise<EdgeAnswer> {
    return this.#send(request, null);
  }

  async #tokenFor(as: string, stale: string | null): Promise<string | null> {
    const known = this.#tokens.get(as) ?? null;
    if (known !== null && known !== stale) return known;
    const renewed = await this.renew(as === "node" ? [] : [as]);
    return renewed ? this.#tokens.get(as) ?? null : null;
  }

  async #renewNow(workspaceIds: string[]): Promise<boolean> {
    const identity = await readIdentity(this.#config.dataDir, this.#config.nodeId);
    if (!identity?.nodeSecret) return false;
    for (let at = 0; at === 0 || at < workspaceIds.length; at += RENEWAL_MAX_WORKSPACES) {
      const ids = workspaceIds.slice(at, at + RENEWAL_MAX_WORKSPACES);
      if (!await this.#renewSome(identity.nodeSecret, ids)) return false;
    }
    return true;
  }

  async #renewSome(nodeSecret: string, workspaceIds: string[]): Promise<boolean> {
    const path = `/api/nodes/${this.#config.nodeId}/token`;
    const answer = await this.#send({ method: "POST", path, body: { nodeSecret, workspaceIds } }, null);
    const parsed = nodeTokens.safeParse(answer.body);
    if (answer.status === 200 && parsed.success) {
      this.setTokens(parsed.data);
      return true;
    }
    const refused = answer.status >= 400 && answer.status < 500 && ![408, 425, 429].includes(answer.status);
    if (!refused) throw new NetworkError(`The edge answered ${answer.status} when new tokens were asked for`);
    this.#log.warn("token_renewal_refused", { status: answer.status });
    return false;
  }

  async #send(request: Omit<EdgeRequest, "as">, token: string | null): Promise<EdgeAnswer> {
    const { method, path, body } = request;
    const json = request.json ?? (body === undefined ? undefined : JSON.stringify(body));
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error("no answer in time")), this.#config.msgHttpTimeoutMs);
    const signal = request.signal ? AbortSignal.any([timeout.signal, request.signal]) : timeout.signal;
    try {
      const response = await fetch(`${this.#config.controlPlaneUrl}${path}`, {
        method,
        signal,
        redirect: "manual",
        headers: {
          accept: "application/json",
          ...(json !== undefined && { "content-type": "application/json" }),
          ...(token !== null && { authorization: `Bearer ${token}` }),
        },
        ...(json !== undefined && { body: json }),
      });
      const retryAfterMs = readRetryAfter(response.headers.get("retry-after"), Date.now());
      return { status: response.status, body: parseJson(await readText(response)), retryAfterMs };
    } catch (error) {
      // Without the cause: it holds the request with its headers.
      throw new NetworkError(`${method} ${path} failed: ${messageOf(signal.aborted ? signal.reason : error)}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** `Retry-After` in seconds or as a date, as milliseconds from `now`. */
export function readRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS) : undefined;
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (text.length > ANSWER_MAX_BYTES) throw new Error("the answer is too long");
  }
  return text + decoder.decode();
}

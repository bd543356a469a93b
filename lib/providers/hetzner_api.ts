/**
 * Hetzner's API through `hcloud-js`, the only file that knows the library. It trips over today's answers: servers without
 * a datacenter or with IPv6 alone, HTML instead of JSON, rate limits, redirects. So the library's own interceptor is
 * taken out, what it misses in an answer is filled in, errors are our own, each call has an end, and only calls that
 * may be repeated are repeated.
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { z } from "zod";
import { backoffMs, wait } from "../backoff.ts";
import type { HcloudClient } from "./hcloud_js.d.ts";
import { HetznerError, toHetznerError } from "./hetzner_error.ts";

const PER_PAGE = 50;
const PAGES_MAX = 100;
const TRIES_MAX = 3;
const RETRY = { initialMs: 200, maxMs: 2_000 };
/** A longer pause is left to whoever asks again later. */
const WAIT_MAX_MS = 5_000;
const ANSWER_MAX_BYTES = 8 * 1024 * 1024;

const server = z.object({
  id: z.int().positive(),
  name: z.string(),
  status: z.string(),
  labels: z.record(z.string(), z.string()).nullish().transform((labels) => labels ?? {}),
});
export type HetznerServer = z.output<typeof server>;

const serverType = z.object({
  name: z.string(),
  prices: z.array(z.object({ location: z.string(), priceHourly: z.object({ gross: z.number() }) })),
});
export type HetznerServerType = z.output<typeof serverType>;

export interface ServerOrder {
  name: string;
  serverType: string;
  location: string;
  image: string;
  userData: string;
  labels: Record<string, string>;
}

export interface HetznerApiOptions {
  url: string;
  token: string;
  /** How long one call may take, its body included. */
  timeoutMs: number;
}

export class HetznerApi {
  readonly #options: HetznerApiOptions;

  constructor(options: HetznerApiOptions) {
    this.#options = options;
  }

  /** The server of that name; names are unique within a project at Hetzner. */
  async findServer(name: string): Promise<HetznerServer | null> {
    const { servers } = await this.#repeat((client) => client.servers.list({ name, perPage: PER_PAGE }));
    return parseServers(servers).find((each) => each.name === name) ?? null;
  }

  async readServer(id: number): Promise<HetznerServer | null> {
    try {
      return parse(server, await this.#repeat((client) => client.servers.get(id)));
    } catch (error) {
      if (error instanceof HetznerError && error.code === "not_found") return null;
      throw error;
    }
  }

  /** Every server with these labels, read to the last page. Throws when pages and their count do not agree. */
  async listServers(labelSelector: string): Promise<HetznerServer[]> {
    const found = new Map<number, HetznerServer>();
    for (let page = 1; page <= PAGES_MAX; page++) {
      const params = { labelSelector, perPage: PER_PAGE, page };
      const list = await this.#repeat((client) => client.servers.list(params));
      for (const each of parseServers(list.servers)) found.set(each.id, each);
      if (list.nextPage) continue;
      if (found.size === list.totalEntries) return [...found.values()];
      break;
    }
    throw unreadable("the list of servers was not complete");
  }

  /** Orders a server, once: whoever calls looks for it before and, when the answer was lost, after. */
  async createServer(order: ServerOrder): Promise<HetznerServer> {
    const { server: created } = await this.#once((client) =>
      client.servers.build(order.name).serverType(order.serverType).location(order.location).image(order.image)
        .userData(order.userData).labels(order.labels).create()
    );
    return parse(server, created);
  }

  /** Asks for the deletion of a server; one that is gone already is no error. */
  async deleteServer(id: number): Promise<void> {
    try {
      await this.#repeat((client) => client.servers.delete(id));
    } catch (error) {
      if (!(error instanceof HetznerError) || error.code !== "not_found") throw error;
    }
  }

  async findServerType(name: string): Promise<HetznerServerType | null> {
    const { serverTypes } = await this.#repeat((client) => client.serverTypes.list({ name, perPage: PER_PAGE }));
    return serverTypes.map((each) => parse(serverType, each)).find((each) => each.name === name) ?? null;
  }

  /** One harmless call: lists at most one server. */
  async check(): Promise<void> {
    await this.#repeat((client) => client.servers.list({ perPage: 1 }));
  }

  async #repeat<T>(work: (client: HcloudClient) => Promise<T>): Promise<T> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#once(work);
      } catch (error) {
        if (!(error instanceof HetznerError) || !error.transient || tries === TRIES_MAX) throw error;
        const waitMs = error.fault.retryAfterMs ?? backoffMs(tries - 1, RETRY, Math.random());
        if (waitMs > WAIT_MAX_MS) throw error;
        await wait(waitMs);
      }
    }
  }

  /**
   * A client and a connection of its own for each call: on one that was used before, the HTTP stack repeats a call by
   * itself when it drops, an order included.
   */
  async #once<T>(work: (client: HcloudClient) => Promise<T>): Promise<T> {
    const { url, token, timeoutMs } = this.#options;
    // Loaded with the first call: most installations never make one, and it takes a tenth of a second.
    const { default: hcloud } = await import("hcloud-js");
    const late = new AbortController();
    // The library's own limit only looks at silence: a slow drip would go on for ever.
    const timer = setTimeout(() => late.abort(), timeoutMs);
    const client: HcloudClient = new hcloud.Client({ token, baseURL: url, timeout: timeoutMs });
    client.axios.interceptors.response.eject(0);
    client.axios.interceptors.request.use((config) => {
      return Object.assign(config, {
        signal: late.signal,
        maxRedirects: 0,
        maxContentLength: ANSWER_MAX_BYTES,
        httpAgent: new HttpAgent({ keepAlive: false }),
        httpsAgent: new HttpsAgent({ keepAlive: false }),
      });
    });
    client.axios.interceptors.response.use((answer) => ({ ...answer, data: complete(answer.data) }));
    try {
      return await work(client);
    } catch (error) {
      if (late.signal.aborted) {
        throw new HetznerError({ code: "timeout", status: null, detail: "", retryAfterMs: null });
      }
      throw toHetznerError(error, { token, now: Date.now() });
    } finally {
      clearTimeout(timer);
    }
  }
}

const answerBody = z.looseObject({
  server: z.looseObject({}).optional(),
  servers: z.array(z.looseObject({})).optional(),
});

/** The answer with everything that the library reads without asking whether it is there. */
function complete(data: unknown): unknown {
  if (data === "" || data === undefined || data === null) return { action: {} };
  const body = answerBody.safeParse(data);
  if (!body.success) throw unreadable("the answer was not what Hetzner's API sends");
  const { server, servers, ...rest } = body.data;
  const pagination = { page: 1, next_page: null, total_entries: NaN };
  return {
    action: {},
    meta: { pagination },
    ...rest,
    ...(server ? { server: completeServer(server) } : {}),
    ...(servers ? { servers: servers.map(completeServer) } : {}),
  };
}

function completeServer(seen: Record<string, unknown>): Record<string, unknown> {
  const net = z.looseObject({}).catch({}).parse(seen.public_net);
  const block = z.looseObject({ dns_ptr: z.array(z.unknown()) }).catch({ dns_ptr: [] });
  const type = z.looseObject({ prices: z.array(z.unknown()) }).catch({ prices: [] });
  return {
    ...seen,
    public_net: { ...net, ipv4: net.ipv4 ?? {}, ipv6: block.parse(net.ipv6) },
    private_net: seen.private_net ?? [],
    server_type: type.parse(seen.server_type),
    datacenter: { location: {} },
    image: null,
    iso: null,
  };
}

function parseServers(list: unknown[]): HetznerServer[] {
  return list.map((each) => parse(server, each));
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw unreadable("the answer was not what Hetzner's API sends");
}

function unreadable(detail: string): HetznerError {
  return new HetznerError({ code: "unreadable", status: null, detail, retryAfterMs: null });
}

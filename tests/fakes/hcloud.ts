/**
 * Hetzner's API as it answers today: no `datacenter`, servers with IPv6 alone, pages, actions, unique names, deletions
 * that take a moment. Faults can be put before the next calls: answers that are lost, late, HTML, or refusals.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import { z } from "zod";
import { hcloudServer, type HcloudServerShape, hcloudServerType } from "./hcloud_shapes.ts";

export type Fault =
  /** The call is carried out, and then the connection drops. */
  | { kind: "lostAnswer" }
  /** The connection drops before anything is done. */
  | { kind: "dropped" }
  | { kind: "html"; status: number }
  | { kind: "refused"; status: number; code: string; message?: string }
  | { kind: "tooMany"; headers: Record<string, string> }
  | { kind: "slow"; ms: number }
  | { kind: "redirect"; to: string }
  /** Carried out, with an answer that is no object of the API. */
  | { kind: "body"; text: string };

type Call = `${"GET" | "POST" | "DELETE"} /${string}`;

const orderBody = z.object({
  name: z.string(),
  server_type: z.string(),
  location: z.string(),
  image: z.string(),
  user_data: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  start_after_create: z.boolean(),
});
export type Order = z.infer<typeof orderBody>;

export class FakeHcloud implements AsyncDisposable {
  readonly url: string;
  /** The only token that is accepted. */
  readonly token = `hcloud${"T0kenOfTheTests".repeat(4)}`.slice(0, 64);
  readonly servers = new Map<number, HcloudServerShape>();
  /** Orders that made a server: what had to be paid for. */
  readonly orders: Order[] = [];
  readonly calls: string[] = [];
  readonly deleted: number[] = [];
  /** How often a deleted server is still shown. */
  shownAfterDelete = 1;
  /** Servers that a page holds at most, whatever was asked for. */
  perPageMax = 50;
  onOrder: (order: Order, id: number) => void = () => {};
  readonly #faults: { call: Call; fault: Fault }[] = [];
  readonly #server: Server;
  readonly #leaving = new Map<number, number>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #nextId = 1001;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}/v1`;
  }

  static async start(): Promise<FakeHcloud> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const fake = new FakeHcloud(server, address.port);
    server.on("request", (request, response) => void fake.#answer(request, response));
    return fake;
  }

  /** Puts a fault before the next call of that method and path prefix; several wait in line. */
  fault(call: Call, fault: Fault): void {
    this.#faults.push({ call, fault });
  }

  /** Takes back the faults that no call has met yet. */
  recover(): void {
    this.#faults.length = 0;
  }

  /** A server that somebody made. */
  add(facts: Partial<HcloudServerShape> & { name: string }): HcloudServerShape {
    const id = this.#nextId++;
    const server = hcloudServer({ id, ...facts });
    this.servers.set(id, server);
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = new TextDecoder().decode(new Uint8Array(chunks.flatMap((chunk) => [...chunk])));
    const url = new URL(request.url ?? "/", this.url);
    const call = `${request.method} ${url.pathname.replace(/^\/v1/, "")}`;
    this.calls.push(call + url.search);
    const at = this.#faults.findIndex((each) => call.startsWith(each.call));
    const fault = at < 0 ? null : this.#faults.splice(at, 1)[0]!.fault;
    if (fault?.kind === "slow") await this.#wait(fault.ms);
    if (fault?.kind === "dropped") return void request.socket.destroy();
    if (fault && this.#refuse(response, fault)) return;
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return send(response, 401, problem("unauthorized", "unable to authenticate"));
    }
    const { status, body } = this.#handle(call, url, text);
    if (fault?.kind === "lostAnswer") return void request.socket.destroy();
    if (fault?.kind === "body") return void response.writeHead(status, { "content-type": "text/html" }).end(fault.text);
    send(response, status, body);
  }

  #refuse(response: ServerResponse, fault: Fault): boolean {
    if (fault.kind === "html") {
      response.writeHead(fault.status, { "content-type": "text/html" }).end("<html><h1>Bad Gateway</h1></html>");
    } else if (fault.kind === "tooMany") {
      send(response, 429, problem("rate_limit_exceeded", "limit of 3600 requests per hour reached"), fault.headers);
    } else if (fault.kind === "refused") {
      send(response, fault.status, problem(fault.code, fault.message ?? "refused"));
    } else if (fault.kind === "redirect") response.writeHead(302, { location: fault.to }).end();
    else return false;
    return true;
  }

  #handle(call: string, url: URL, text: string): { status: number; body: unknown } {
    const id = Number(/^\w+ \/servers\/(\d+)$/.exec(call)?.[1] ?? NaN);
    if (call === "GET /servers") return this.#list(url.searchParams);
    if (call === "POST /servers") return this.#order(JSON.parse(text));
    if (call === "GET /server_types") {
      const name = url.searchParams.get("name");
      const types = [hcloudServerType("cx23", "0.0060"), hcloudServerType("cx33", "0.0110")];
      return { status: 200, body: page("server_types", types.filter((type) => !name || type.name === name), 1, 50) };
    }
    const server = this.#read(id);
    if (!server) return { status: 404, body: problem("not_found", "server with ID not found") };
    if (call.startsWith("GET ")) return { status: 200, body: { server } };
    if (call.startsWith("DELETE ")) {
      this.#leaving.set(id, this.shownAfterDelete);
      this.deleted.push(id);
      return { status: 200, body: { action: action("delete_server", id) } };
    }
    return { status: 404, body: problem("not_found", "no such endpoint") };
  }

  #read(id: number): HcloudServerShape | undefined {
    const left = this.#leaving.get(id);
    if (left === 0) this.servers.delete(id);
    else if (left !== undefined) this.#leaving.set(id, left - 1);
    return this.servers.get(id);
  }

  #list(query: URLSearchParams): { status: number; body: unknown } {
    for (const id of this.#leaving.keys()) this.#read(id);
    const name = query.get("name");
    const [key, value] = (query.get("label_selector") ?? "").split("=");
    const found = [...this.servers.values()].filter((server) =>
      (!name || server.name === name) && (!key || server.labels[key] === value)
    );
    const perPage = Math.min(this.perPageMax, Number(query.get("per_page") ?? 25));
    return { status: 200, body: page("servers", found, Number(query.get("page") ?? 1), perPage) };
  }

  #order(body: unknown): { status: number; body: unknown } {
    const order = orderBody.parse(body);
    if ([...this.servers.values()].some((server) => server.name === order.name)) {
      return { status: 409, body: problem("uniqueness_error", "server name is already used") };
    }
    const server = this.add({ name: order.name, labels: order.labels, status: "initializing" });
    this.orders.push(order);
    queueMicrotask(() => this.onOrder(order, server.id));
    return {
      status: 201,
      body: {
        server,
        action: action("create_server", server.id),
        next_actions: [],
        root_password: "YItygq1v3GYjjMomLaKc",
      },
    };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }
}

function page(name: string, items: unknown[], number: number, perPage: number) {
  const last = Math.max(1, Math.ceil(items.length / perPage));
  return {
    [name]: items.slice((number - 1) * perPage, number * perPage),
    meta: {
      pagination: {
        page: number,
        per_page: perPage,
        previous_page: number > 1 ? number - 1 : null,
        next_page: number < last ? number + 1 : null,
        last_page: last,
        total_entries: items.length,
      },
    },
  };
}

function action(command: string, id: number) {
  const resources = [{ id, type: "server" }];
  return {
    id: id * 10,
    command,
    status: "running",
    progress: 0,
    started: "2026-08-01T10:00:00Z",
    finished: null,
    resources,
    error: null,
  };
}

function problem(code: string, message: string) {
  return { error: { code, message, details: null } };
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const limits = { "ratelimit-limit": "3600", "ratelimit-remaining": "3599", "ratelimit-reset": "1785585600" };
  response.writeHead(status, { "content-type": "application/json", ...limits, ...headers }).end(JSON.stringify(body));
}

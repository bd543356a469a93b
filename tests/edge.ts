/**
 * The composed edge for tests: the real app, store (in memory unless said otherwise), live hub and scheduler behind a
 * real server on a port of its own. Machines come from a fake provider, or from the local one with `agents: true`.
 */
import { join } from "node:path";
import { composeEdge } from "../lib/admin/compose.ts";
import { ensureAdmin, makeApiKey, newUser } from "../lib/auth/api_keys.ts";
import { readEdgeConfig } from "../lib/config.ts";
import type { Edge } from "../lib/edge.ts";
import { createLogger } from "../lib/log.ts";
import type { Manifest } from "../lib/render/manifest.ts";
import { DueLoop } from "../lib/scheduler/loop.ts";
import { sweep } from "../lib/scheduler/sweep.ts";
import { createUser, type UserRecord } from "../lib/store/accounts.ts";
import { change } from "../lib/store/change.ts";
import { listen } from "../routes/_listen.ts";
import { createApp } from "../routes/mod.ts";
import { FakeProvider } from "./fakes/provider.ts";

/** A page without files: for those who ask for none. */
export const NO_PAGE: Manifest = {
  version: 1,
  entry: "/e",
  stylesheet: "/s",
  icon: "/i",
  preloads: [],
  islands: {},
  files: {},
};

export interface TestEdgeOptions {
  /** Variables of the configuration. */
  env?: Record<string, string>;
  /** Use the provider that the configuration names; by default the local one, with real agents. */
  agents?: boolean;
  /** More variables for the real agents. */
  agentEnv?: Record<string, string>;
  /** Ring the due loop by queued messages (as with a local file) or by timers alone. */
  queues?: boolean;
  /** No scheduler: nothing that is due happens by itself. */
  still?: boolean;
}

export interface Client {
  user: UserRecord;
  key: string;
  /** Calls the API with this user's key; `body` is sent as JSON. */
  call(
    call: `${"GET" | "POST" | "PUT" | "PATCH" | "DELETE"} /${string}`,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
}

export interface Answer {
  status: number;
  // deno-lint-ignore no-explicit-any
  body: any;
  headers: Headers;
}

export class TestEdge implements AsyncDisposable {
  readonly edge: Edge;
  readonly provider: FakeProvider;
  readonly loop: DueLoop;
  readonly url: string;
  readonly admin: Client;
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
  /** Added to the clock: `edge.clock()` is the real time plus this. */
  skewMs = 0;
  readonly #close: () => Promise<void>;

  constructor(
    parts: Pick<TestEdge, "edge" | "provider" | "loop" | "url" | "admin" | "log"> & { close: () => Promise<void> },
  ) {
    this.edge = parts.edge;
    this.provider = parts.provider;
    this.loop = parts.loop;
    this.url = parts.url;
    this.admin = parts.admin;
    this.log = parts.log;
    this.#close = parts.close;
  }

  /** One more user with a key. */
  async addUser(login: string, role: "admin" | "member" = "member"): Promise<Client> {
    const user = newUser({ login, displayName: login, role, now: this.edge.clock() });
    await change(this.edge.store, (tx) => Promise.resolve(createUser(tx, user)));
    const { key } = await makeApiKey(this.edge, user.id, { name: "test" });
    return clientOf(this.url, user, key);
  }

  /** A project of the admin. */
  async addProject(body: Record<string, unknown> = {}): Promise<{ id: string }> {
    const answer = await this.admin.call("POST /api/projects", {
      name: `project ${crypto.randomUUID().slice(0, 8)}`,
      repositoryUrl: "https://git.example.org/team/app.git",
      ...body,
    });
    if (answer.status !== 201) throw new Error(`project not made: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

/** Starts an edge. Use it with `await using`. */
export async function startTestEdge(options: TestEdgeOptions = {}): Promise<TestEdge> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-edge-" });
  const lines: Record<string, unknown>[] = [];
  const log = createLogger("debug", (line) => lines.push(JSON.parse(line)));
  const config = readEdgeConfig({
    HEARTH_DATA_DIR: directory,
    HEARTH_KV: ":memory:",
    LOCAL_PROVIDER_SHARED: "1",
    PORT: "0",
    RATE_ANONYMOUS_PER_SECOND: "1000",
    RATE_ANONYMOUS_BURST: "10000",
    RATE_USER_PER_SECOND: "10000",
    RATE_USER_BURST: "10000",
    RATE_NODE_PER_SECOND: "10000",
    RATE_NODE_BURST: "10000",
    RATE_RUNS_PER_HOUR: "100000",
    ...options.env,
  });
  // deno-lint-ignore prefer-const -- the clock reads what is made after it
  let test: TestEdge | undefined;
  const composed = await composeEdge({
    config,
    log,
    agentCommand: [Deno.execPath(), "run", "-A", "--quiet", join(import.meta.dirname!, "../agent/main.ts")],
    agentEnvironment: { ...agentEnvironment(), ...options.agentEnv },
    clock: () => Date.now() + (test?.skewMs ?? 0),
  });
  const provider = new FakeProvider();
  const edge: Edge = options.agents ? composed : { ...composed, provider };
  const { admin, made } = await ensureAdmin(edge, undefined);
  const app = createApp({
    edge,
    manifest: () => NO_PAGE,
    serveStatic: () => Promise.resolve(null),
    sweep: () => sweep(edge),
  });
  const server = listen(app, { port: 0, hostname: "127.0.0.1" });
  const url = `http://127.0.0.1:${server.addr.port}`;
  config.publicUrl = url;
  const loop = new DueLoop(edge, { queues: options.queues ?? false });
  if (!options.still) loop.start();
  const close = async () => {
    for (const ref of await composed.local.references()) await composed.local.destroy(ref);
    await server[Symbol.asyncDispose]();
    await loop[Symbol.asyncDispose]();
    await composed[Symbol.asyncDispose]();
    await loop.closed();
    await Deno.remove(directory, { recursive: true });
  };
  test = new TestEdge({ edge, provider, loop, url, admin: clientOf(url, admin, made!), log: lines, close });
  return test;
}

function agentEnvironment(): Record<string, string> {
  const names = ["PATH", "HOME", "LANG", "DENO_DIR", "TMPDIR"];
  const kept = names.flatMap((name) => Deno.env.get(name) ? [[name, Deno.env.get(name)!]] : []);
  // A shell that reads nothing of whoever runs the tests.
  return { ...Object.fromEntries(kept), SHELL: "/bin/sh", GIT_ALLOW_FILE: "1", ISOLATE_WORKSPACES: "0" };
}

/** A caller of the API with this key. */
export function clientOf(url: string, user: UserRecord, key: string): Client {
  return {
    user,
    key,
    call: async (call, body, headers = {}) => {
      const [method, path] = call.split(" ") as [string, string];
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get("content-type") ?? "") && text !== "";
      return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    },
  };
}

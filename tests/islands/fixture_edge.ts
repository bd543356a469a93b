/**
 * An edge for tests of the page: real HTTP and a real socket on port 0, the built islands, the strict policy, and a
 * store in memory that a test can look into and push frames from. Answers are the wire's shapes.
 */
import config from "../../fresh.config.ts";
import { buildIslands } from "../../lib/render/build.ts";
import type { Manifest } from "../../lib/render/manifest.ts";
import { createStatic } from "../../lib/render/static.ts";
import { readRoute } from "../../lib/ui/route.ts";
import { type Credential, credentialProvider } from "../../lib/wire/credential.ts";
import type { ServerFrame } from "../../lib/wire/feed.ts";
import type { Message, MessagePage } from "../../lib/wire/message.ts";
import type { User } from "../../lib/wire/account.ts";
import type { OwnNode } from "../../lib/wire/node.ts";
import type { Member, Project } from "../../lib/wire/project.ts";
import type { Prompt, Session } from "../../lib/wire/session.ts";
import type { Task } from "../../lib/wire/task.ts";
import { renderApp } from "../../routes/_app.tsx";
import { islands } from "../../routes/_islands.ts";
import { ErrorPage } from "../../routes/_error.tsx";
import { CredentialsPage } from "../../routes/pages/CredentialsPage.tsx";
import { NodesPage } from "../../routes/pages/NodesPage.tsx";
import { ProjectPage } from "../../routes/pages/ProjectPage.tsx";
import { ProjectSettingsPage } from "../../routes/pages/ProjectSettingsPage.tsx";
import { ProjectsPage } from "../../routes/pages/ProjectsPage.tsx";
import { SignInPage } from "../../routes/pages/SignInPage.tsx";
import { type ComponentChild, h } from "preact";
import { ME, NOW, OPTIONS, PROJECT } from "./fixture_data.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
const NONCE = "test-nonce";
const POLICY = `default-src 'none'; script-src 'self' 'nonce-${NONCE}'; style-src 'self' 'nonce-${NONCE}'; ` +
  `img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;
const BROKEN = { message: "An unexpected error occurred. Try again in a moment.", requestId: "r-1" };
const BASE = `/api/projects/${PROJECT.id}`;
/** What a page has not done by then it does not do. */
const UNTIL_MAX_MS = 30_000;

export interface SeenRequest {
  method: string;
  path: string;
  body: unknown;
  key: string | null;
}

/** Answers a request instead of the store; null leaves it to the store. */
export type Override = (request: SeenRequest) => Response | null | Promise<Response | null>;

/** The page's build, made once per process: before any test, so that the bundler's process belongs to none. */
export const BUILD = await buildPage();

async function buildPage(): Promise<{ manifest: Manifest; output: string }> {
  // A folder per process: tests run beside each other.
  const output = `tests/output/page-${Deno.pid}`;
  const manifest = await buildIslands({ root: ROOT, config: { ...config, output }, islands: Object.keys(islands) });
  addEventListener("unload", () => Deno.removeSync(`${ROOT}/${output}`, { recursive: true }));
  return { manifest, output: `${ROOT}/${output}` };
}

export class FixtureEdge {
  sessions: Session[] = [];
  tasks: Task[] = [];
  nodes: OwnNode[] = [];
  credentials: Credential[] = [];
  prompts: Prompt[] = [];
  project: Project = PROJECT;
  projects: Project[] = [PROJECT];
  members: Member[] = [];
  me: User = ME;
  messages: Record<string, Message[]> = {};
  now = NOW;
  cursor = "c0";
  pageSize = 100;
  readonly requests: SeenRequest[] = [];
  override: Override = () => null;
  /** Sessions that sockets asked for, in order. */
  readonly subscriptions: string[] = [];
  /** What each socket was opened with: its cursor, and the session that it asked for. */
  readonly connects: { after: string; session: string | null }[] = [];
  refuseSockets = false;
  readonly #sockets = new Set<WebSocket>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #static: (request: Request) => Promise<Response | null>;

  constructor() {
    this.#static = createStatic({ output: BUILD.output, manifest: () => BUILD.manifest });
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => this.#handle(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Sends frames to every open socket. */
  push(...frames: ServerFrame[]): void {
    for (const socket of this.#sockets) {
      for (const frame of frames) if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
    }
  }

  drop(): void {
    for (const socket of this.#sockets) socket.close();
  }

  /** Resolves when `probe` answers something truthy. */
  async until<T>(probe: () => T | null | undefined | false, what: string): Promise<T> {
    const deadline = performance.now() + UNTIL_MAX_MS;
    for (;;) {
      const found = probe();
      if (found) return found;
      if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await this.#server.shutdown();
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const file = await this.#static(request);
    if (file) return file;
    if (pathname === `${BASE}/ws`) return this.#upgrade(request);
    if (pathname.startsWith("/api/")) return await this.#api(request);
    const page = this.#page(pathname);
    if (!page) return new Response("not found", { status: 404 });
    const body = renderApp(page, { nonce: NONCE, title: "Test", manifest: BUILD.manifest });
    return new Response(body, {
      headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY },
    });
  }

  #page(pathname: string): ComponentChild | null {
    if (pathname === "/signin") return h(SignInPage, { githubEnabled: false });
    if (pathname === "/signin/wrong") {
      return h(SignInPage, { githubEnabled: false, error: "This API key is not valid." });
    }
    if (pathname === "/signin/github") {
      return h(SignInPage, { githubEnabled: true, notice: "You are not invited here." });
    }
    if (pathname === "/projects") return h(ProjectsPage, { me: ME, projects: this.projects, options: OPTIONS });
    if (pathname === "/error") return h(ErrorPage, { me: ME, status: 500, title: "Something went wrong", ...BROKEN });
    if (pathname === "/credentials") {
      return h(CredentialsPage, { me: ME, credentials: this.credentials, providers: [...credentialProvider.options] });
    }
    if (pathname === "/nodes") return h(NodesPage, { me: ME, nodes: this.nodes, now: this.now });
    if (pathname === `/projects/${PROJECT.id}/settings`) {
      return h(ProjectSettingsPage, { me: this.me, project: this.project, members: this.members, options: OPTIONS });
    }
    const route = readRoute(pathname, PROJECT.id);
    if (!route) return null;
    const session = this.sessions.find((each) => each.id === route.sessionId) ?? this.sessions[0];
    return h(ProjectPage, {
      me: ME,
      project: this.project,
      sessions: this.sessions,
      tasks: this.tasks,
      options: OPTIONS,
      selected: session ? { session, page: this.#messagePage(session.id, new URLSearchParams()) } : null,
      cursor: this.cursor,
      view: route.view,
      connectionUrl: `${BASE}/ws`,
      now: this.now,
    });
  }

  #upgrade(request: Request): Response {
    if (this.refuseSockets) return new Response("busy", { status: 503 });
    const query = new URL(request.url).searchParams;
    const session = query.get("session");
    this.connects.push({ after: query.get("after") ?? "", session });
    if (session) this.subscriptions.push(session);
    const { socket, response } = Deno.upgradeWebSocket(request);
    this.#sockets.add(socket);
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", cursor: this.cursor, protocol: 1 }));
    socket.onclose = () => this.#sockets.delete(socket);
    socket.onmessage = (event) => {
      const frame = JSON.parse(String(event.data));
      if (frame.type === "subscribe") this.subscriptions.push(frame.sessionId);
      this.requests.push({ method: "WS", path: frame.type, body: frame, key: null });
    };
    return response;
  }

  async #api(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const text = await request.text();
    const seen = {
      method: request.method,
      path: url.pathname.replace(BASE, "") + url.search,
      body: text ? JSON.parse(text) : null,
      key: request.headers.get("idempotency-key"),
    };
    this.requests.push(seen);
    return await this.override(seen) ?? this.#answer(seen, url);
  }

  #answer({ method, path, body }: SeenRequest, url: URL): Response {
    const [, family, one, list, seq] = path.split("?")[0]!.split("/");
    if (method === "POST" && list === "prompts" && !seq) {
      const prompt = { ...(body as { messageId: string; text: string }), sessionId: one!, state: "queued" as const };
      this.prompts.push({ ...prompt, createdAt: new Date(this.now).toISOString() });
      return Response.json(this.prompts.at(-1), { status: 202 });
    }
    if (method === "POST" && (list === "run" || list === "cancel")) {
      return found(this.tasks.find((each) => each.id === one));
    }
    if (method !== "GET") return Response.json({}, { status: method === "DELETE" ? 200 : 202 });
    if (family === "sessions" && one && list === "messages") {
      const whole = seq && this.messages[one]?.find((message) => message.seq === Number(seq));
      return Response.json(whole || this.#messagePage(one, url.searchParams));
    }
    if (family === "sessions" && one && list === "prompts") return Response.json(page(this.prompts));
    if (family === "sessions" && one) return found(this.sessions.find((each) => each.id === one));
    if (family === "sessions") return Response.json(page(this.sessions));
    if (family === "tasks" && one) return found(this.tasks.find((each) => each.id === one));
    if (family === "tasks") return Response.json(page(this.tasks));
    return url.pathname === "/api/nodes"
      ? Response.json({ ...page(this.nodes), warnings: [] })
      : problem(404, "not_found", "Not there.");
  }

  #messagePage(sessionId: string, query: URLSearchParams): MessagePage {
    const all = this.messages[sessionId] ?? [];
    const lastSeq = all.at(-1)?.seq ?? 0;
    const after = query.get("after");
    if (after !== null) {
      const items = all.filter((message) => message.seq > Number(after));
      return { items: items.slice(0, this.pageSize), hasMore: items.length > this.pageSize, lastSeq };
    }
    const items = all.filter((message) => message.seq < Number(query.get("before") ?? Infinity));
    return { items: items.slice(-this.pageSize), hasMore: items.length > this.pageSize, lastSeq };
  }
}

export function problem(status: number, error: string, message: string, details: object = {}): Response {
  const body = {
    ...details,
    type: `urn:hearth:error:${error}`,
    title: error,
    status,
    error,
    message,
    requestId: "r-1",
  };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json" } });
}

function page<T>(items: T[]) {
  return { items, nextCursor: null };
}

function found(item: unknown): Response {
  return item ? Response.json(item) : problem(404, "not_found", "This does not exist.");
}

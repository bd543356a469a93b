/**
 * The chat engine's HTTP front: health for everybody, everything else for who has the key, the socket, and the page.
 * Until the engine has started, only the health routes answer.
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { isUuid, newId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/log.ts";
import { makeFrame } from "../../lib/wire/chat_engine.ts";
import { describeExtensions } from "../coding/extensions.ts";
import type { Prewarm } from "../coding/prewarm.ts";
import type { ProjectFolder } from "../coding/project_folder.ts";
import type { ChatSessions } from "../coding/chat_sessions.ts";
import { Connection } from "./connection.ts";
import { REFUSALS } from "./errors.ts";
import type { Hub } from "./hub.ts";
import { isKey, Tickets } from "./keys.ts";
import type { PageFiles } from "./page_files.ts";

const BODY_MAX_BYTES = 64 * 1024;
const PAGE_LIMIT_MAX = 500;
const CONNECTIONS_MAX = 1_000;
const PING_SECONDS = 30;

/** What is there once the server has started. */
export interface Engine {
  manager: ChatSessions;
  prewarm: Prewarm;
  hub: Hub;
  project: ProjectFolder;
  page: PageFiles;
}

/** The state that the routes look at; it grows while the server starts. */
export interface ServerState {
  engine: Engine | null;
  /** A process has been warm once. */
  wasWarm: boolean;
  isClosing: boolean;
}

export interface AppOptions {
  apiKey: string;
  maxSessions: number;
  state: ServerState;
  log: Logger;
}

export function makeApp(options: AppOptions): Hono {
  const app = new Hono();
  const tickets = new Tickets();
  addHealth(app, options);
  app.use(async (c, next) => {
    if (options.state.engine) return await next();
    return c.json({ error: "starting", message: "The server is starting." }, 503);
  });
  addPage(app, options);
  addSocket(app, { ...options, tickets });
  app.use("/api/*", needKey(options), bodyLimit({ maxSize: BODY_MAX_BYTES }));
  addSessions(app, options);
  app.post("/api/v1/ws-ticket", (c) => c.json({ ticket: tickets.issue(Date.now()), expires_in_seconds: 30 }, 201));
  app.get(
    "/api/v1/extensions",
    async (c) => c.json(describeExtensions((await engineOf(options).project.load()).extensions)),
  );
  app.notFound((c) => c.json({ error: "not_found", message: "There is nothing at this address." }, 404));
  app.onError((error, c) => {
    options.log.error("request_failed", { path: c.req.path, error });
    return c.json({ error: "internal_error", message: "Something went wrong. Look at the server's log." }, 500);
  });
  return app;
}

function engineOf({ state }: AppOptions): Engine {
  if (!state.engine) throw new Error("The server is starting.");
  return state.engine;
}

function addHealth(app: Hono, { state, maxSessions }: AppOptions): void {
  app.get("/api/v1/health/live", (c) => c.json({ status: "ok" }));
  app.get("/api/v1/health/ready", (c) => {
    const { engine } = state;
    const counts = {
      pool_depth: engine?.prewarm.depth ?? 0,
      active_sessions: engine?.manager.activeCount ?? 0,
      max_sessions: maxSessions,
    };
    const isFull = counts.pool_depth === 0 && counts.active_sessions >= maxSessions;
    const reason = !engine || !state.wasWarm ? "pool_empty" : isFull ? "at_capacity" : null;
    if (reason) return c.json({ status: "not_ready", reason, ...counts }, 503);
    return c.json({ status: "ready", ...counts });
  });
}

function needKey({ apiKey }: AppOptions): MiddlewareHandler {
  return async (c, next) => {
    if (await isKey(c.req.header("x-api-key"), apiKey)) return await next();
    return c.json({ error: "unauthorized", message: "Invalid API key" }, 401);
  };
}

function addSessions(app: Hono, options: AppOptions): void {
  const refuse = (c: Context, code: keyof typeof REFUSALS, status: 404 | 409 | 500 | 503) =>
    c.json({ error: code, message: REFUSALS[code] }, status);
  app.get("/api/v1/sessions", async (c) => c.json({ sessions: await engineOf(options).manager.list() }));
  app.post("/api/v1/sessions", async (c) => {
    const created = await engineOf(options).manager.create();
    if ("refused" in created) {
      const { refused } = created;
      const isBusy = refused === "capacity_exceeded" || refused === "server_shutting_down";
      return isBusy ? refuse(c, refused, 503) : refuse(c, "internal_error", 500);
    }
    const { sessionId, source, createdAt } = created;
    return c.json({ session_id: sessionId, status: "active", source, created_at: createdAt }, 201);
  });
  app.use("/api/v1/sessions/:id/*", async (c, next) => {
    return await findSession(c, options) ? await next() : refuse(c, "session_not_found", 404);
  });
  app.get("/api/v1/sessions/:id", async (c) => {
    const summary = await findSession(c, options);
    return summary ? c.json(summary) : refuse(c, "session_not_found", 404);
  });
  app.delete("/api/v1/sessions/:id", async (c) => {
    const id = c.req.param("id").toLowerCase();
    const refused = isUuid(id) ? await engineOf(options).manager.destroy(id) : "session_not_found";
    if (refused) return refuse(c, "session_not_found", 404);
    return c.json({ session_id: id, status: "terminated", reason: "user_requested" });
  });
  app.post("/api/v1/sessions/:id/resume", async (c) => {
    const id = c.req.param("id").toLowerCase();
    const refused = await engineOf(options).manager.resume(id);
    if (refused === "not_resumable") return refuse(c, "not_resumable", 409);
    if (refused === "capacity_exceeded") return refuse(c, "capacity_exceeded", 503);
    if (refused) return refuse(c, "internal_error", 500);
    return c.json({ session_id: id, status: "active" });
  });
  app.get("/api/v1/sessions/:id/messages", async (c) => {
    const limit = Math.trunc(Number(c.req.query("limit") ?? 100));
    const before = c.req.query("before");
    if (!(limit >= 1 && limit <= PAGE_LIMIT_MAX) || (before !== undefined && !isUuid(before))) {
      const message = `limit is a number from 1 to ${PAGE_LIMIT_MAX}, before the id of a message`;
      return c.json({ error: "invalid_message", message }, 400);
    }
    const { messages, hasMore } = await engineOf(options).manager.messages(c.req.param("id").toLowerCase(), {
      before,
      limit,
    });
    return c.json({ messages, has_more: hasMore });
  });
}

async function findSession(c: Context, options: AppOptions) {
  const id = (c.req.param("id") ?? "").toLowerCase();
  return isUuid(id) ? await engineOf(options).manager.find(id) : null;
}

function addSocket(app: Hono, options: AppOptions & { tickets: Tickets }): void {
  app.get("/ws/v1/chat", async (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      return c.json({ error: "upgrade_required", message: "This address speaks WebSocket only." }, 426);
    }
    const isAllowed = await mayConnect(c, options);
    const { hub, manager } = engineOf(options);
    const { socket, response } = Deno.upgradeWebSocket(c.req.raw, { idleTimeout: PING_SECONDS });
    socket.onopen = () => {
      if (!isAllowed) return socket.close(1008, "Invalid API key");
      if (options.state.isClosing) return socket.close(1012, "server_shutting_down");
      if (hub.size >= CONNECTIONS_MAX) return socket.close(1013, "Too many connections.");
      const log = options.log.with({ correlation_id: newId() });
      const connection = new Connection({ socket, hub, manager, log });
      connection.greet().catch((error) => {
        log.error("greeting_failed", { error });
        connection.send(makeFrame("error", { code: "internal_error", message: REFUSALS.internal_error }));
        connection.close(1011, "The sessions could not be read.");
      });
    };
    return response;
  });
}

/** By a ticket, by the key in the address, or by the key in a header that no foreign page sent. */
async function mayConnect(c: Context, { apiKey, tickets }: AppOptions & { tickets: Tickets }): Promise<boolean> {
  const ticket = c.req.query("ticket");
  if (ticket !== undefined) return tickets.redeem(ticket, Date.now());
  const inAddress = c.req.query("api_key");
  if (inAddress !== undefined) return await isKey(inAddress, apiKey);
  const origin = c.req.header("origin");
  if (origin !== undefined && origin !== new URL(c.req.url).origin) return false;
  return await isKey(c.req.header("x-api-key"), apiKey);
}

function addPage(app: Hono, options: AppOptions): void {
  const serve = (c: Context) => {
    const { page } = engineOf(options);
    const path = c.req.path === "/chat" ? "/" : c.req.path;
    const file = page.get(path);
    return file ? c.body(file.text, 200, file.headers) : c.notFound();
  };
  app.get("/", serve);
  app.get("/chat", serve);
  app.get("/assets/:name", serve);
}

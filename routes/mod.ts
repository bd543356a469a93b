/** The whole edge as one handler: middleware, the API's sub-apps, sockets, built files and pages, composed explicitly. */
import { Hono } from "hono";
import { Buckets } from "../lib/auth/limits.ts";
import type { Edge } from "../lib/edge.ts";
import { notFound } from "../lib/errors.ts";
import type { Manifest } from "../lib/render/manifest.ts";
import { mountAccounts } from "./api/accounts.ts";
import { mountCredentials } from "./api/credentials.ts";
import { mountDocs } from "./api/docs.tsx";
import { mountNodes } from "./api/nodes.ts";
import { mountOperations } from "./api/operations.ts";
import { mountPermissions } from "./api/permissions.ts";
import { mountProjects } from "./api/projects.ts";
import { mountSessions } from "./api/sessions.ts";
import { mountSockets } from "./api/sockets.ts";
import { mountTasks } from "./api/tasks.ts";
import { mountWorkspaces } from "./api/workspaces.ts";
import type { App, AppEnv } from "./_context.ts";
import { answerError, guard, observe } from "./_middleware.ts";
import { mountWeb, wantsPage } from "./_web.tsx";

export interface AppOptions {
  edge: Edge;
  manifest: () => Manifest;
  /** Answers requests for built and static files, null for all others. */
  serveStatic: (request: Request) => Promise<Response | null>;
  /** Runs every sweep now; how much each step mended, null where it failed. */
  sweep: () => Promise<Record<string, number | null>>;
}

export function createApp({ edge, manifest, serveStatic, sweep }: AppOptions): App {
  const app = new Hono<AppEnv>();
  const buckets = new Buckets();
  app.use(async (c, next) => {
    c.set("edge", edge);
    c.set("buckets", buckets);
    await next();
  });
  app.use(observe, guard);
  mountSockets(app);
  mountAccounts(app);
  mountCredentials(app);
  mountProjects(app);
  mountTasks(app);
  mountSessions(app);
  mountPermissions(app);
  mountWorkspaces(app);
  mountNodes(app);
  mountOperations(app, sweep);
  app.all("/api/*", () => {
    throw notFound("address");
  });
  app.use(async (c, next) => {
    const file = await serveStatic(c.req.raw);
    return file ?? await next();
  });
  mountDocs(app, { manifest });
  const answerPage = mountWeb(app, { manifest });
  app.onError(async (error, c) => {
    const problem = answerError(error, c);
    return wantsPage(c) ? await answerPage(error, c) : problem;
  });
  app.notFound(() => {
    throw notFound("page");
  });
  return app;
}

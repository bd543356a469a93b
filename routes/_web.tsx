/** The pages: who may see them, what they are filled with, and the two forms that work without a script. */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ComponentChild } from "preact";
import { requireCheckout, requireProject } from "../lib/auth/access.ts";
import { findUser, type UserCaller } from "../lib/auth/callers.ts";
import { useSignInLink } from "../lib/auth/logins.ts";
import { readOptions } from "../lib/admin/options.ts";
import { writeCursor } from "../lib/live/cursor.ts";
import type { Edge } from "../lib/edge.ts";
import { AppError, notFound, toProblem } from "../lib/errors.ts";
import type { Manifest } from "../lib/render/manifest.ts";
import { toUser } from "../lib/store/accounts.ts";
import { listCredentials, toCredential } from "../lib/store/credentials.ts";
import { projectTopic } from "../lib/store/keys.ts";
import { listMessages } from "../lib/store/messages.ts";
import { listProjects, type ProjectRecord, toProject } from "../lib/store/projects.ts";
import { listSessions, readSession, toSession } from "../lib/store/sessions.ts";
import { listTasks, readDescription, toTask } from "../lib/store/tasks.ts";
import { credentialProvider } from "../lib/wire/credential.ts";
import { uuid } from "../lib/wire/common.ts";
import { signIn, signOut } from "./api/accounts.ts";
import { readNodeLetters, readNodes, readNodeWarnings } from "./api/nodes.ts";
import { readMembers } from "./api/projects.ts";
import { renderApp } from "./_app.tsx";
import { readForm } from "./_body.ts";
import { findCaller, setLoginCookie } from "./_caller.ts";
import type { App, AppEnv } from "./_context.ts";
import { ErrorPage } from "./_error.tsx";
import { isGithubOn, mountGithub } from "./_github.ts";
import { readWorkspaceState } from "./_workspace_state.ts";
import { CredentialsPage } from "./pages/CredentialsPage.tsx";
import { DeadLettersPage } from "./pages/DeadLettersPage.tsx";
import { NodesPage } from "./pages/NodesPage.tsx";
import { ProjectPage } from "./pages/ProjectPage.tsx";
import { ProjectSettingsPage } from "./pages/ProjectSettingsPage.tsx";
import { ProjectsPage } from "./pages/ProjectsPage.tsx";
import { SignInPage, type SignInPageProps } from "./pages/SignInPage.tsx";
import { WorkspacePage } from "./pages/WorkspacePage.tsx";

const SESSIONS_SHOWN = 100;
const TASKS_SHOWN = 500;
const MESSAGES_SHOWN = 100;
const FORM_MAX_BYTES = 4_096;

type Ctx = Context<AppEnv>;

export interface WebOptions {
  manifest: () => Manifest;
}

/**
 * Mounts the pages. Whoever is not signed in is sent to the sign-in page. Returns how to answer an error as a page.
 */
export function mountWeb(app: App, options: WebOptions): (error: unknown, c: Ctx) => Promise<Response> {
  const page = (c: Ctx, title: string, node: ComponentChild, status: ContentfulStatusCode = 200) =>
    c.html(renderApp(node, { nonce: c.get("nonce"), title, manifest: options.manifest() }), status);
  app.get("/", (c) => c.redirect("/projects"));
  mountSignIn(app, page);
  app.get(
    "/projects",
    signedIn(async (c, { user }) => {
      const [edge, me] = [c.get("edge"), toUser(user)];
      const { items } = await listProjects(edge.store, user.id, { limit: 200 });
      return page(c, "Projects", <ProjectsPage me={me} projects={items.map(toProject)} options={readOptions(edge)} />);
    }),
  );
  app.get(
    "/nodes",
    signedIn(async (c, { user }) => {
      const edge = c.get("edge");
      const [nodes, warnings] = await Promise.all([readNodes(edge, user.id), readNodeWarnings(edge, user.id)]);
      return page(
        c,
        "Nodes",
        <NodesPage me={toUser(user)} nodes={nodes} warnings={warnings} now={edge.clock()} />,
      );
    }),
  );
  app.get(
    "/nodes/:nodeId/dead-letters",
    signedIn(async (c, { user }) => {
      const asked = { nodeId: c.req.param("nodeId")!, query: c.req.query() };
      const state = await readNodeLetters(c.get("edge"), user, asked);
      return page(c, "Dead letters", <DeadLettersPage me={toUser(user)} {...state} />);
    }),
  );
  app.get(
    "/credentials",
    signedIn(async (c, { user }) => {
      const edge = c.get("edge");
      const credentials = (await listCredentials(edge.store, user.id)).map(toCredential);
      const shown = credentialProvider.options.filter((provider) =>
        provider !== "hetzner" || edge.provider.id === provider ||
        credentials.some((each) => each.provider === provider)
      );
      return page(
        c,
        "Credentials",
        <CredentialsPage me={toUser(user)} credentials={credentials} providers={shown} />,
      );
    }),
  );
  app.get(
    "/projects/:projectId/settings",
    signedIn(async (c, { user }) => {
      const edge = c.get("edge");
      const project = await projectOf(c, user);
      const members = await readMembers(edge, project.id);
      const props = { me: toUser(user), project: toProject(project), members, options: readOptions(edge) };
      return page(c, `Settings · ${project.name}`, <ProjectSettingsPage {...props} />);
    }),
  );
  const showProject = signedIn(async (c, { user }) => {
    const project = await projectOf(c, user);
    const state = await readProjectState(c.get("edge"), project, sessionIdOf(c));
    const view = c.req.path.endsWith("/board") ? "board" as const : "chat" as const;
    return page(c, project.name, <ProjectPage me={toUser(user)} {...state} view={view} />);
  });
  const paths = ["/projects/:projectId", "/projects/:projectId/chat", "/projects/:projectId/chat/:sessionId"];
  for (const path of [...paths, "/projects/:projectId/board"]) app.get(path, showProject);
  app.get(
    "/workspaces/:workspaceId",
    signedIn(async (c, { user }) => {
      const edge = c.get("edge");
      const id = uuid.safeParse(c.req.param("workspaceId"));
      if (!id.success) throw notFound("workspace");
      const state = await readWorkspaceState(edge, user, await requireCheckout(edge, user, id.data));
      return page(c, "Workspace", <WorkspacePage me={toUser(user)} {...state} />);
    }),
  );
  return (error, c) => answerPage(c, error, page);
}

type Page = (
  c: Ctx,
  title: string,
  node: ComponentChild,
  status?: ContentfulStatusCode,
) => Response | Promise<Response>;

async function answerPage(c: Ctx, error: unknown, page: Page): Promise<Response> {
  const problem = toProblem(error, c.get("requestId"));
  const caller = await findUser(c.get("edge"), c.req.raw.headers).catch(() => null);
  const title = problem.status === 404 ? "Not found" : "Something went wrong";
  const props = { status: problem.status, title, message: problem.message, requestId: problem.requestId };
  return await page(
    c,
    title,
    <ErrorPage me={caller && toUser(caller.user)} {...props} />,
    problem.status as ContentfulStatusCode,
  );
}

/** Whether the answer to this request is looked at in a browser. */
export function wantsPage(c: Ctx): boolean {
  return !c.req.path.startsWith("/api/") && (c.req.header("accept") ?? "").includes("text/html");
}

function mountSignIn(app: App, page: Page): void {
  const show = (c: Ctx, said: Pick<SignInPageProps, "error" | "notice"> = {}, status?: ContentfulStatusCode) => {
    return page(c, "Sign in", <SignInPage {...said} githubEnabled={isGithubOn(c.get("edge"))} />, status);
  };
  app.get("/signin", (c) => show(c));
  app.post("/signin", async (c) => {
    try {
      await signIn(c, await readFormKey(c));
      return c.redirect("/projects", 303);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.retryAfterSeconds) c.header("retry-after", String(error.retryAfterSeconds));
      return show(c, { error: error.message }, error.status as ContentfulStatusCode);
    }
  });
  mountGithub(app, (c, error) => {
    if (!wantsPage(c)) throw error;
    if (error.retryAfterSeconds) c.header("retry-after", String(error.retryAfterSeconds));
    return show(c, { notice: error.message }, error.status as ContentfulStatusCode);
  });
  app.post("/signout", async (c) => {
    const caller = await findUser(c.get("edge"), c.req.raw.headers);
    if (caller) await signOut(c, caller);
    return c.redirect("/signin", 303);
  });
  app.get("/signin/once/:token", async (c) => {
    // A look ahead by the browser, or HEAD, must not use the link up.
    if (c.req.method !== "GET" || c.req.header("sec-purpose")) return c.body(null, 204);
    const cookie = await useSignInLink(c.get("edge"), c.req.param("token"));
    const error =
      "This link was used already or is older than 15 minutes. Use your API key, or make a new link with: deno task admin signin-link";
    if (!cookie) return show(c, { error }, 401);
    setLoginCookie(c, cookie);
    return c.redirect("/projects", 303);
  });
}

async function readFormKey(c: Ctx): Promise<string> {
  const key = (await readForm(c.req.raw, FORM_MAX_BYTES)).get("apiKey")?.trim();
  if (!key) throw new AppError("invalid_request", "Enter your API key.");
  return key;
}

function signedIn(handler: (c: Ctx, caller: UserCaller) => Promise<Response>) {
  return async (c: Ctx): Promise<Response> => {
    const caller = await findCaller(c);
    return caller ? await handler(c, caller) : c.redirect("/signin", 303);
  };
}

async function projectOf(c: Ctx, user: UserCaller["user"]): Promise<ProjectRecord> {
  const id = uuid.safeParse(c.req.param("projectId"));
  if (!id.success) throw notFound("project");
  return await requireProject(c.get("edge"), user, id.data.toLowerCase());
}

function sessionIdOf(c: Ctx): string | null {
  const id = uuid.safeParse(c.req.param("sessionId"));
  return id.success ? id.data.toLowerCase() : null;
}

/** The cursor is read before the state: what happens in between comes again by the live socket. */
async function readProjectState(edge: Edge, project: ProjectRecord, sessionId: string | null) {
  const versionstamp = await edge.live.cursor(projectTopic(project.id));
  const cursor = writeCursor({ versionstamp, at: edge.clock() });
  const [sessions, tasks] = await Promise.all([
    listSessions(edge.store, project.id, { limit: SESSIONS_SHOWN }),
    listTasks(edge.store, project.id, { limit: TASKS_SHOWN, sort: "updatedAtDesc" }),
  ]);
  const id = sessionId ?? sessions.items[0]?.id;
  const record = id ? await readSession(edge.store, project.id, id) : null;
  if (sessionId && !record) throw notFound("session");
  return {
    project: toProject(project),
    options: readOptions(edge),
    sessions: sessions.items,
    sessionsNextCursor: sessions.nextCursor,
    tasks: await Promise.all(tasks.items.map(async (task) => {
      return toTask(task, await readDescription(edge.store, task.id), { preview: true });
    })),
    selected: record && {
      session: await toSession(edge.store, record),
      page: await listMessages(edge.store, record, { limit: MESSAGES_SHOWN }),
    },
    cursor,
    connectionUrl: `/api/projects/${project.id}/ws`,
    now: edge.clock(),
  };
}

/** `/docs/api`: the OpenAPI document as a page, read from the very document that programs get. */
import { z } from "zod";
import { findUser } from "../../lib/auth/callers.ts";
import type { Manifest } from "../../lib/render/manifest.ts";
import { toUser } from "../../lib/store/accounts.ts";
import { openApi } from "../../lib/wire/openapi.ts";
import { renderApp } from "../_app.tsx";
import type { App } from "../_context.ts";
import { type ApiCall, ApiPage, type ApiPageProps } from "../pages/ApiPage.tsx";
import { describeSchema } from "./_schema_text.ts";

const content = z.record(z.string(), z.object({ schema: z.unknown() })).optional();
const operation = z.object({
  operationId: z.string(),
  summary: z.string(),
  security: z.array(z.record(z.string(), z.unknown())),
  parameters: z.array(
    z.object({ name: z.string(), in: z.enum(["path", "query", "header"]), required: z.boolean(), schema: z.unknown() }),
  ),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.object({ content })),
});
const openApiDocument = z.object({
  info: z.object({ version: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.object({ Problem: z.unknown() }) }),
});
type Operation = z.infer<typeof operation>;

const CALLERS: Record<string, string> = {
  apiKey: "A user, with an API key or signed in",
  nodeToken: "An agent, with its node's token",
  workspaceToken: "An agent, with a workspace's token",
};

/** By the first word after `/api/`, and for what lies below a project by the word after its id. */
const GROUPS: Record<string, string> = {
  auth: "Accounts",
  me: "Accounts",
  options: "Accounts",
  keys: "Accounts",
  projects: "Projects",
  members: "Projects",
  tasks: "Tasks",
  sessions: "Sessions and messages",
  workspaces: "Workspaces",
  nodes: "Nodes",
};

export function mountDocs(app: App, options: { manifest: () => Manifest }): void {
  let read: Omit<ApiPageProps, "me"> | null = null;
  app.get("/docs/api", async (c) => {
    read ??= readDocument();
    const caller = await findUser(c.get("edge"), c.req.raw.headers);
    const page = <ApiPage me={caller && toUser(caller.user)} {...read} />;
    return c.html(renderApp(page, { nonce: c.get("nonce"), title: "API", manifest: options.manifest() }));
  });
}

/** The document as the page shows it. */
function readDocument(): Omit<ApiPageProps, "me"> {
  const { info, paths, components } = openApiDocument.parse(openApi());
  const groups = new Map<string, ApiCall[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, found] of Object.entries(operations)) {
      const title = groupOf(path);
      groups.set(title, [...groups.get(title) ?? [], toCall(method.toUpperCase(), path, found)]);
    }
  }
  return {
    version: info.version,
    groups: [...groups].map(([title, calls]) => ({ title, calls })),
    problem: describeSchema(components.schemas.Problem),
  };
}

function groupOf(path: string): string {
  const words = path.replace("/api/", "").split("/");
  const word = words[0] === "projects" && words[2] ? words[2] : words[0]!;
  return GROUPS[word] ?? "Operations";
}

function toCall(method: string, path: string, found: Operation): ApiCall {
  const [status, answer] = Object.entries(found.responses).find(([code]) => code !== "default")!;
  return {
    id: found.operationId,
    method,
    path,
    summary: found.summary,
    caller: CALLERS[Object.keys(found.security[0] ?? {})[0] ?? ""] ?? "Anybody",
    query: found.parameters.filter((each) => each.in === "query").map((each) => ({
      name: each.required ? each.name : `${each.name}?`,
      type: describeSchema(each.schema),
    })),
    idempotent: found.parameters.some((each) => each.in === "header"),
    body: shapeOf(found.requestBody?.content),
    status,
    answer: shapeOf(answer.content),
  };
}

/** Null for what has no content, and for a body in which nothing is to be said. */
function shapeOf(found: z.infer<typeof content>): string | null {
  const shape = found ? describeSchema(found["application/json"]?.schema) : "{}";
  return shape === "{}" ? null : shape;
}

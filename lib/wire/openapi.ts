/** The OpenAPI document of the edge, generated from the endpoint table and its schemas. */
import { z } from "zod";
import { VERSION } from "../version.ts";
import { type Endpoint, JSON_ONLY } from "./endpoint.ts";
import { endpoints, pathParameters } from "./endpoints.ts";
import { problem } from "./problem.ts";

type Json = Record<string, unknown>;

const SECURITY: Record<Endpoint["caller"], Json[]> = {
  public: [],
  user: [{ apiKey: [] }, { login: [] }],
  node: [{ nodeToken: [] }],
  workspace: [{ workspaceToken: [] }],
  taskWorkspace: [{ workspaceToken: [] }],
};

/** The document as plain data (OpenAPI 3.1). */
export function openApi(): Json {
  const paths: Record<string, Json> = {};
  for (const [name, endpoint] of Object.entries(endpoints) as [string, Endpoint][]) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(name, endpoint) };
  }
  const bearer = { type: "http", scheme: "bearer" };
  return {
    openapi: "3.1.0",
    info: { title: "Hearth", version: VERSION, description: "Hand work to coding agents on machines of your own." },
    paths,
    components: {
      schemas: { Problem: schemaOf(problem, "output") },
      securitySchemes: {
        apiKey: bearer,
        login: { type: "apiKey", in: "cookie", name: "hearth_login" },
        nodeToken: { ...bearer, bearerFormat: "JWT" },
        workspaceToken: { ...bearer, bearerFormat: "JWT" },
      },
    },
  };
}

function operation(name: string, endpoint: Endpoint): Json {
  const takesBody = ["POST", "PATCH", "PUT"].includes(endpoint.method) || name === "removeDependency";
  return {
    operationId: name,
    summary: endpoint.summary,
    security: SECURITY[endpoint.caller],
    parameters: [...pathParametersOf(endpoint), ...queryParametersOf(endpoint), ...headersOf(endpoint)],
    ...(takesBody ? { requestBody: { content: contentOf(JSON_ONLY, schemaOf(endpoint.body, "input")) } } : {}),
    responses: {
      [endpoint.status]: endpoint.status === 204
        ? { description: "Done" }
        : { description: "The answer", content: contentOf(endpoint.types, schemaOf(endpoint.answer, "output")) },
      default: {
        description: "A problem document: what, why and what to do",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function pathParametersOf(endpoint: Endpoint): Json[] {
  return [...endpoint.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: schemaOf(pathParameters[name!] ?? z.string(), "input"),
  }));
}

function queryParametersOf(endpoint: Endpoint): Json[] {
  const { properties = {}, required = [] } = schemaOf(endpoint.query, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function headersOf(endpoint: Endpoint): Json[] {
  if (!endpoint.idempotent) return [];
  return [{ name: "Idempotency-Key", in: "header", required: false, schema: { type: "string", maxLength: 100 } }];
}

function contentOf(types: readonly string[], schema: Json): Json {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}

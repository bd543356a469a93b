/**
 * A small world in which every endpoint of the table can be called: one of everything, owned by the admin, with a task
 * under way; and valid bodies, made from the schemas, so that an endpoint that is added is called without more ado.
 */
import { z } from "zod";
import { commandAckKey } from "../../lib/store/keys.ts";
import type { Endpoint } from "../../lib/wire/endpoint.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { problem } from "../../lib/wire/problem.ts";
import type { Client } from "../edge.ts";
import { dumpStore } from "../fakes/faulty_kv.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";

/** Stands in everything that the admin has written: nobody else may ever be shown it. */
export const MARKER = "for-the-owner-only";

/** Families that every call may write: counts of tries, when a key was used, the probe of the health check. */
const TRACES = ["window", "apiKeyUsed", "meta"];

export type Name = keyof typeof endpoints;
export const TABLE = Object.entries(endpoints) as [Name, Endpoint][];

export interface Reply {
  status: number;
  type: string;
  text: string;
}

export class World implements AsyncDisposable {
  readonly running: RunningTask;
  readonly ids: Record<string, string>;
  readonly stranger: Client;
  readonly workspaceToken: string;

  private constructor(parts: Pick<World, "running" | "ids" | "stranger" | "workspaceToken">) {
    this.running = parts.running;
    this.ids = parts.ids;
    this.stranger = parts.stranger;
    this.workspaceToken = parts.workspaceToken;
  }

  static async make(): Promise<World> {
    const running = await startRunningTask({ env: { RATE_SIGN_IN_PER_15_MIN: "100000" } }, `Keep it: ${MARKER}`);
    const { test, agent, projectId, taskId, sessionId, workspaceId } = running;
    const messageId: string = crypto.randomUUID();
    await running.post(running.batch(`said: ${MARKER}`));
    await test.admin.call(`POST ${running.session}/prompts`, { messageId, text: `and: ${MARKER}` });
    const key = (await test.admin.call("POST /api/keys", { name: MARKER })).body;
    const member = await test.addUser("member");
    await test.admin.call(`POST /api/projects/${projectId}/members`, { login: "member" });
    const draft = async () => {
      const body = { description: `Keep it for now: ${MARKER}` };
      return (await test.admin.call(`POST /api/projects/${projectId}/tasks`, body)).body.id as string;
    };
    const other = await draft();
    const requestId: string = crypto.randomUUID();
    const options = [{ optionId: "yes", name: "Allow once", kind: "allow_once" }];
    const asked = { requestId, toolCallId: "t1", title: `May I: ${MARKER}`, options };
    await agent.asWorkspace(workspaceId, `POST /api/workspaces/${workspaceId}/permissions`, asked);
    const ids = {
      ...{ projectId, sessionId, workspaceId, messageId, requestId, optionId: "yes" },
      // A task that may be edited and started; the running one is what its workspace reports of.
      taskId: await draft(),
      runningTaskId: taskId,
      dependsOn: other,
      dependsOnTaskId: other,
      parentTaskId: other,
      login: "member",
      nodeId: agent.nodeId,
      keyId: key.id as string,
      userId: member.user.id,
      provider: "git",
      seq: "1",
    };
    const workspaceToken = await agent.workspaceToken(workspaceId);
    const stranger = await test.addUser("stranger");
    // From here on nothing happens but what is called.
    while ((await test.edge.store.kv.get(commandAckKey(agent.nodeId))).value === null) continue;
    await agent.unlink();
    await test.loop[Symbol.asyncDispose]();
    return new World({ running, ids, stranger, workspaceToken });
  }

  get kv(): Deno.Kv {
    return this.running.test.edge.store.kv;
  }

  /** The token that the endpoint's caller has; null: it takes none. */
  tokenFor(endpoint: Endpoint): string | null {
    switch (endpoint.caller) {
      case "public":
        return null;
      case "user":
        return this.running.test.admin.key;
      case "node":
        return this.running.agent.registered!.callbackToken;
      case "workspace":
      case "taskWorkspace":
        return this.workspaceToken;
    }
  }

  /** Calls an endpoint; what is not given is as its rightful caller would have it. */
  async call(
    endpoint: Endpoint,
    options: {
      token?: string | null;
      ids?: Record<string, string>;
      /** Appended to the path as it is. */
      query?: string;
      body?: BodyInit;
      headers?: Record<string, string>;
    } = {},
  ): Promise<Reply> {
    const token = options.token === undefined ? this.tokenFor(endpoint) : options.token;
    const taskId = endpoint.caller === "taskWorkspace" ? this.ids.runningTaskId! : this.ids.taskId!;
    const ids: Record<string, string> = { ...this.ids, taskId, ...options.ids };
    const path = endpoint.path.replaceAll(/:(\w+)/g, (_, name) => ids[name]!);
    const response = await fetch(`${this.running.test.url}${path}${options.query ?? ""}`, {
      method: endpoint.method,
      redirect: "manual",
      headers: {
        ...token === null ? {} : { authorization: `Bearer ${token}` },
        ...options.body === undefined ? {} : { "content-type": "application/json" },
        ...options.headers,
      },
      body: options.body,
    });
    const type = response.headers.get("content-type") ?? "";
    return { status: response.status, type, text: await response.text() };
  }

  /** What lies in the store, but for the traces that every call leaves. */
  async dump(): Promise<Record<string, string>> {
    return await dumpStore(this.kv, TRACES);
  }

  /** A valid body for an endpoint, as small as can be; ids in it are those of this world. */
  sample(endpoint: Endpoint): unknown {
    const body = sampleOf(schemaOf(endpoint), { ids: this.ids, name: "", full: false });
    const parsed = endpoint.body.safeParse(body);
    if (!parsed.success) throw new Error(`no valid body for ${endpoint.path}: ${parsed.error.message}`);
    return body;
  }

  /** A valid body with all that an endpoint takes, or the smallest where its fields exclude each other. */
  fullSample(endpoint: Endpoint): unknown {
    const body = sampleOf(schemaOf(endpoint), { ids: this.ids, name: "", full: true });
    return endpoint.body.safeParse(body).success ? body : this.sample(endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
  }
}

/** Why an answer is not one that the edge may give; null: it is. */
export function findFault(endpoint: Endpoint, reply: Reply): string | null {
  if (reply.status >= 500) return `status ${reply.status}: ${reply.text}`;
  if (reply.status >= 300 && reply.status < 400) return `status ${reply.status}`;
  const json = parseJson(reply.text);
  if (reply.status >= 400) {
    if (!reply.type.startsWith("application/problem+json")) return `a problem of type ${reply.type}`;
    const parsed = problem.safeParse(json);
    if (!parsed.success) return `a problem of another form: ${parsed.error.message}`;
    const { status, message, requestId } = parsed.data;
    if (status !== reply.status || message.length < 10 || !requestId) return `an empty problem: ${reply.text}`;
    return null;
  }
  if (reply.status === 204) return reply.text === "" ? null : "a 204 with a body";
  if (!/^application\/json\b/.test(reply.type)) return null;
  const answer = endpoint.answer.safeParse(json);
  return answer.success ? null : `an answer of another form: ${answer.error.message}`;
}

function schemaOf(endpoint: Endpoint): JsonSchema {
  return z.toJSONSchema(endpoint.body, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

interface JsonSchema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  minItems?: number;
  pattern?: string;
  format?: string;
  minLength?: number;
  minimum?: number;
}

/** Texts of the forms that schemas ask for; the first that fits is taken. */
const URL_TEXT = "https://git.example.org/team/app.git";
const TEXTS = ["demo", URL_TEXT, "2024-01-02T03:04:05Z", "a".repeat(40)];

interface Place {
  ids: Record<string, string>;
  /** The name of the field. */
  name: string;
  /** Every field, not only what is required. */
  full: boolean;
}

/** A value that a schema takes: with what is required, or else its first field; or with everything. */
function sampleOf(schema: JsonSchema, at: Place): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [first] = schema.anyOf ?? schema.oneOf ?? [];
  if (first) return sampleOf(first, at);
  switch (schema.type) {
    case "object": {
      const properties = schema.properties ?? {};
      const all = Object.keys(properties);
      const names = at.full ? all : schema.required?.length ? schema.required : all.slice(0, 1);
      return Object.fromEntries(names.map((name) => [name, sampleOf(properties[name]!, { ...at, name })]));
    }
    case "array":
      return Array.from({ length: Math.max(schema.minItems ?? 0, at.full ? 1 : 0) }, () => sampleOf(schema.items!, at));
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 1, 1);
    case "boolean":
      return true;
    default:
      return sampleText(schema, at);
  }
}

function sampleText(schema: JsonSchema, at: Place): string {
  const fits = (text: string) => !schema.pattern || new RegExp(schema.pattern).test(text);
  const named = at.ids[at.name] ?? (/url$/i.test(at.name) ? URL_TEXT : undefined);
  const ofAnId = schema.pattern?.includes("0-9a-f") ? at.ids.taskId : undefined;
  const text = [named, ofAnId, ...TEXTS].find((each) => each !== undefined && fits(each));
  if (text === undefined) throw new Error(`no text for ${at.name}: ${schema.pattern}`);
  return text.padEnd(schema.minLength ?? 0, "x");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

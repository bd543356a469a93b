/**
 * The edge as a workspace of the agent sees it: a real HTTP server that checks every body by the wire schemas, keeps
 * what came, and decides after each turn what the test wants.
 */
import { assert } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { type BatchMessage, messageBatch } from "../../../lib/wire/message.ts";
import { taskCallback } from "../../../lib/wire/task.ts";
import {
  type Runtime,
  runtime as runtimeSchema,
  type TurnAnswer,
  type TurnReport,
  turnReport,
  workspaceReport,
} from "../../../lib/wire/workspace.ts";
import { within } from "../../lib/live/within.ts";

export interface Call {
  workspaceId: string;
  kind: "status" | "turn" | "callback";
  body: Record<string, unknown>;
}

export class FakeEdge implements AsyncDisposable {
  readonly calls: Call[] = [];
  readonly messages: BatchMessage[] = [];
  readonly runtimes = new Map<string, Runtime>();
  /** What comes after a turn; by default a clean one is the end of the work. */
  afterTurn: (report: TurnReport) => TurnAnswer = (report) => report.error ? { stop: true } : { finalize: true };
  /** Status of the answer to batches of messages. */
  messagesStatus = 200;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #waiting = new Set<() => void>();

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** A workspace of a task, with what its run needs. */
  addTask(repositoryUrl: string, prompt: string, change: Partial<Runtime> = {}): Runtime {
    const taskId = newId();
    const added = runtimeSchema.parse({
      workspaceId: newId(),
      nodeId: newId(),
      projectId: newId(),
      taskId,
      run: 1,
      chatSessionId: newId(),
      title: "Do it",
      repositoryUrl,
      baseBranch: "main",
      branch: `task/${taskId}`,
      outputCommit: null,
      codingAgent: "demo",
      permissionMode: "autonomous",
      prompt: { messageId: newId(), text: prompt },
      limits: { maxCostUsd: null, maxMinutes: null },
      credentials: { MODEL_KEY: "very-secret" },
      wanted: "run",
      ...change,
    });
    this.runtimes.set(added.workspaceId, added);
    return added;
  }

  /** Resolves as soon as `look` finds something in what came so far. */
  async until<T>(look: (edge: FakeEdge) => T | undefined | null | false): Promise<T> {
    for (;;) {
      const found = look(this);
      if (found) return found;
      await within(`a call for which ${look} holds`, new Promise<void>((resolve) => this.#waiting.add(resolve)));
    }
  }

  /** The first call of this kind whose body holds all of `part`. */
  untilCall(kind: Call["kind"], part: Record<string, unknown>, workspaceId?: string): Promise<Call> {
    return this.until(({ calls }) =>
      calls.find((call) =>
        call.kind === kind && (workspaceId === undefined || call.workspaceId === workspaceId) &&
        Object.entries(part).every(([name, value]) => JSON.stringify(call.body[name]) === JSON.stringify(value))
      )
    );
  }

  said(): [string, string][] {
    return this.messages.map(({ role, content }) => [role, content]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const workspaceId = request.headers.get("authorization")?.replace("Bearer token-", "") ?? "";
    const response = await this.#route(request, pathname, workspaceId);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    return response;
  }

  async #route(request: Request, path: string, workspaceId: string): Promise<Response> {
    if (path.endsWith("/runtime")) return this.#runtime(workspaceId);
    const body: unknown = await request.json();
    if (path === `/api/workspaces/${workspaceId}/messages`) return this.#take(messageBatch.parse(body).messages);
    if (path === `/api/workspaces/${workspaceId}/status`) {
      return this.#note(workspaceId, "status", workspaceReport.parse(body));
    }
    if (path.endsWith("/status/callback")) return this.#note(workspaceId, "callback", taskCallback.parse(body));
    assert(path === `/api/workspaces/${workspaceId}/turns`, path);
    const report = turnReport.parse(body);
    this.#note(workspaceId, "turn", report);
    return Response.json(report.event === "ended" ? this.afterTurn(report) : { ok: true });
  }

  #runtime(workspaceId: string): Response {
    const known = this.runtimes.get(workspaceId);
    return known ? Response.json(known) : Response.json({}, { status: 404 });
  }

  #take(batch: BatchMessage[]): Response {
    if (this.messagesStatus !== 200) return Response.json({}, { status: this.messagesStatus });
    const known = new Set(this.messages.map(({ messageId }) => messageId));
    const fresh = batch.filter(({ messageId }) => !known.has(messageId));
    this.messages.push(...fresh);
    const answer = { persisted: fresh.length, duplicates: batch.length - fresh.length, lastSeq: this.messages.length };
    return Response.json(answer);
  }

  #note(workspaceId: string, kind: Call["kind"], body: Record<string, unknown>): Response {
    this.calls.push({ workspaceId, kind, body });
    return Response.json({});
  }
}

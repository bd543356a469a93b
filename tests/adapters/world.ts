/**
 * The whole product around a real coding agent: composed edge, local provider, real agent process, the program from the
 * cache, and a model's API by a script. Nothing of the person's own home reaches it.
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { keysOf } from "../../lib/nodes/coding_agents.ts";
import { listProcesses, selectMarked } from "../../lib/processes.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { type Script } from "../fakes/model_script.ts";
import { ModelServer } from "../fakes/model_server.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { type PackageId, programFolder } from "./packages.ts";

export const MODEL_KEY = "sk-ant-test-0123456789abcdef";

export interface WorldOptions {
  codingAgent: PackageId;
  script: Script;
  project?: Record<string, unknown>;
  env?: Record<string, string>;
  agentEnv?: Record<string, string>;
  /** Stores no key. */
  withoutKey?: boolean;
  /** Files of the home, by their paths, made from the address of the model's API. */
  home?: (modelUrl: string) => Record<string, string>;
}

export interface Shown {
  seq: number;
  messageId: string;
  role: string;
  content: string;
  flags: { interrupted?: boolean } | null;
  toolMetadata: {
    tool: string;
    status: string;
    target?: string;
    diff?: string;
    permission?: { outcome: string; by: string };
  } | null;
}

export class World implements AsyncDisposable {
  readonly test: TestEdge;
  readonly model: ModelServer;
  readonly repository: TestRepository;
  readonly live: LiveClient;
  readonly projectId: string;
  readonly home: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<World, "test" | "model" | "repository" | "live" | "projectId" | "home">,
    stack: AsyncDisposableStack,
  ) {
    this.test = parts.test;
    this.model = parts.model;
    this.repository = parts.repository;
    this.live = parts.live;
    this.projectId = parts.projectId;
    this.home = parts.home;
    this.#stack = stack;
  }

  static async make(options: WorldOptions): Promise<World> {
    await using stack = new AsyncDisposableStack();
    const home = await Deno.makeTempDir({ prefix: "hearth-home-" });
    stack.defer(() => Deno.remove(home, { recursive: true }));
    const repository = stack.use(await TestRepository.make());
    const model = stack.use(ModelServer.start(options.script));
    for (const [path, text] of Object.entries(options.home?.(model.url) ?? {})) {
      await Deno.mkdir(join(home, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(home, path), text);
    }
    const test = stack.use(
      await startTestEdge({
        agents: true,
        env: options.env,
        agentEnv: {
          PATH: `${programFolder(options.codingAgent)}:${Deno.env.get("PATH")}`,
          HOME: home,
          ANTHROPIC_BASE_URL: model.url,
          OPENAI_BASE_URL: `${model.url}/v1`,
          GOOGLE_GEMINI_BASE_URL: model.url,
          // Real ones are heavy: a spare one is started only where a test is about it.
          PREWARM_POOL_SIZE: "0",
          ...options.agentEnv,
        },
      }),
    );
    if (!options.withoutKey) {
      const provider = keysOf(options.codingAgent)[0];
      const stored = await test.admin.call(`PUT /api/credentials/${provider}`, { secret: MODEL_KEY });
      assertEquals(stored.status < 300, true, JSON.stringify(stored.body));
    }
    const { id: projectId } = await test.addProject({
      repositoryUrl: repository.path,
      codingAgent: options.codingAgent,
      ...options.project,
    });
    const live = stack.use(await LiveClient.open(test, projectId));
    return new World({ test, model, repository, live, projectId, home }, stack.move());
  }

  async submit(description: string): Promise<{ taskId: string; sessionId: string }> {
    const answer = await this.test.admin.call(`POST /api/projects/${this.projectId}/tasks/submit`, { description });
    assertEquals(answer.status, 202, JSON.stringify(answer.body));
    this.live.subscribe(answer.body.sessionId);
    return answer.body;
  }

  /** Submits a task and follows it to its end. */
  async run(description: string) {
    const submitted = await this.submit(description);
    const task = await this.live.task(submitted.taskId, "completed", "failed", "cancelled");
    return { task, sessionId: submitted.sessionId, messages: await this.messages(submitted.sessionId) };
  }

  /** Submits a task that its script holds back, asks `more` meanwhile, lets it `go` on, and gives it as it completed. */
  async runWithMore(description: string, { more, go }: { more: string; go: () => void }) {
    const { taskId, sessionId } = await this.submit(description);
    // A first start on a machine takes long: waited for apart from what comes before.
    await this.live.workspace("ready");
    await this.live.task(taskId, "in_progress", "failed");
    const prompt = { messageId: crypto.randomUUID(), text: more };
    assertEquals((await this.session(sessionId, "POST /prompts", prompt)).status, 202);
    go();
    const task = await this.live.task(taskId, "completed", "failed");
    assertEquals(task.status, "completed", task.errorMessage ?? "");
    return { task, messages: await this.messages(sessionId) };
  }

  async messages(sessionId: string): Promise<Shown[]> {
    const path = `/api/projects/${this.projectId}/sessions/${sessionId}/messages` as const;
    return (await this.test.admin.call(`GET ${path}`)).body.items;
  }

  /** A call about a session, as its project's owner. */
  async session(sessionId: string, call: `${"GET" | "POST"} /${string}`, body?: unknown) {
    const [method, rest] = call.split(" ") as ["GET" | "POST", string];
    return await this.test.admin.call(`${method} /api/projects/${this.projectId}/sessions/${sessionId}${rest}`, body);
  }

  /** Resolves when a growing message of the session was shown with this text in it. */
  async liveText(text: string): Promise<void> {
    const shown = new Map<string, string>();
    await this.live.until(`the live text “${text}”`, (frame) => {
      if (frame.type === "message.new") return frame.message.content.includes(text);
      if (frame.type !== "message.live") return false;
      shown.set(frame.messageId, (shown.get(frame.messageId) ?? "").slice(0, frame.at) + frame.text);
      return shown.get(frame.messageId)!.includes(text);
    });
  }

  /** What the processes of a workspace are marked with. */
  async markOf(task: { nodeId: string | null; workspaceId: string | null }): Promise<string> {
    const instance = await Deno.readTextFile(join(this.nodeDirectory(task.nodeId!), "agent", "instance-id"));
    return `${instance.trim()}/${task.workspaceId}`;
  }

  /** The node's agent itself. */
  async agentPid(nodeId: string): Promise<number> {
    return JSON.parse(await Deno.readTextFile(join(this.nodeDirectory(nodeId), "pid.json"))).pid;
  }

  /** Cancels a task whose coding agent runs and discards what was kept of it: not one of its processes is left. */
  async cancel(task: { id: string; nodeId: string | null; workspaceId: string | null }): Promise<void> {
    const mark = await this.markOf(task);
    assertEquals((await marked(mark)).length > 0, true, "the coding agent runs");
    const path = `/api/projects/${this.projectId}/tasks/${task.id}` as const;
    const cancelled = await this.test.admin.call(`POST ${path}/cancel`);
    assertEquals(cancelled.status < 300, true, JSON.stringify(cancelled.body));
    const isIts = ({ id }: { id: string }) => id === task.workspaceId;
    await this.live.workspace("ready", ({ id, keptUntil }) => isIts({ id }) && keptUntil !== null);
    await this.test.admin.call(`POST ${path}/workspace/discard`);
    await this.live.workspace("stopped", isIts);
    assertEquals(await marked(mark), []);
  }

  /** Files outside of the store that hold the key: there must be none. */
  async filesWithKey(): Promise<string> {
    const places = [this.home, this.test.edge.config.HEARTH_DATA_DIR, this.repository.path];
    const { stdout } = await new Deno.Command("grep", { args: ["-rlaF", "--", MODEL_KEY, ...places] }).output();
    return new TextDecoder().decode(stdout);
  }

  /** The data directory of the node's agent. */
  nodeDirectory(nodeId: string): string {
    return join(this.test.edge.config.HEARTH_DATA_DIR, "nodes", nodeId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Roles and contents, for comparing. */
export function shapeOf(messages: Shown[]): [string, string][] {
  return messages.map((message) => [message.role, message.content]);
}

/** The processes that carry a mark. */
export async function marked(mark: string) {
  return await selectMarked(await listProcesses(), mark);
}

export function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended with the one that was killed before it.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A task under way: a composed edge, a project, a node by hand that runs the task's first turn. */
import { type Answer, startTestEdge, type TestEdge, type TestEdgeOptions } from "../../edge.ts";
import { FakeAgent, newMessage } from "../../fakes/agent.ts";
import type { Message } from "../../../lib/wire/message.ts";
import type { Runtime } from "../../../lib/wire/workspace.ts";

export class RunningTask implements AsyncDisposable {
  readonly test: TestEdge;
  readonly agent: FakeAgent;
  readonly runtime: Runtime;
  readonly projectId: string;
  readonly taskId: string;
  readonly sessionId: string;
  readonly workspaceId: string;

  constructor(parts: Pick<RunningTask, "test" | "agent" | "runtime" | "projectId" | "taskId" | "sessionId">) {
    this.test = parts.test;
    this.agent = parts.agent;
    this.runtime = parts.runtime;
    this.projectId = parts.projectId;
    this.taskId = parts.taskId;
    this.sessionId = parts.sessionId;
    this.workspaceId = parts.runtime.workspaceId;
  }

  get session(): `/api/projects/${string}/sessions/${string}` {
    return `/api/projects/${this.projectId}/sessions/${this.sessionId}`;
  }

  /** Messages of an agent for this session, one for each content. */
  batch(...contents: string[]) {
    return contents.map((content) => newMessage(this.sessionId, content));
  }

  post(messages: unknown[]): Promise<Answer> {
    return this.agent.messages(this.workspaceId, messages);
  }

  /** Posts a body as it is, with the workspace's token. */
  async postRaw(body: BodyInit, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.test.url}/api/workspaces/${this.workspaceId}/messages`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await this.agent.workspaceToken(this.workspaceId)}`,
        "content-type": "application/json",
        ...headers,
      },
      body,
    });
    return { status: response.status, body: JSON.parse(await response.text()), headers: response.headers };
  }

  /** The session's messages as the API shows them, all pages. */
  async messages(): Promise<Message[]> {
    const items: Message[] = [];
    for (let hasMore = true; hasMore;) {
      const after = items.at(-1)?.seq ?? 0;
      const page = (await this.test.admin.call(`GET ${this.session}/messages?after=${after}&limit=500`)).body;
      items.push(...page.items);
      hasMore = page.hasMore;
    }
    return items;
  }

  async readSession() {
    return (await this.test.admin.call(`GET ${this.session}`)).body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.test[Symbol.asyncDispose]();
  }
}

/** Starts an edge and a task on it, up to the first turn. Use it with `await using`. */
export async function startRunningTask(options: TestEdgeOptions = {}, description = "Do it"): Promise<RunningTask> {
  const test = await startTestEdge(options);
  const booted = Promise.withResolvers<FakeAgent>();
  test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
  const { id: projectId } = await test.addProject();
  const submitted = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description });
  const agent = await booted.promise;
  // Further machines stay without an agent.
  test.provider.onCreate = () => {};
  const runtime = await agent.begin();
  const { taskId, sessionId } = submitted.body;
  return new RunningTask({ test, agent, runtime, projectId, taskId, sessionId });
}

/** Runs of tasks as a node sees them: the composed edge, agents by hand that come up with their machines, and short ways
 * to what the edge has recorded. */
import { type NodeRecord, readNode } from "../../../lib/store/nodes.ts";
import { readSession, type SessionRecord } from "../../../lib/store/sessions.ts";
import { readTask, type TaskRecord } from "../../../lib/store/tasks.ts";
import { readWorkspace, type WorkspaceRecord } from "../../../lib/store/workspaces.ts";
import type { NodeSpec } from "../../../lib/providers/provider.ts";
import type { Runtime } from "../../../lib/wire/workspace.ts";
import { type Answer, startTestEdge, type TestEdge, type TestEdgeOptions } from "../../edge.ts";
import { FakeAgent } from "../../fakes/agent.ts";
import { within } from "../live/within.ts";

/** A task that was submitted, with the path of its API. */
export interface Submitted {
  projectId: string;
  taskId: string;
  sessionId: string;
  path: `/api/projects/${string}/tasks/${string}`;
}

/** A run that a node has begun. */
export interface Run extends Submitted {
  agent: FakeAgent;
  runtime: Runtime;
}

/** An edge whose machines come up with an agent by hand. */
export class Bench implements AsyncDisposable {
  readonly test: TestEdge;
  readonly agents = new Map<string, FakeAgent>();
  /** What the provider was asked for, in order. */
  readonly specs: NodeSpec[] = [];
  /** The coding agents that the machines of this bench offer. */
  codingAgents = ["demo"];
  /** Whether machines come up by themselves. */
  boots = true;
  readonly #booting: Promise<unknown>[] = [];
  #ending = false;
  #changed = Promise.withResolvers<void>();

  constructor(test: TestEdge) {
    this.test = test;
    test.provider.onCreate = (spec) => {
      this.specs.push(spec);
      if (!this.boots) return;
      this.#booting.push(
        this.boot(spec).catch((error) => {
          // A machine that comes up while the test ends finds no edge.
          if (!this.#ending) throw error;
        }),
      );
    };
  }

  get edge() {
    return this.test.edge;
  }

  /** Lets the machine of `spec` come up. */
  async boot(spec: NodeSpec): Promise<FakeAgent> {
    const agent = await FakeAgent.boot(this.test.url, spec, this.codingAgents);
    this.agents.set(spec.nodeId, agent);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    return agent;
  }

  /** The agent of a node, once it is up. */
  async agentOf(nodeId: string): Promise<FakeAgent> {
    while (true) {
      const agent = this.agents.get(nodeId);
      if (agent) return agent;
      await within("a machine's agent", this.#changed.promise);
    }
  }

  async submit(body: Record<string, unknown> = {}, projectId?: string): Promise<Submitted> {
    const project = projectId ?? (await this.test.addProject()).id;
    const call = `POST /api/projects/${project}/tasks/submit` as const;
    const { status, body: answer } = await this.test.admin.call(call, { description: "Do it", ...body });
    if (status !== 202) throw new Error(`not submitted: ${JSON.stringify(answer)}`);
    return { projectId: project, ...answer, path: `/api/projects/${project}/tasks/${answer.taskId}` };
  }

  /** Waits until the task has a node and its agent the command to start. */
  async started(task: Submitted): Promise<{ agent: FakeAgent; workspaceId: string }> {
    const { agent, workspaceId } = await this.delegated(task);
    await agent.command("workspace.start", workspaceId);
    return { agent, workspaceId };
  }

  /** Submits a task and brings it to a running first turn. */
  async run(body: Record<string, unknown> = {}, projectId?: string): Promise<Run> {
    return await this.begin(await this.submit(body, projectId));
  }

  /** Brings a queued task to a running first turn. */
  async begin(task: Submitted): Promise<Run> {
    const { agent, workspaceId } = await this.delegated(task);
    return { ...task, agent, runtime: await agent.begin(workspaceId) };
  }

  /** The agent that has the task, once it has it; also where the scheduler stands still. */
  async delegated(task: Submitted): Promise<{ agent: FakeAgent; workspaceId: string }> {
    await this.settle();
    const chosen = (await this.task(task)).nodeId;
    if (chosen) await this.agentOf(chosen);
    await this.settle();
    const { nodeId, workspaceId } = await this.until(task, ({ status }) => status !== "queued");
    return { agent: await this.agentOf(nodeId!), workspaceId: workspaceId! };
  }

  /** Starts one more run of the task and brings it to a running first turn. */
  async runAgain(task: Submitted, body: Record<string, unknown> = {}): Promise<Run> {
    const answer = await this.test.admin.call(`POST ${task.path}/run`, body);
    if (answer.status !== 202) throw new Error(`not started: ${JSON.stringify(answer.body)}`);
    return await this.begin(task);
  }

  /** The task's record once `is` holds; every change of it in this process is looked at. */
  async until(task: Submitted, is: (record: TaskRecord) => boolean): Promise<TaskRecord> {
    const watcher = this.edge.store.kv.watch<[TaskRecord]>([["task", task.projectId, task.taskId]]).getReader();
    try {
      while (true) {
        const { value } = await within(`a task for which ${is} holds`, watcher.read());
        const record = value?.[0]?.value;
        if (record && is(record)) return record;
      }
    } finally {
      await watcher.cancel();
    }
  }

  async task(of: Submitted): Promise<TaskRecord> {
    return (await readTask(this.edge.store, of.projectId, of.taskId))!;
  }

  async session(of: Submitted): Promise<SessionRecord> {
    return (await readSession(this.edge.store, of.projectId, of.sessionId))!;
  }

  async workspace(id: string): Promise<WorkspaceRecord> {
    return (await readWorkspace(this.edge.store, id))!;
  }

  async node(id: string): Promise<NodeRecord> {
    return (await readNode(this.edge.store, id))!;
  }

  /** The states of task, workspace, node (with its number of claims) and session, for one comparison. */
  async states(run: Run): Promise<string[]> {
    const [task, workspace, session] = [
      await this.task(run),
      await this.workspace(run.runtime.workspaceId),
      await this.session(run),
    ];
    const node = await this.node(run.runtime.nodeId);
    const kept = workspace.keptUntil === null ? "" : " kept";
    return [task.status, `${workspace.status}${kept}`, `${node.status} ${node.claims.length}`, session.status];
  }

  /** Reports the end of the run's current turn. */
  async endTurn(run: Run, body: Record<string, unknown> = {}) {
    const report = { promptId: run.runtime.prompt!.messageId, event: "ended", stopReason: "end_turn", ...body };
    return await run.agent.turn(run.runtime.workspaceId, report);
  }

  /** The clean end of a run: turn, work pushed, workspace gone. */
  async complete(run: Run, body: Record<string, unknown> = {}): Promise<Answer> {
    await this.endTurn(run);
    const answer = await run.agent.callback(run.runtime, { toStatus: "completed", ...body });
    await run.agent.command("workspace.stop", run.runtime.workspaceId);
    await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
    return answer;
  }

  /** Moves the clock and does what has become due. */
  async pass(ms: number): Promise<void> {
    this.test.skewMs += ms;
    await this.settle();
  }

  /** Does what is due now, and what that makes due. */
  async settle(): Promise<void> {
    this.test.loop.ring();
    await this.test.loop.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    this.boots = false;
    await Promise.allSettled(this.#booting);
    for (const agent of this.agents.values()) await agent[Symbol.asyncDispose]();
    await this.test[Symbol.asyncDispose]();
  }
}

export async function startBench(options: TestEdgeOptions = {}): Promise<Bench> {
  return new Bench(await startTestEdge(options));
}

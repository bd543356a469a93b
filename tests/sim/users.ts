/** What people do: all of it at any time, in any order, also twice at once. */
import { newUser } from "../../lib/auth/api_keys.ts";
import { addPrompt, editPrompt, interruptTurn, removePrompt } from "../../lib/chat/prompts.ts";
import { newId } from "../../lib/ids.ts";
import { addNode } from "../../lib/nodes/add_node.ts";
import { type NodeRecord, readNode } from "../../lib/store/nodes.ts";
import { readProject } from "../../lib/store/projects.ts";
import type { PromptRecord } from "../../lib/store/prompts.ts";
import { readSession } from "../../lib/store/sessions.ts";
import { readTask, type TaskRecord } from "../../lib/store/tasks.ts";
import type { WorkspaceRecord } from "../../lib/store/workspaces.ts";
import { cancelTask, discard, keepLonger } from "../../lib/tasks/cancel.ts";
import { changeDependency } from "../../lib/tasks/dependencies.ts";
import { editTask, removeTask, setStatus } from "../../lib/tasks/edit.ts";
import { openWorkspace } from "../../lib/tasks/open_workspace.ts";
import { makeProject } from "../../lib/tasks/projects.ts";
import { discardWorkspace } from "../../lib/tasks/release.ts";
import { destroyNode, drainNode } from "../../lib/tasks/retire_node.ts";
import { stopManualSession } from "../../lib/tasks/stop_session.ts";
import { createDraft, runTask, submitTask } from "../../lib/tasks/submit.ts";
import { createTask } from "../../lib/wire/task.ts";
import type { Edge } from "../../lib/edge.ts";
import type { Installation, World } from "./world.ts";

const TASKS_MAX = 8;
const OWN_NODES_MAX = 2;
/** So that what is kept longer by hand still ends within the run. */
const KEEP_HOURS = 0.03;

/** Two people with a project each; what they need is made without any fault. */
export async function settleIn(world: World): Promise<void> {
  for (const login of ["ada", "grace"]) {
    const user = newUser({ login, displayName: login, role: "member", now: world.now });
    const body = { name: login, repositoryUrl: "https://git.example.org/a/b.git", defaultBranch: "main" } as const;
    const rest = { defaultVmSize: null, codingAgent: "demo", permissionMode: "autonomous" as const, settings: {} };
    const made = Promise.withResolvers<string>();
    const call = world.call(
      login,
      (edge) => makeProject(edge, user, { body: { ...body, ...rest }, idempotency: null }),
      (end) => {
        if (end.kind === "ok") made.resolve(end.value.id);
      },
    );
    while (!call.done) await world.step(call);
    world.homes.push({ userId: user.id, projectId: await made.promise });
  }
}

type Act = () => void;

/** What somebody could do now, each as often as it is likely. */
export function userOptions(world: World): Act[] {
  const home = world.random.pick(world.homes);
  const all = world.mirror.values<TaskRecord>("task").filter(({ projectId }) => projectId === home.projectId);
  const user = new Person(world, home);
  const options: Act[] = [];
  if (all.length < TASKS_MAX) {
    options.push(...Array(6).fill(() => user.submit(all)), () => user.draft(all), () => user.submitTwice());
  }
  if (all.length > 0) options.push(...user.taskOptions(world.random.pick(all), all));
  const nodes = world.mirror.values<NodeRecord>("node").filter((node) => node.ownerId === home.userId);
  const living = nodes.filter(({ status }) => status !== "destroyed");
  if (living.length > 0) options.push(...user.nodeOptions(world.random.pick(living)));
  if (nodes.filter(({ provider }) => provider === "manual").length < OWN_NODES_MAX) options.push(() => user.addNode());
  options.push(() => user.openWorkspace());
  const manual = world.mirror.values<WorkspaceRecord>("workspace").filter(({ taskId, ownerId }) =>
    taskId === null && ownerId === home.userId
  );
  if (manual.length > 0) options.push(...Array(2).fill(() => user.closeWorkspace(world.random.pick(manual))));
  return options;
}

/** What only people end: workspaces that they opened. */
export function closeByHand(world: World): void {
  for (const workspace of world.mirror.values<WorkspaceRecord>("workspace")) {
    if (workspace.taskId !== null || ["stopping", "stopped"].includes(workspace.status)) continue;
    const home = world.homes.find(({ userId }) => userId === workspace.ownerId)!;
    new Person(world, home).closeWorkspace(workspace);
  }
}

/** Machines of their own, dead or alive, count among those that they may have. */
export function removeOwnNodes(world: World): void {
  for (const node of world.mirror.values<NodeRecord>("node")) {
    if (node.provider !== "manual" || node.status === "destroyed") continue;
    world.call(`remove ${world.names.of("node", node.id)}`, (edge) => destroyNode(edge, node, { force: true }));
  }
}

/** Submits one task in `home`; returns its id once it is there. */
export function submitProbe(world: World, home: Installation, onMade: (taskId: string) => void): void {
  world.call("probe", (edge) => submit(edge, home, { description: "probe" }), (end) => {
    if (end.kind === "ok") onMade(end.value.id);
  });
}

async function submit(
  edge: Edge,
  home: Installation,
  body: Record<string, unknown>,
  key?: string,
): Promise<TaskRecord> {
  const project = (await readProject(edge.store, home.projectId))!;
  const idempotency = key ? { caller: home.userId, key, bodyHash: "h" } : null;
  return await submitTask(edge, project, createTask.parse(body), { userId: home.userId, idempotency });
}

class Person {
  readonly #world: World;
  readonly #home: Installation;

  constructor(world: World, home: Installation) {
    this.#world = world;
    this.#home = home;
  }

  submit(all: TaskRecord[]): void {
    const body = this.#draw(all);
    this.#world.call("submit", (edge) => submit(edge, this.#home, body));
  }

  /** The same call twice at once, as a browser that got no answer sends it: one task. */
  submitTwice(): void {
    const [body, key] = [this.#draw([]), newId()];
    const made = new Set<string>();
    for (let i = 0; i < 2; i++) {
      this.#world.call("submit twice", (edge) => submit(edge, this.#home, body, key), (end) => {
        if (end.kind === "ok") made.add(end.value.id);
        if (made.size > 1) this.#world.find("one call made two tasks");
      });
    }
  }

  draft(all: TaskRecord[]): void {
    const body = createTask.parse(this.#draw(all));
    this.#world.call("draft", async (edge) => {
      const project = (await readProject(edge.store, this.#home.projectId))!;
      return await createDraft(edge, project, body, { userId: this.#home.userId, idempotency: null });
    });
  }

  taskOptions(task: TaskRecord, all: TaskRecord[]): Act[] {
    const { random } = this.#world;
    const ref = { projectId: task.projectId, id: task.id };
    const on = (name: string, work: (edge: Edge, now: TaskRecord) => Promise<unknown>) => () =>
      void this.#world.call(`${name} ${this.#world.names.of("task", task.id)}`, async (edge) => {
        const now = await readTask(edge.store, task.projectId, task.id);
        return now && await work(edge, now);
      });
    const other = random.pick(all);
    const nodes = this.#world.mirror.values<NodeRecord>("node").filter(({ ownerId }) => ownerId === task.ownerId);
    const named = nodes.length > 0 && random.chance(0.3) ? { nodeId: random.pick(nodes).id } : {};
    const run = on("run", (edge, now) => runTask(edge, now, named, this.#home.userId));
    const isWorking = ["delegated", "in_progress"].includes(task.status);
    const chat = isWorking ? this.#sessionOptions(task) : [];
    return [
      ...Array(["failed", "cancelled", "draft", "ready"].includes(task.status) ? 4 : 1).fill(run),
      on("cancel", (edge, now) => cancelTask(edge, now, null)),
      on(
        "edit",
        (edge) => editTask(edge, ref, { description: "else", priority: random.between(-2, 2) }, this.#home.userId),
      ),
      on("delete", (edge) => removeTask(edge, ref)),
      on("ready", (edge) => setStatus(edge, ref, random.pick(["ready", "cancelled"]), null)),
      on("depend", (edge, now) => changeDependency(edge, now, { dependsOnTaskId: other.id, add: random.chance(0.6) })),
      on("keep", (edge, now) => keepLonger(edge, now, KEEP_HOURS)),
      on("discard", (edge, now) => discard(edge, now)),
      ...chat,
    ];
  }

  nodeOptions(node: NodeRecord): Act[] {
    const name = this.#world.names.of("node", node.id);
    const force = this.#world.random.chance(0.4);
    const destroy = async (edge: Edge) => {
      const now = await readNode(edge.store, node.id);
      return now && await destroyNode(edge, now, { force });
    };
    return [
      () => void this.#world.call(`drain ${name}`, (edge) => drainNode(edge, node.id)),
      () => void this.#world.call(`destroy ${name}${force ? " by force" : ""}`, destroy),
    ];
  }

  addNode(): void {
    this.#world.call("add a machine", (edge) => addNode(edge, this.#home.userId, { vmSize: "medium" }), (end) => {
      if (end.kind !== "ok" || this.#world.random.chance(0.2)) return;
      const bootstrapToken = /BOOTSTRAP_TOKEN='?([\w-]+)/.exec(end.value.command)?.[1];
      if (!bootstrapToken) throw new Error(`no token in: ${end.value.command}`);
      this.#world.addAgent(end.value.node.id, { nodeId: end.value.node.id, bootstrapToken }, true);
    });
  }

  openWorkspace(): void {
    const { userId, projectId } = this.#home;
    const hasProject = this.#world.random.chance(0.6);
    this.#world.call("open a workspace", async (edge) => {
      const project = hasProject ? await readProject(edge.store, projectId) : null;
      const body = hasProject
        ? { projectId }
        : { repositoryUrl: "https://git.example.org/a/b.git", codingAgent: "demo" };
      return await openWorkspace(edge, { userId, project, body, idempotency: null });
    });
  }

  closeWorkspace(workspace: WorkspaceRecord): void {
    const { id, projectId, sessionId } = workspace;
    this.#world.call(`close ${this.#world.names.of("workspace", id)}`, async (edge) => {
      const session = projectId && sessionId ? await readSession(edge.store, projectId, sessionId) : null;
      if (session) await stopManualSession(edge, session);
      await discardWorkspace(edge, id);
    });
  }

  #sessionOptions(task: TaskRecord): Act[] {
    const { random, mirror, names } = this.#world;
    const ref = { projectId: task.projectId, id: task.sessionId };
    const prompts = mirror.values<PromptRecord>("prompt").filter(({ sessionId }) => sessionId === task.sessionId);
    const say = (name: string, work: (edge: Edge) => Promise<unknown>) => () =>
      void this.#world.call(`${name} in ${names.of("session", task.sessionId)}`, work);
    const messageId = newId();
    const prompt = (edge: Edge) => addPrompt(edge, ref, { messageId, text: "and that", by: task.ownerId });
    const adding = say("prompt", prompt);
    const options = [
      adding,
      adding,
      () => [adding(), adding()],
      say("interrupt", (edge) => interruptTurn(edge, ref)),
    ];
    if (prompts.length === 0) return options;
    const { messageId: known } = random.pick(prompts);
    return [
      ...options,
      say("edit a prompt", (edge) => editPrompt(edge, ref, { messageId: known, text: "or that" })),
      say("take back a prompt", (edge) => removePrompt(edge, ref, known)),
    ];
  }

  #draw(all: TaskRecord[]): Record<string, unknown> {
    const { random } = this.#world;
    const dependsOn = all.length > 0 && random.chance(0.15) ? [random.pick(all).id] : [];
    const vmSize = random.pick([null, null, null, "small", "medium"]);
    return { description: "Do it", priority: random.between(-1, 1), dependsOn, vmSize };
  }
}

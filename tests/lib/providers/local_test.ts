/** The local provider with the real agent as its child process: one per node, found again, and gone without a trace. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { dirname, join } from "node:path";
import { createLogger } from "../../../lib/log.ts";
import { isAlive, listProcesses, MARK, type Process, readProcess, selectMarked } from "../../../lib/processes.ts";
import { LocalProvider } from "../../../lib/providers/local.ts";
import { type NodeSpec, ProviderError } from "../../../lib/providers/provider.ts";
import { startTestEdge } from "../../edge.ts";
import { TestRepository } from "../../repository.ts";

const ROOT = join(import.meta.dirname!, "../../..");
/** A test that waits longer than this has failed, and says for what. */
const WAIT_MAX_MS = 60_000;
/** Nobody listens there: an agent waits for its edge. */
const NO_EDGE = "http://127.0.0.1:9";

/** Providers over one directory; every node of it is gone at the end. */
class Place implements AsyncDisposable {
  readonly directory: string;
  readonly #providers: LocalProvider[] = [];
  /** Children of this process that other tests have begun. */
  readonly #others: Set<number>;

  constructor(directory: string, others: Set<number>) {
    this.directory = directory;
    this.#others = others;
  }

  provider(environment: Record<string, string> = {}): LocalProvider {
    const provider = new LocalProvider({
      directory: this.directory,
      agentCommand: [Deno.execPath(), "run", "-A", "--quiet", join(ROOT, "agent/main.ts")],
      environment: { PATH: Deno.env.get("PATH")!, HOME: Deno.env.get("HOME")!, ...environment },
      log: createLogger("debug", () => {}),
    });
    this.#providers.push(provider);
    return provider;
  }

  pathOf(ref: string, ...names: string[]): string {
    return join(this.directory, ref, ...names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const last = this.provider();
    for (const provider of this.#providers) await provider[Symbol.asyncDispose]();
    for (const ref of await last.references()) await last.destroy(ref);
    await Deno.remove(this.directory, { recursive: true });
    // Agents that a provider left are ended by another: their ends come to this process a little later.
    await eventually(async () => (await childrenOf(Deno.pid)).isSubsetOf(this.#others));
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** The children of a process, those included that ended and were not taken note of. */
async function childrenOf(parent: number): Promise<Set<number>> {
  const pids = new Set<number>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (/^\d+$/.test(name) && (await readProcess(Number(name)))?.parent === parent) pids.add(Number(name));
  }
  return pids;
}

async function makePlace(): Promise<Place> {
  return new Place(await Deno.makeTempDir({ prefix: "hearth-nodes-" }), await childrenOf(Deno.pid));
}

function specOf(more: Partial<NodeSpec> = {}): NodeSpec {
  return {
    nodeId: crypto.randomUUID(),
    ownerId: crypto.randomUUID(),
    installationId: "here",
    vmSize: "small",
    location: "nbg1",
    bootstrapToken: "b".repeat(40),
    controlPlaneUrl: NO_EDGE,
    projectId: "project",
    sessionId: "session",
    ...more,
  };
}

/** The agents of a node that live: the leaders of their groups. */
async function agentsOf(nodeId: string): Promise<Process[]> {
  const marked = await selectMarked(await listProcesses(), `node/${nodeId}`);
  return marked.filter((process) => process.group === process.pid);
}

/** Nothing tells when a process that is not our child has begun or ended. */
async function eventually<T>(look: () => Promise<T | null | false>): Promise<T> {
  for (const deadline = Date.now() + WAIT_MAX_MS; Date.now() < deadline;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited in vain for: ${look}`);
}

/** The one agent of a node, with the directory that it has made its own. */
async function agentOf(place: Place, nodeId: string): Promise<Process> {
  await eventually(() => Deno.stat(place.pathOf(nodeId, "agent", "instance-id")).catch(() => null));
  const agents = await agentsOf(nodeId);
  assertEquals(agents.length, 1);
  return agents[0]!;
}

/** Another live agent of the node than `before`. */
async function nextAgent(nodeId: string, before: Process): Promise<Process> {
  return await eventually(async () => (await agentsOf(nodeId)).find(({ pid }) => pid !== before.pid) ?? null);
}

async function environmentOf(pid: number): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(`/proc/${pid}/environ`);
  return Object.fromEntries(
    text.split("\0").filter(Boolean).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

Deno.test("making a node again, also at the same time, makes no second agent", async () => {
  await using place = await makePlace();
  const provider = place.provider();
  const spec = specOf();
  const refs = await Promise.all([provider.create(spec), provider.create(spec), provider.create(spec)]);
  assertEquals(new Set(refs), new Set([spec.nodeId]));
  const agent = await agentOf(place, spec.nodeId);
  await provider.create({ ...spec, bootstrapToken: "c".repeat(40) });
  assertEquals((await agentsOf(spec.nodeId)).map(({ pid }) => pid), [agent.pid]);
  assertEquals(await provider.get(spec.nodeId), { ref: spec.nodeId, nodeId: spec.nodeId, status: "running" });
  assertEquals(await provider.list("here"), [{ ref: spec.nodeId, nodeId: spec.nodeId, status: "running" }]);
  assertEquals(await provider.list("elsewhere"), []);
  assertEquals((await Deno.stat(place.pathOf(spec.nodeId))).mode! & 0o777, 0o700);
  assertEquals((await Deno.stat(place.pathOf(spec.nodeId, "node.json"))).mode! & 0o777, 0o600);
});

Deno.test("an agent that is killed is started again", async () => {
  await using place = await makePlace();
  const provider = place.provider();
  const spec = specOf();
  await provider.create(spec);
  const agent = await agentOf(place, spec.nodeId);
  Deno.kill(agent.pid, "SIGKILL");
  const next = await nextAgent(spec.nodeId, agent);
  Deno.kill(next.pid, "SIGKILL");
  await nextAgent(spec.nodeId, next);
});

Deno.test("destroying ends the agent, all that it started, and removes the directory; again it is success", async () => {
  await using place = await makePlace();
  const provider = place.provider();
  const spec = specOf();
  await provider.create(spec);
  const agent = await agentOf(place, spec.nodeId);
  const instanceId = (await Deno.readTextFile(place.pathOf(spec.nodeId, "agent", "instance-id"))).trim();
  // A coding agent's daemon: a session of its own, no tie to the agent but the mark.
  const daemon = new Deno.Command("setsid", {
    args: ["sh", "-c", "trap '' TERM; sleep 300 & sleep 300"],
    env: { [MARK]: `${instanceId}/some-session` },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const marked = await eventually(async () => {
    const found = await selectMarked(await listProcesses(), `${instanceId}/some-session`);
    return found.length >= 2 && found;
  });
  await provider.destroy(spec.nodeId);
  await daemon.status;
  for (const process of [agent, ...marked]) assertEquals(await isAlive(process), false);
  assertEquals(await Array.fromAsync(Deno.readDir(place.directory)), []);
  assertEquals([await provider.get(spec.nodeId), await provider.list("here")], [null, []]);
  await provider.destroy(spec.nodeId);
  await provider.destroy(crypto.randomUUID());
});

Deno.test("agents survive their edge and are found again by the next", async () => {
  await using place = await makePlace();
  const first = place.provider();
  const spec = specOf();
  await first.create(spec);
  const agent = await agentOf(place, spec.nodeId);
  await first[Symbol.asyncDispose]();
  assert(await isAlive(agent));
  const second = place.provider();
  assertEquals(await second.adopt(NO_EDGE), 1);
  assertEquals((await agentsOf(spec.nodeId)).map(({ pid }) => pid), [agent.pid]);
  assertEquals((await second.get(spec.nodeId))?.status, "running");
  Deno.kill(agent.pid, "SIGKILL");
  const next = await nextAgent(spec.nodeId, agent);
  await second.destroy(spec.nodeId);
  assertEquals(await isAlive(next), false);
});

Deno.test("an agent that died while no edge ran is started by the next", async () => {
  await using place = await makePlace();
  const first = place.provider();
  const spec = specOf();
  await first.create(spec);
  const agent = await agentOf(place, spec.nodeId);
  await first[Symbol.asyncDispose]();
  Deno.kill(agent.pid, "SIGKILL");
  await eventually(async () => !await isAlive(agent));
  await place.provider().adopt(NO_EDGE);
  await nextAgent(spec.nodeId, agent);
});

Deno.test("an edge at another address gets agents that know it, also when the change was cut by a crash", async () => {
  await using place = await makePlace();
  const first = place.provider();
  const spec = specOf();
  await first.create(spec);
  const agent = await agentOf(place, spec.nodeId);
  await first[Symbol.asyncDispose]();
  const second = place.provider();
  await second.adopt("http://127.0.0.1:10");
  assertEquals(await isAlive(agent), false);
  const moved = await nextAgent(spec.nodeId, agent);
  assertEquals((await environmentOf(moved.pid)).CONTROL_PLANE_URL, "http://127.0.0.1:10");
  await second[Symbol.asyncDispose]();
  // The file names the new address already, the agent was not started anew.
  const file = place.pathOf(spec.nodeId, "node.json");
  await Deno.writeTextFile(file, (await Deno.readTextFile(file)).replace("127.0.0.1:10", "127.0.0.1:11"));
  await place.provider().adopt("http://127.0.0.1:11");
  const again = await nextAgent(spec.nodeId, moved);
  assertEquals((await environmentOf(again.pid)).CONTROL_PLANE_URL, "http://127.0.0.1:11");
  assertEquals((await agentsOf(spec.nodeId)).length, 1);
});

Deno.test("an agent's environment is what it is given, and nothing of the edge", async () => {
  await using place = await makePlace();
  const secrets = { JWT_SECRET: "a-secret-of-the-edge", HEARTH_ADMIN_KEY: "hk_secret", CLAUDECODE: "1" };
  for (const [name, value] of Object.entries(secrets)) Deno.env.set(name, value);
  try {
    const spec = specOf();
    await place.provider({ LOG_LEVEL: "debug" }).create(spec);
    const environment = await environmentOf((await agentOf(place, spec.nodeId)).pid);
    const names = Object.keys(environment).filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name));
    assertEquals(
      names.sort(),
      [
        "AGENT_DATA_DIR",
        "BOOTSTRAP_TOKEN",
        "CHAT_SESSION_ID",
        "CONTROL_PLANE_URL",
        "HEARTH_AGENT_LOG",
        MARK,
        "HOME",
        "LOG_LEVEL",
        "NODE_ID",
        "PATH",
        "PROJECT_ID",
      ].sort(),
    );
    assertEquals([environment.NODE_ID, environment.PROJECT_ID, environment.CHAT_SESSION_ID], [
      spec.nodeId,
      "project",
      "session",
    ]);
    for (const secret of Object.values(secrets).slice(0, 2)) {
      assert(!Object.values(environment).some((value) => value.includes(secret)));
    }
    const words = await Deno.readTextFile(`/proc/${(await agentsOf(spec.nodeId))[0]!.pid}/cmdline`);
    assert(!words.includes(spec.bootstrapToken));
  } finally {
    for (const name of Object.keys(secrets)) Deno.env.delete(name);
  }
});

Deno.test("without a project the variables are empty, never the word undefined", async () => {
  await using place = await makePlace();
  const spec = specOf({ projectId: null, sessionId: null });
  await place.provider().create(spec);
  const environment = await environmentOf((await agentOf(place, spec.nodeId)).pid);
  assertEquals([environment.PROJECT_ID, environment.CHAT_SESSION_ID], ["", ""]);
});

Deno.test("a pid that was given out again is never taken for the agent, nor ended", async () => {
  await using place = await makePlace();
  const stranger = new Deno.Command("sleep", { args: ["300"], detached: true }).spawn();
  try {
    const { startTicks } = (await readProcess(stranger.pid))!;
    const boot = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
    const mistaken = [
      { pid: stranger.pid, startTicks: startTicks - 1, boot, controlPlaneUrl: NO_EDGE },
      { pid: stranger.pid, startTicks, boot: "another boot", controlPlaneUrl: NO_EDGE },
    ];
    for (const pid of mistaken) {
      const first = place.provider();
      const spec = specOf();
      await first.create(spec);
      await agentOf(place, spec.nodeId);
      await first[Symbol.asyncDispose]();
      await Deno.writeTextFile(place.pathOf(spec.nodeId, "pid.json"), JSON.stringify(pid));
      const second = place.provider();
      await second.adopt(NO_EDGE);
      assertEquals((await agentsOf(spec.nodeId)).length, 1, "its own agent, found by its mark, was replaced");
      await second.destroy(spec.nodeId);
      assertEquals(await agentsOf(spec.nodeId), []);
      assert((await readProcess(stranger.pid))?.startTicks === startTicks);
    }
  } finally {
    stranger.kill("SIGKILL");
    await stranger.status;
  }
});

Deno.test("an agent whose pid file was never written, or not whole, is found, replaced and ended", async () => {
  await using place = await makePlace();
  for (const text of [null, "", '{"pid": 12', "[]"]) {
    const first = place.provider();
    const spec = specOf();
    await first.create(spec);
    const agent = await agentOf(place, spec.nodeId);
    await first[Symbol.asyncDispose]();
    const path = place.pathOf(spec.nodeId, "pid.json");
    if (text === null) await Deno.remove(path);
    else await Deno.writeTextFile(path, text);
    const second = place.provider();
    if (text === null) {
      await second.destroy(spec.nodeId);
    } else {
      await second.adopt(NO_EDGE);
      const next = await nextAgent(spec.nodeId, agent);
      assertEquals([await isAlive(agent), (await agentsOf(spec.nodeId)).length], [false, 1]);
      await second.destroy(spec.nodeId);
      assertEquals(await isAlive(next), false);
    }
    assertEquals(await agentsOf(spec.nodeId), []);
  }
});

Deno.test("a node whose file cannot be read keeps no other from starting, and can be destroyed", async () => {
  await using place = await makePlace();
  const [broken, whole] = [crypto.randomUUID(), specOf()];
  await Deno.mkdir(place.pathOf(broken), { recursive: true });
  await Deno.writeTextFile(place.pathOf(broken, "node.json"), '{"nodeId": "');
  await Deno.writeTextFile(join(place.directory, "a stray file"), "x");
  const first = place.provider();
  await first.create(whole);
  await agentOf(place, whole.nodeId);
  await first[Symbol.asyncDispose]();
  const second = place.provider();
  assertEquals(await second.adopt(NO_EDGE), 1);
  await second.destroy(broken);
  assertEquals(await Deno.stat(place.pathOf(broken)).catch(() => null), null);
});

Deno.test("destroyed while it is made or started again, nothing of a node is left", async () => {
  await using place = await makePlace();
  const provider = place.provider();
  const spec = specOf();
  await Promise.all([provider.create(spec), provider.destroy(spec.nodeId)]);
  assertEquals([await agentsOf(spec.nodeId), await provider.references()], [[], []]);

  const dying = specOf();
  for (let waitMs = 0; waitMs <= 900; waitMs += 150) {
    await provider.create(dying);
    const agent = await agentOf(place, dying.nodeId);
    Deno.kill(agent.pid, "SIGKILL");
    // Somewhere between the death, the wait before the next start, and that start.
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await provider.destroy(dying.nodeId);
    assertEquals([await agentsOf(dying.nodeId), await provider.references()], [[], []], `after ${waitMs} ms`);
  }
});

Deno.test("what is not a node's id never becomes a path", async () => {
  await using place = await makePlace();
  const provider = place.provider();
  for (const ref of ["..", "../x", "/etc", "", "a b", dirname(place.directory)]) {
    await assertRejects(() => provider.get(ref), ProviderError);
    await assertRejects(() => provider.destroy(ref), ProviderError);
    await assertRejects(() => provider.create(specOf({ nodeId: ref })), ProviderError);
  }
});

Deno.test("an agent that cannot be started is an error in plain words", async () => {
  await using place = await makePlace();
  await Deno.writeTextFile(join(place.directory, "file"), "");
  const provider = new LocalProvider({
    directory: join(place.directory, "file"),
    agentCommand: ["true"],
    environment: {},
    log: createLogger("error", () => {}),
  });
  const error = await assertRejects(() => provider.create(specOf()), ProviderError);
  assert(error.message.startsWith("the agent could not be started on this machine"));
});

Deno.test("destroyed under a working coding agent: its shells and what they left behind are gone too", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  // A number that no other test waits for tells the processes of this one.
  const span = `300.${Math.floor(Math.random() * 1e9)}`;
  const description = `run setsid -f sleep ${span}; sleep ${span}`;
  const { taskId } = (await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description })).body;
  await eventually(async () => (await sleepers(span)).length === 2);
  const { nodeId } = (await test.admin.call(`GET /api/projects/${project.id}/tasks/${taskId}`)).body;
  const access = { secret: null };
  await test.edge.provider.destroy(nodeId, access);
  assertEquals([await sleepers(span), await agentsOf(nodeId), await test.edge.provider.get(nodeId, access)], [
    [],
    [],
    null,
  ]);
});

/** The processes that sleep for just this span. */
async function sleepers(span: string): Promise<number[]> {
  const processes = await listProcesses();
  const lines = await Promise.all(
    processes.map(({ pid }) => Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")),
  );
  return processes.filter((_, i) => lines[i] === `sleep\0${span}\0`).map(({ pid }) => pid);
}

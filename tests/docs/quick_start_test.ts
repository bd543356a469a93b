/**
 * The README's first five minutes as a person goes through them: the start command, the sign-in link from the terminal,
 * the example task, the branch; and the README's way to clean up.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { z } from "zod";
import { backoffMs, wait } from "../../lib/backoff.ts";
import { createLogger } from "../../lib/log.ts";
import { LocalProvider } from "../../lib/providers/local.ts";
import { project as projectSchema } from "../../lib/wire/project.ts";
import { type Task, task as taskSchema } from "../../lib/wire/task.ts";
import { runAdmin } from "../lib/admin/run_admin.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const README = new URL("../../README.md", import.meta.url);
const START_MAX_MS = 120_000;
const RUN_MAX_MS = 120_000;
const AGENT_END_MAX_MS = 120_000;

/** The command as the README has it, for whoever has Deno already. */
async function readStartCommand(readme: string): Promise<string[]> {
  const [, command] = readme.match(/```sh\nnpx -y deno@[\d.]+ (task start)\n```/) ?? [];
  assert(command, "the README has the start command");
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  assert("start" in tasks && "test" in tasks);
  return command.split(" ");
}

/** The example task, without the indentation of the list in which it stands. */
function readExample(readme: string): string {
  const [, example] = readme.match(/```text\n([^]*?)```/) ?? [];
  assert(example, "the README has an example task");
  return example.split("\n").map((line) => line.trim()).filter((line) => line !== "").join("\n");
}

class Hearth implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #link = Promise.withResolvers<string>();
  #out = "";

  constructor(command: string[], env: Record<string, string>) {
    const kept = Object.entries(Deno.env.toObject()).filter(([name]) => ["PATH", "HOME", "DENO_DIR"].includes(name));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: command,
      cwd: ROOT,
      clearEnv: true,
      env: { ...Object.fromEntries(kept), NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reading = this.#read();
  }

  /** The sign-in link that the terminal shows. */
  get link(): Promise<string> {
    return within(this.#link.promise, START_MAX_MS, () => `no sign-in link came:\n${this.#out}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It ended by itself, which the test has seen or will see.
    }
    await this.#child.status;
    await this.#reading;
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#out += text;
      const link = this.#out.match(/http:\/\/\S+\/signin\/once\/\S+/)?.[0];
      if (link) this.#link.resolve(link);
    }
    this.#link.reject(new Error(`Hearth ended:\n${this.#out}`));
  }
}

async function within<T>(work: Promise<T>, ms: number, why: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => timer = setTimeout(() => reject(new Error(why())), ms));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer fits: as somebody who looks at the page from outside does. */
async function poll<T>(ask: () => Promise<T>, fits: (answer: T) => boolean, maxMs: number): Promise<T> {
  const started = performance.now();
  for (let tries = 0;; tries++) {
    const answer = await ask();
    if (fits(answer)) return answer;
    assert(performance.now() - started < maxMs, `waited in vain; the last answer was ${Deno.inspect(answer)}`);
    await wait(backoffMs(tries, { initialMs: 50, maxMs: 500 }, Math.random()));
  }
}

/** A browser's calls, as far as the edge can tell. */
class Visitor {
  readonly #origin: string;
  readonly #cookie: string;

  private constructor(origin: string, cookie: string) {
    this.#origin = origin;
    this.#cookie = cookie;
  }

  static async signIn(link: string): Promise<Visitor> {
    const response = await fetch(link, { redirect: "manual" });
    await response.body?.cancel();
    assertEquals([response.status, response.headers.get("location")], [303, "/projects"]);
    return new Visitor(new URL(link).origin, (response.headers.get("set-cookie") ?? "").split(";")[0]!);
  }

  async page(path: string): Promise<string> {
    const response = await this.#fetch(path, { headers: { accept: "text/html" } });
    assertEquals(response.status, 200);
    return await response.text();
  }

  async call<S extends z.ZodType>(path: string, schema: S, body?: unknown): Promise<z.output<S>> {
    const response = await this.#fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json", "sec-fetch-site": "same-origin" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    assert(response.ok, `${path} answered ${response.status}`);
    return schema.parse(await response.json());
  }

  async delete(path: string): Promise<void> {
    const response = await this.#fetch(path, { method: "DELETE", headers: { "sec-fetch-site": "same-origin" } });
    await response.body?.cancel();
    assert(response.ok, `${path} answered ${response.status}`);
  }

  #fetch(path: string, init: RequestInit): Promise<Response> {
    return fetch(this.#origin + path, { ...init, headers: { ...init.headers, cookie: this.#cookie } });
  }
}

async function runExample(visitor: Visitor, projectId: string, description: string): Promise<Task> {
  const path = `/api/projects/${projectId}/tasks`;
  const { taskId } = await visitor.call(`${path}/submit`, z.object({ taskId: z.string() }), { description });
  const ended = (task: Task) => ["completed", "failed", "cancelled"].includes(task.status);
  return await poll(() => visitor.call(`${path}/${taskId}`, taskSchema), ended, RUN_MAX_MS);
}

async function git(repository: string, ...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("git", { args: ["-C", repository, ...args] }).output();
  assert(success);
  return new TextDecoder().decode(stdout).trimEnd();
}

/** Ends every machine through the edge that runs, and waits until the admin's list is empty. */
async function cleanUp(visitor: Visitor, env: Record<string, string>): Promise<void> {
  const nodes = z.object({ items: z.array(z.object({ id: z.string() })) });
  for (const { id } of (await visitor.call("/api/nodes", nodes)).items) {
    await visitor.delete(`/api/nodes/${id}?force=true`);
  }
  const list = async () => {
    const { code, out, err } = await runAdmin(["nodes", "list", "--json"], env);
    assertEquals(code, 0, err);
    return z.array(z.unknown()).parse(JSON.parse(out));
  };
  await poll(list, (left) => left.length === 0, AGENT_END_MAX_MS);
}

/** Whatever a failed test has left: agents outlive their edge. */
async function endAgents(dataDir: string): Promise<void> {
  await using provider = new LocalProvider({
    directory: join(dataDir, "nodes"),
    agentCommand: [],
    environment: {},
    log: createLogger("critical"),
  });
  for (const ref of await provider.references()) await provider.destroy(ref);
}

Deno.test("T076 the README's first five minutes: start, sign in, run the example, find the branch, clean up", async () => {
  const readme = await Deno.readTextFile(README);
  const [command, example] = [await readStartCommand(readme), readExample(readme)];
  const dataDir = await Deno.makeTempDir({ prefix: "hearth-quick-start-" });
  try {
    const env = { HEARTH_DATA_DIR: dataDir, PORT: "0" };
    await using hearth = new Hearth(command, env);
    const visitor = await Visitor.signIn(await hearth.link);
    assertStringIncludes(await visitor.page("/projects"), "Sample");
    const [sample] = (await visitor.call("/api/projects", z.object({ items: z.array(projectSchema) }))).items;
    assertEquals(sample?.name, "Sample");
    assertStringIncludes(await visitor.page(`/projects/${sample!.id}`), "Run Now");

    const task = await runExample(visitor, sample!.id, example);
    assertEquals([task.status, task.errorMessage, task.warning], ["completed", null, null]);
    assertEquals(task.outputBranch, `task/${task.id}`);
    const repository = join(dataDir, "sample.git");
    assertStringIncludes(await git(repository, "branch"), task.outputBranch!);
    assertEquals(await git(repository, "show", `${task.outputBranch}:docs/hello.md`), "Hello from Hearth");

    await cleanUp(visitor, env);
    assertEquals(await Array.fromAsync(Deno.readDir(join(dataDir, "nodes"))), []);
  } finally {
    await endAgents(dataDir);
    await Deno.remove(dataDir, { recursive: true });
  }
});

/**
 * A whole edge as people run it: `main.ts` as a process of its own, with its own data directory, and the agents that it
 * starts. It can be killed and started again on the same port; at the end nothing of it is left.
 */
import { join } from "node:path";
import { createLogger } from "../../../lib/log.ts";
import { LocalProvider } from "../../../lib/providers/local.ts";

const ROOT = join(import.meta.dirname!, "../../..");
const START_MAX_MS = 60_000;
/** What a test's edge inherits: where programs are, never the settings of whoever runs the tests. */
const INHERITED = ["PATH", "HOME", "LANG", "DENO_DIR", "TMPDIR"];

export class EdgeProcess implements AsyncDisposable {
  readonly directory: string;
  /** The API key that the first start printed. */
  key = "";
  /** The link of the newest start; it signs in once. */
  signInLink = "";
  url = "";
  readonly #env: Record<string, string>;
  #child: Deno.ChildProcess | null = null;
  #output: Promise<void> = Promise.resolve();

  private constructor(directory: string, env: Record<string, string>) {
    this.directory = directory;
    this.#env = env;
  }

  static async start(env: Record<string, string> = {}): Promise<EdgeProcess> {
    const edge = new EdgeProcess(await Deno.makeTempDir({ prefix: "hearth-browser-" }), env);
    await edge.start();
    return edge;
  }

  /** Starts the process and waits until it has printed where it is. */
  async start(): Promise<void> {
    const inherited = INHERITED.flatMap((name) => Deno.env.get(name) ? [[name, Deno.env.get(name)!]] : []);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", join(ROOT, "main.ts")],
      clearEnv: true,
      env: {
        ...Object.fromEntries(inherited),
        HEARTH_DATA_DIR: this.directory,
        LOG_LEVEL: "warn",
        // Started again it is where the page looks for it.
        PORT: this.url ? new URL(this.url).port : "0",
        ...this.#env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const greeting = Promise.withResolvers<string>();
    this.#output = this.#follow(this.#child, greeting);
    const timer = setTimeout(() => greeting.reject(new Error("The edge did not start in time.")), START_MAX_MS);
    const text = await greeting.promise.finally(() => clearTimeout(timer));
    this.url = /running at (\S+)/.exec(text)![1]!;
    this.signInLink = /(\S+\/signin\/once\/\S+)/.exec(text)![1]!;
    this.key ||= /(hk_\S+)/.exec(text)?.[1] ?? "";
  }

  /** Ends the process as a crash or a power cut would. Its agents go on. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Calls the API with the first admin's key. */
  async call(
    call: `${"GET" | "POST" | "PATCH" | "DELETE"} /${string}`,
    body?: unknown,
    // deno-lint-ignore no-explicit-any
  ): Promise<any> {
    const [method, path] = call.split(" ") as [string, string];
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${call} answered ${response.status}: ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGTERM");
    const provider = new LocalProvider({
      directory: join(this.directory, "nodes"),
      agentCommand: [],
      environment: {},
      log: createLogger("error"),
    });
    for (const ref of await provider.references()) await provider.destroy(ref);
    await Deno.remove(this.directory, { recursive: true });
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = null;
    child.kill(signal);
    await child.status;
    await this.#output;
  }

  /** Reads to the end, so that the process never waits for a reader; what it complains of is shown. */
  async #follow(child: Deno.ChildProcess, greeting: PromiseWithResolvers<string>): Promise<void> {
    let said = "";
    const out = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        said += text;
        if (/\/signin\/once\/\S+\s/.test(said)) greeting.resolve(said);
      }
    })();
    const complaints = await new Response(child.stderr).text();
    await out;
    greeting.reject(new Error(`The edge ended before it could be reached.\n${said}\n${complaints}`));
  }
}

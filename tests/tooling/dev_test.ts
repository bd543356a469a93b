/** `deno task dev`, as somebody who changes the source uses it, in a copy of it that nobody else touches. */
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../..", import.meta.url).pathname;
const NEEDED = ["agent", "islands", "lib", "routes", "static", "deno.json", "deno.lock", "fresh.config.ts", "main.ts"];
const START_MAX_MS = 180_000;

interface Dev extends AsyncDisposable {
  folder: string;
  /** The link to sign in with that the next greeting names. */
  nextLink: () => Promise<string>;
  errors: () => string[];
}

async function startDev(): Promise<Dev> {
  const folder = await Deno.makeTempDir();
  const copied = await new Deno.Command("cp", {
    args: ["-R", ...[...NEEDED, "package.json"].map((name) => ROOT + name), folder],
  }).output();
  assert(copied.success, new TextDecoder().decode(copied.stderr));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "dev"],
    cwd: folder,
    env: { PORT: "0", HEARTH_DATA_DIR: `${folder}/data`, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // Its own group, because the watcher starts the program as another process.
    detached: true,
  }).spawn();
  const said = { out: "", err: "" };
  const follow = async (stream: ReadableStream<Uint8Array>, name: "out" | "err") => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) said[name] += decoder.decode(bytes, { stream: true });
  };
  const followed = Promise.all([follow(child.stdout, "out"), follow(child.stderr, "err")]);
  let greetings = 0;
  return {
    folder,
    errors: () => said.err.split("\n").filter((line) => /"level":"(?:error|critical)"|^error:/i.test(line)),
    async nextLink() {
      const deadline = performance.now() + START_MAX_MS;
      for (;;) {
        const links = said.out.match(/http:\S+\/signin\/once\/\S+/g) ?? [];
        const link = links[greetings];
        if (link) {
          greetings = links.length;
          return link;
        }
        if (performance.now() > deadline) throw new Error(`no greeting in: ${said.out}\n${said.err}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async [Symbol.asyncDispose]() {
      Deno.kill(-child.pid, "SIGKILL");
      await child.status;
      await followed;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Signs in with the link of the greeting. Answers the first script of the page that it leads to. */
async function readScript(link: string): Promise<string> {
  const signed = await fetch(link, { redirect: "manual" });
  await signed.body?.cancel();
  const cookie = signed.headers.getSetCookie().map((text) => text.split(";")[0]).join("; ");
  const page = await fetch(new URL(signed.headers.get("location") ?? "", link), { headers: { cookie } });
  const html = await page.text();
  assertEquals(page.status, 200, html);
  const path = html.match(/<script[^>]* src="(\/[^"]+\.js)"|<link[^>]* href="(\/[^"]+\.js)"/)?.slice(1).find(Boolean);
  assert(path, html);
  const script = await fetch(new URL(path, link));
  assertEquals(script.status, 200);
  return await script.text();
}

Deno.test("TASK-002-AC1 the development server starts without errors, and again on a change", async () => {
  await using dev = await startDev();
  assert((await readScript(await dev.nextLink())).length > 0);
  assertEquals(dev.errors(), []);
  const config = `${dev.folder}/lib/config.ts`;
  await Deno.writeTextFile(config, `${await Deno.readTextFile(config)}\n// changed\n`);
  assert((await readScript(await dev.nextLink())).length > 0);
  assertEquals(dev.errors(), []);
});

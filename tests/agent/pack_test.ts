/** The packed agent: the very file that a machine gets, started where there is no Deno. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { AGENT_VERSION } from "../../agent/config.ts";

const BUILD = new URL("../../agent/pack/build.ts", import.meta.url).pathname;

interface Packed extends AsyncDisposable {
  folder: string;
  executable: string;
  /** What packing printed. */
  output: string;
}

async function pack(): Promise<Packed> {
  const folder = await Deno.makeTempDir();
  const executable = `${folder}/hearth-agent`;
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", BUILD, executable], stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const output = new TextDecoder().decode(stdout);
  return { folder, executable, output, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Nothing of this environment but the system's own programs. */
function bare(
  { executable, folder }: Packed,
  args: string[],
  stdin: "null" | "piped" = "null",
  more: Record<string, string> = {},
): Deno.ChildProcess {
  const env = {
    ...more,
    PATH: "/usr/bin:/bin",
    AGENT_DATA_DIR: `${folder}/data`,
    NODE_ID: "0190b0a0-0000-7000-8000-000000000001",
    CONTROL_PLANE_URL: "http://127.0.0.1:9",
  };
  return new Deno.Command(executable, { args, env, clearEnv: true, stdin, stdout: "piped", stderr: "piped" }).spawn();
}

async function run(packed: Packed, args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await bare(packed, args).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("the packed agent runs where there is no Deno", async (t) => {
  await using packed = await pack();

  await t.step("packing prints path, size and SHA-256", async () => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(packed.executable)));
    const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    assertMatch(packed.output, /hearth-agent {2}\d+\.\d MiB {2}SHA-256 [0-9a-f]{64}\n$/);
    assert(packed.output.includes(sum), `${packed.output} should name ${sum}`);
  });

  await t.step("TASK-001-AC3 the agent loads and tells its version", async () => {
    const { code, stdout, stderr } = await run(packed, ["version"]);
    assertEquals(code, 0, stderr);
    assert(stdout.includes(AGENT_VERSION), stdout);
  });

  await t.step("doctor checks this machine and says what it found", async () => {
    const { stdout, stderr } = await run(packed, ["doctor"]);
    assertMatch(stdout + stderr, /git/i);
  });

  await t.step("its database addon works: outbox lists an empty database", async () => {
    await Deno.mkdir(`${packed.folder}/data`);
    await Deno.create(`${packed.folder}/data/agent.db`).then((file) => file.close());
    const { code, stdout, stderr } = await run(packed, ["outbox", "list"]);
    assertEquals(code, 0, stdout + stderr);
    assertMatch(stdout, /0 waiting/);
  });

  await t.step("TASK-015-AC1 as the chat engine it becomes ready, and brings its page along", async () => {
    const child = bare(packed, ["serve"], "null", {
      HEARTH_API_KEY: "a-key-for-this-test",
      DATABASE_URL: `file:${packed.folder}/sessions.db`,
      PROJECT_DIR: packed.folder,
      PREWARM_POOL_SIZE: "1",
      PORT: "0",
    });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const url = new TextDecoder().decode(value).match(/http:\S+/)![0];
    const ready = await fetch(`${url}/api/v1/health/ready`);
    assertEquals([ready.status, (await ready.json()).status], [200, "ready"]);
    const page = await fetch(url);
    assertMatch(await page.text(), /<script type="module" src="\/assets\/page.js">/);
    const script = await fetch(`${url}/assets/page.js`);
    assert((await script.text()).includes("/ws/v1/chat"));
    child.kill("SIGTERM");
    const said = await new Response(child.stderr).text();
    await reader.cancel();
    assertEquals((await child.status).code, 0, said);
  });

  await t.step("as the demo coding agent it is one process that speaks ACP and ends with its input", async () => {
    const child = bare(packed, ["demo"], "piped");
    const writer = child.stdin.getWriter();
    const request = {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: 1, clientCapabilities: {} },
    };
    await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assertMatch(new TextDecoder().decode(value), /"name":\s*"demo"/);
    if (Deno.build.os === "linux") assertMatch(await Deno.readLink(`/proc/${child.pid}/exe`), /\/deno$/);
    await writer.close();
    await reader.cancel();
    await child.stderr.cancel();
    assertEquals((await child.status).code, 0);
  });
});

/**
 * `deno task agent:compile [output]`: the agent as one executable for this kind of machine, with `deno compile`. That
 * needs Deno's base executable, which it downloads; where it cannot be reached, a sentence says what to do instead.
 * It compiles the bundle and the addon alone: given the source, it would embed every package of the repository.
 */
import { ADDON_NAME, bundleAgent, bundlePage, findAddon, PAGE_NAME } from "./bundle.ts";
import { publish } from "./publish.ts";

const ENTRY = new URL("../main.ts", import.meta.url).pathname;
const DEFAULT_OUTPUT = "dist/hearth-agent";
const UNREACHABLE = /Setting up base binary/;
const ADVICE =
  "deno compile could not fetch its base executable. `deno task agent:pack` makes an executable without it.\n";

if (import.meta.main) Deno.exit(await compileAgent(Deno.args[0] ?? DEFAULT_OUTPUT));

async function compileAgent(output: string): Promise<number> {
  await using folder = await makeFolder();
  await Deno.writeFile(`${folder.path}/agent.mjs`, await bundleAgent(ENTRY));
  await Deno.writeFile(`${folder.path}/${PAGE_NAME}`, await bundlePage());
  await Deno.copyFile(findAddon(), `${folder.path}/${ADDON_NAME}`);
  const { code, stderr } = await runCompile(folder.path);
  if (code === 0) await publish(output, await Deno.readFile(`${folder.path}/hearth-agent`));
  else await explain(stderr);
  return code;
}

async function explain(stderr: Uint8Array): Promise<void> {
  await Deno.stderr.write(stderr);
  if (UNREACHABLE.test(new TextDecoder().decode(stderr))) await Deno.stderr.write(new TextEncoder().encode(ADVICE));
}

function runCompile(cwd: string): Promise<Deno.CommandOutput> {
  const flags = [
    "-A",
    "--no-check",
    "--no-config",
    "--include",
    ADDON_NAME,
    "--include",
    PAGE_NAME,
    "--output",
    "hearth-agent",
  ];
  return new Deno.Command(Deno.execPath(), { args: ["compile", ...flags, "agent.mjs"], cwd, stdin: "null" }).output();
}

async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

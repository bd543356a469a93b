import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { z } from "zod";

const ROOT = new URL("../..", import.meta.url).pathname;
const imports = z.object({ imports: z.record(z.string(), z.string()) });
const manifest = z.object({ version: z.string() });

interface Checkout extends AsyncDisposable {
  folder: string;
  config: string;
}

/** A folder with no more than what says which dependencies there are. */
async function checkOut(): Promise<Checkout> {
  const folder = await Deno.makeTempDir();
  const names = ["deno.json", "deno.lock", "package.json"];
  for (const name of names) await Deno.copyFile(`${ROOT}${name}`, `${folder}/${name}`);
  const config = await Deno.readTextFile(`${folder}/deno.json`);
  return { folder, config, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

async function install(folder: string): Promise<{ code: number; output: string }> {
  const options: Deno.CommandOptions = {
    args: ["install", "--frozen"],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
  };
  const { code, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  return { code, output: new TextDecoder().decode(stderr) };
}

Deno.test("TASK-001-AC1 a frozen install brings every dependency in exactly its version", async () => {
  await using checkout = await checkOut();
  const { code, output } = await install(checkout.folder);
  assertEquals(code, 0, output);
  const wanted = Object.values(imports.parse(JSON.parse(checkout.config)).imports).filter((to) =>
    to.startsWith("npm:")
  );
  assert(wanted.length > 10);
  for (const [, name, version] of wanted.map((to) => to.match(/^npm:(.+)@(\d+\.\d+\.\d+)$/) ?? [])) {
    const text = await Deno.readTextFile(`${checkout.folder}/node_modules/${name}/package.json`);
    assertEquals([name, manifest.parse(JSON.parse(text)).version], [name, version]);
  }
});

Deno.test("an override lifts what a dependency would bring itself", async () => {
  await using checkout = await checkOut();
  await install(checkout.folder);
  const { overrides } = z.object({ overrides: z.record(z.string(), z.string()) }).parse(
    JSON.parse(await Deno.readTextFile(`${checkout.folder}/package.json`)),
  );
  const brought = Array.from(Deno.readDirSync(`${checkout.folder}/node_modules/.deno`), ({ name }) => name);
  for (const [name, version] of Object.entries(overrides)) {
    assertEquals(brought.filter((each) => each.startsWith(`${name}@`)), [`${name}@${version}`]);
  }
});

Deno.test("an install that the lock does not cover is refused", async () => {
  await using checkout = await checkOut();
  await Deno.writeTextFile(
    `${checkout.folder}/deno.json`,
    checkout.config.replace(/npm:diff@[\d.]+/, "npm:diff@8.0.2"),
  );
  const { code, output } = await install(checkout.folder);
  assertEquals(code, 1);
  assertStringIncludes(output, "lockfile is out of date");
});

/**
 * The simulation finds what it is there for: every bug on purpose breaks a rule within two hundred seeds. Each runs on a
 * copy of the tree in a process of its own, and ends with its first catch.
 */
import { assert, assertEquals } from "@std/assert";
import { type Mutant, MUTANTS } from "./mutants.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const SEEDS_MAX = 200;
const AT_ONCE = 2;
/** What the simulation needs of the tree. */
const PARTS = ["lib", "agent", "tests/sim", "tests/chaos/random.ts", "deno.json", "deno.lock", "package.json"];

Deno.test(`each of ${MUTANTS.length} bugs on purpose is found within ${SEEDS_MAX} seeds`, async () => {
  const escaped: string[] = [];
  const line = [...MUTANTS];
  const work = async () => {
    for (let mutant = line.shift(); mutant; mutant = line.shift()) {
      const { caught, told } = await runMutant(mutant);
      if (!caught) escaped.push(`${mutant.bug}: ${told}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  assertEquals(escaped, []);
});

async function runMutant(mutant: Mutant): Promise<{ caught: boolean; told: string }> {
  const root = await Deno.makeTempDir({ prefix: "hearth-mutant-" });
  try {
    await copyTree(root);
    await plant(root, mutant);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", "tests/sim/main.ts", "--seeds", `${SEEDS_MAX}`, "--stop-first"],
      cwd: root,
    });
    const { code, stdout, stderr } = await command.output();
    const told = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    // A copy that does not even start has found nothing.
    return { caught: code === 1 && /^FAIL seed \d+$/m.test(told), told: told.slice(-500) };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function copyTree(root: string): Promise<void> {
  await Deno.mkdir(`${root}/tests/chaos`, { recursive: true });
  const copy = new Deno.Command("cp", { args: ["-r", ...PARTS.map((part) => `${ROOT}${part}`), root] });
  assert((await copy.output()).success);
  await Deno.rename(`${root}/sim`, `${root}/tests/sim`);
  await Deno.rename(`${root}/random.ts`, `${root}/tests/chaos/random.ts`);
  await Deno.symlink(`${ROOT}node_modules`, `${root}/node_modules`);
}

/** A bug whose place is gone must be put anew: it would prove nothing. */
async function plant(root: string, { bug, file, edits }: Mutant): Promise<void> {
  let text = await Deno.readTextFile(`${root}/${file}`);
  for (const [find, replace] of edits) {
    assertEquals(text.split(find).length - 1, 1, `${bug}: ${file} holds this not exactly once: ${find}`);
    text = text.replace(find, () => replace);
  }
  await Deno.writeTextFile(`${root}/${file}`, text);
}

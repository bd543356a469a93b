/**
 * `deno task scenarios`: which scenarios of `scenario-ids.txt` no test carries. A test carries those with which its
 * name begins. `scenarios-carried.txt` keeps what was carried once: losing one of them is a failure, and `--write`
 * adds the new ones while nothing is lost.
 */

const WANTED_FILE = new URL("scenario-ids.txt", import.meta.url);
const CARRIED_FILE = new URL("scenarios-carried.txt", import.meta.url);

const ID = String.raw`(?:T\d{3}(?:-\d+)?|TASK-\d{3}-AC\d+)`;
/** `Deno.test("…`, `t.step(…`, or a helper of such a name, with the name as first argument or as its `name:`. */
const NAME = new RegExp(String.raw`(?:test|step)\(\s*(?:\{\s*name:\s*)?["'\`](${ID}(?:[ ,/&]+${ID})*)(?![\w-])`, "gi");

export interface Coverage {
  /** Wanted, and carried by no test. */
  open: string[];
  /** Carried before, and by no test now. */
  lost: string[];
  /** Carried now, in the order of the wanted ones. */
  carried: string[];
  /** Carried by a test, but no scenario has that id. */
  unknown: string[];
}

/** The ids that the names of the tests in a file's `text` begin with. */
export function findIds(text: string): string[] {
  return [...text.matchAll(NAME)].flatMap((match) => match[1]!.match(new RegExp(ID, "g")) ?? []);
}

/** Holds the ids `found` in the tests against those `wanted` and those carried `before`. */
export function compare(found: string[], wanted: string[], before: string[]): Coverage {
  const now = new Set(found);
  return {
    open: wanted.filter((id) => !now.has(id)),
    lost: before.filter((id) => !now.has(id)),
    carried: wanted.filter((id) => now.has(id)),
    unknown: [...now].filter((id) => !wanted.includes(id)),
  };
}

/** The coverage of the tests under `folder`, by the two committed lists. */
export async function readCoverage(folder: URL = new URL(".", import.meta.url)): Promise<Coverage> {
  return compare(await findIdsUnder(folder), await readList(WANTED_FILE), await readList(CARRIED_FILE));
}

async function findIdsUnder(folder: URL): Promise<string[]> {
  const ids: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(entry.isDirectory ? `${entry.name}/` : entry.name, folder);
    if (entry.isDirectory) ids.push(...await findIdsUnder(url));
    else if (/_test\.tsx?$/.test(entry.name)) ids.push(...findIds(await Deno.readTextFile(url)));
  }
  return ids;
}

async function readList(file: URL): Promise<string[]> {
  return (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
}

async function main(args: string[]): Promise<number> {
  const { open, lost, carried, unknown } = await readCoverage();
  if (args.includes("--write") && lost.length === 0) {
    await Deno.writeTextFile(
      CARRIED_FILE,
      carried.map((id) => `${id}\n`).join(""),
    );
  }
  for (const id of open) say(id);
  say(`${carried.length} of ${carried.length + open.length} scenarios are carried by a test.`);
  if (unknown.length > 0) say(`No scenario has the id ${unknown.join(", ")}, which a test's name begins with.`);
  if (lost.length > 0) say(`No test carries ${lost.join(", ")} any more.`);
  return lost.length + unknown.length === 0 ? 0 : 1;
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));

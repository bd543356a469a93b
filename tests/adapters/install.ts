/**
 * `deno task adapters:install [all | id …]`: brings the real coding agents that tests drive into the cache folder. By
 * default those that the suite needs. Exit code 1 when one could not be had.
 */
import { installPackage, type PackageId, PACKAGES, programFolder, SUITE_PACKAGES } from "./packages.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const all = Object.keys(PACKAGES) as PackageId[];
  const wanted = args.includes("all") ? all : args.length > 0 ? all.filter((id) => args.includes(id)) : SUITE_PACKAGES;
  return await provideAdapters(wanted, (line) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`))) ? 0 : 1;
}

/** Installs what is missing, and tells `say` what it does and what could not be had. Answers whether all are there. */
export async function provideAdapters(wanted: PackageId[], say: (line: string) => void): Promise<boolean> {
  let isWhole = true;
  for (const id of wanted) {
    const { spec, megabytes } = PACKAGES[id];
    if (programFolder(id) !== null) continue;
    say(`${spec} is missing: installing it with npm, about ${megabytes} MB.`);
    const why = await installPackage(id);
    if (why === null) continue;
    isWhole = false;
    say(`${spec} could not be installed (${why}). The tests that drive it are skipped.`);
  }
  return isWhole;
}

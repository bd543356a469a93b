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

/**
 * Installs what is missing, and tells `say` what it does and what could not be had. After one that could not, the others
 * are not waited for: the reason is most likely the network. Answers whether all are there.
 */
export async function provideAdapters(wanted: PackageId[], say: (line: string) => void): Promise<boolean> {
  const missing = wanted.filter((id) => programFolder(id) === null);
  for (const [i, id] of missing.entries()) {
    const { spec, megabytes } = PACKAGES[id];
    say(`${spec} is missing: installing it with npm, about ${megabytes} MB.`);
    const why = await installPackage(id);
    if (why === null) continue;
    say(`${spec} could not be installed (${why}). The tests that drive it are skipped.`);
    const others = missing.slice(i + 1).map((other) => PACKAGES[other].spec);
    if (others.length > 0) say(`Nor are those run that drive ${others.join(", ")}.`);
    return false;
  }
  return true;
}

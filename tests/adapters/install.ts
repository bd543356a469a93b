/**
 * `deno task adapters:install [id …]`: brings the real coding agents that tests drive into the cache folder, all of them
 * or those that are named. Exit code 1 when one could not be had.
 */
import { installPackage, type PackageId, PACKAGES, programFolder, SUITE_PACKAGES } from "./packages.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const wanted = args.length > 0 ? SUITE_PACKAGES.filter((id) => args.includes(id)) : SUITE_PACKAGES;
  return await provideAdapters(wanted, (line) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`))) ? 0 : 1;
}

/**
 * Installs what is missing, all at once, for most of the time is waiting for the network; tells `say` what it does and
 * what could not be had. Answers whether all are there.
 */
export async function provideAdapters(wanted: PackageId[], say: (line: string) => void): Promise<boolean> {
  const missing = wanted.filter((id) => programFolder(id) === null);
  const had = await Promise.all(missing.map(async (id) => {
    const { spec, megabytes } = PACKAGES[id];
    say(`${spec} is missing: installing it with npm, about ${megabytes} MB.`);
    const why = await installPackage(id);
    if (why !== null) say(`${spec} could not be installed (${why}). The tests that drive it are skipped.`);
    return why === null;
  }));
  return had.every(Boolean);
}

/**
 * Real coding agents for tests: exact npm packages in a cache folder outside the tree, made by `deno task
 * adapters:install`. What is there already is used; what cannot be had is named with the reason, so that a test that is
 * skipped says why.
 */
import { dirname, join } from "node:path";

export type PackageId = "claude" | "opencode" | "codex" | "gemini";

interface Package {
  spec: string;
  program: string;
  /** Roughly, to tell a person what is about to come. */
  megabytes: number;
}

/** The versions that the documentation of each coding agent speaks of. */
export const PACKAGES: Record<PackageId, Package> = {
  claude: { spec: "@agentclientprotocol/claude-agent-acp@0.100.0", program: "claude-agent-acp", megabytes: 160 },
  opencode: { spec: "opencode-ai@1.18.33", program: "opencode", megabytes: 120 },
  codex: { spec: "@agentclientprotocol/codex-acp@2.6.0", program: "codex-acp", megabytes: 130 },
  gemini: { spec: "@google/gemini-cli@0.61.0", program: "gemini", megabytes: 25 },
};

/** What the suite installs by itself. */
export const SUITE_PACKAGES: PackageId[] = ["claude", "opencode", "codex", "gemini"];

const INSTALL_MAX_MS = 3 * 60_000;
const REASON_MAX_CHARS = 300;

/** The folder that holds the program of an installed package, for the PATH; null when it is not installed. */
export function programFolder(id: PackageId): string | null {
  const folder = join(folderOf(id), "node_modules", ".bin");
  return exists(join(folder, PACKAGES[id].program)) ? folder : null;
}

/** Name and `ignore` of a test that needs this package: one that cannot run says in its name what would help. */
export function needing(id: PackageId, name: string): { name: string; ignore: boolean } {
  if (programFolder(id) !== null) return { name, ignore: false };
  return {
    name: `${name} [skipped: ${PACKAGES[id].spec} is not installed; run deno task adapters:install]`,
    ignore: true,
  };
}

/** Installs the package unless it is there. Answers null, or why it could not be had. Never throws. */
export async function installPackage(id: PackageId): Promise<string | null> {
  if (programFolder(id) !== null) return null;
  const folder = folderOf(id);
  await Deno.mkdir(dirname(folder), { recursive: true });
  const fresh = await Deno.makeTempDir({ dir: dirname(folder), prefix: `.${id}-` });
  try {
    await Deno.writeTextFile(join(fresh, "package.json"), '{ "private": true }\n');
    const why = await runNpm(PACKAGES[id].spec, fresh);
    if (why !== null) return why;
    // Whole or not at all: another suite may look at the same moment.
    await Deno.rename(fresh, folder).catch((error) => {
      if (programFolder(id) === null) throw error;
    });
    return programFolder(id) === null ? `${PACKAGES[id].spec} brings no program ${PACKAGES[id].program}` : null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await Deno.remove(fresh, { recursive: true }).catch(() => {});
  }
}

async function runNpm(spec: string, cwd: string): Promise<string | null> {
  const args = ["install", "--no-fund", "--no-audit", "--fetch-retries=1", "--fetch-timeout=30000", "--", spec];
  const signal = AbortSignal.timeout(INSTALL_MAX_MS);
  try {
    const { success, stderr } = await new Deno.Command("npm", { args, cwd, stdin: "null", signal }).output();
    if (success) return null;
    const last = new TextDecoder().decode(stderr).trim().split("\n").filter((line) => line.includes("error"));
    const minutes = INSTALL_MAX_MS / 60_000;
    return signal.aborted ? `npm did not end within ${minutes} minutes` : last.join(" ").slice(0, REASON_MAX_CHARS);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "npm is not installed";
    throw error;
  }
}

function folderOf(id: PackageId): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") || join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  return join(cache, "hearth", "coding-agents", PACKAGES[id].spec.replaceAll("/", "+"));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the suite needs from the machine besides Deno: git, a browser and real coding agents. All are looked for first;
 * what is missing is installed where that can be done without asking (apt as root, Playwright's own download, npm into
 * a cache folder). When it cannot, the person is told what to install; without git or browser the tests that need it
 * fail with the same sentence, without the coding agents they are skipped.
 */
import { provideAdapters } from "../adapters/install.ts";
import { SUITE_PACKAGES } from "../adapters/packages.ts";
import { findBrowser, NO_BROWSER } from "../browser.ts";

const NO_GIT = "git was not found, and many tests work on real repositories. Install git and run the tests again.";

/** Makes all of it available, and tells `say` what it does and what is still missing. */
export async function provideTools(say: (line: string) => void): Promise<void> {
  if (!await runs("git", ["--version"])) await provideGit(say);
  if (!findBrowser()) await provideBrowser(say);
  await provideAdapters(SUITE_PACKAGES, say);
}

async function provideGit(say: (line: string) => void): Promise<void> {
  say("git is missing: installing it with apt-get.");
  await installWithApt(["git", "ca-certificates"]);
  if (!await runs("git", ["--version"])) say(NO_GIT);
}

async function provideBrowser(say: (line: string) => void): Promise<void> {
  say("No browser found: installing Chromium with apt-get.");
  await installWithApt(["chromium", "fonts-liberation"]);
  if (findBrowser()) return;
  say("That did not help: asking Playwright for its own Chromium.");
  const cli = new URL("../../node_modules/playwright/cli.js", import.meta.url).pathname;
  await runs(Deno.execPath(), ["run", "-A", cli, "install", "chromium"], "inherit");
  if (!findBrowser()) say(NO_BROWSER);
}

/** Only as root on Debian and its descendants; anywhere else it does nothing. */
async function installWithApt(packages: string[]): Promise<void> {
  if (Deno.uid() !== 0 || !await runs("apt-get", ["--version"])) return;
  if (!await runs("apt-get", ["update"], "inherit")) return;
  await runs("apt-get", ["install", "-y", "--no-install-recommends", ...packages], "inherit");
}

/** Whether the command could be started and ended well. */
async function runs(command: string, args: string[], output: "null" | "inherit" = "null"): Promise<boolean> {
  try {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const child = new Deno.Command(command, { args, env, stdin: "null", stdout: output, stderr: output }).spawn();
    return (await child.status).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

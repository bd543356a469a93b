import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PACKAGES, SUITE_PACKAGES } from "../adapters/packages.ts";
import { findBrowser, launchBrowser } from "../browser.ts";

const PROVIDE = new URL("provide.ts", import.meta.url).href;

Deno.test("the browser of the tests opens a page", async () => {
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  await page.setContent("<h1>Hearth</h1>");
  assertEquals(await page.textContent("h1"), "Hearth");
});

Deno.test("HEARTH_CHROMIUM wins, and a path without a file is named", () => {
  const before = Deno.env.get("HEARTH_CHROMIUM");
  try {
    Deno.env.set("HEARTH_CHROMIUM", Deno.execPath());
    assertEquals(findBrowser(), Deno.execPath());
    Deno.env.set("HEARTH_CHROMIUM", "/no/such/browser");
    assertThrows(findBrowser, Error, "/no/such/browser");
  } finally {
    if (before === undefined) Deno.env.delete("HEARTH_CHROMIUM");
    else Deno.env.set("HEARTH_CHROMIUM", before);
  }
});

/** What `provideTools` says on a machine whose only commands are `commands`: their names and shell scripts. */
async function provideOn(commands: Record<string, string>, installed = SUITE_PACKAGES): Promise<string> {
  const bin = await Deno.makeTempDir();
  try {
    for (const id of installed) {
      const { spec, program } = PACKAGES[id];
      const folder = `${bin}/cache/hearth/coding-agents/${spec.replaceAll("/", "+")}/node_modules/.bin`;
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(`${folder}/${program}`, "");
    }
    for (const [name, script] of Object.entries(commands)) {
      await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const script = `import { provideTools } from "${PROVIDE}"; await provideTools((line) => console.log(line));`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", new URL("../../deno.json", import.meta.url).pathname, script],
      env: { PATH: bin, HEARTH_CHROMIUM: Deno.execPath(), XDG_CACHE_HOME: `${bin}/cache` },
      stdin: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
}

Deno.test("nothing is installed where git and a browser are there", async () => {
  const apt = `echo "apt-get was called"`;
  assertEquals(await provideOn({ git: "exit 0", "apt-get": apt }), "");
});

Deno.test({
  name: "as root, git is installed with apt-get",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const apt =
      `echo "apt-get $*"; case "$1" in install) printf '#!/bin/sh\\n' > "\${0%/*}/git"; /bin/chmod +x "\${0%/*}/git";; esac`;
    const said = await provideOn({ "apt-get": apt });
    assertStringIncludes(said, "apt-get update\napt-get install -y --no-install-recommends git ca-certificates\n");
    assertEquals(said.includes("Install git and run"), false);
  },
});

Deno.test("without git and without apt-get a person is told what to do", async () => {
  assertStringIncludes(await provideOn({}), "Install git and run the tests again.");
});

Deno.test("coding agents that cannot be had are named with the reason, and nothing of them is left", async () => {
  const said = await provideOn({ git: "exit 0", npm: `echo "npm error no registry" >&2; exit 1` }, ["claude"]);
  assertStringIncludes(said, `${PACKAGES.opencode.spec} could not be installed (npm error no registry).`);
  assertStringIncludes(said, "The tests that drive it are skipped.");
  assertEquals(said.includes(PACKAGES.claude.spec), false);
});

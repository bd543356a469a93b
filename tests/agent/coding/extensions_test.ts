import { assert, assertEquals } from "@std/assert";
import { ExtensionLinks } from "../../../agent/coding/extension_links.ts";
import { describeExtensions, loadExtensions, usableServers } from "../../../agent/coding/extensions.ts";
import { createLogger } from "../../../lib/log.ts";

interface Project {
  folder: string;
  lines: string[];
  load: () => ReturnType<typeof loadExtensions>;
}

async function withProject(files: Record<string, string>, work: (project: Project) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const lines: string[] = [];
  const log = createLogger("debug", (line) => void lines.push(line));
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, text);
    }
    await work({ folder, lines, load: () => loadExtensions(folder, { path: "/usr/bin:/bin", log }) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const TWO = JSON.stringify({
  mcpServers: {
    files: { command: "sh", args: ["-c", "true"], env: { ROOT: "/srv/private" } },
    nowhere: { command: "no-such-program-here" },
  },
});

Deno.test("TASK-006-AC1 both servers of mcp.json come with command, arguments and variables", () =>
  withProject({ "mcp.json": TWO }, async ({ load, lines }) => {
    const extensions = await load();
    assertEquals(extensions.mcpServers, [
      { name: "files", command: "sh", args: ["-c", "true"], env: [{ name: "ROOT", value: "/srv/private" }] },
      { name: "nowhere", command: "no-such-program-here", args: [], env: [] },
    ]);
    assertEquals(usableServers(extensions).map(({ name }) => name), ["files"]);
    assert(lines.some((line) => line.includes("command_missing") && line.includes("nowhere")));
    assert(!JSON.stringify(describeExtensions(extensions)).includes("/srv/private"));
    assertEquals(describeExtensions(extensions).mcp_servers.files?.env, ["ROOT"]);
  }));

Deno.test("TASK-006-AC2 without anything there is nothing, in silence", () =>
  withProject({}, async ({ load, lines }) => {
    const { mcpServers, skills, commands } = await load();
    assertEquals([mcpServers, skills, commands, lines], [[], [], [], []]);
  }));

Deno.test("TASK-006-AC3, TASK-028-AC3 a mcp.json that is no JSON is logged and left out", () =>
  withProject({ "mcp.json": "{ secret-in-file" }, async ({ load, lines }) => {
    assertEquals((await load()).mcpServers, []);
    assertEquals(lines.length, 1);
    assert(lines[0]!.includes('"level":"error"') && !lines[0]!.includes("secret-in-file"));
  }));

Deno.test("TASK-006-AC4 a skill is found by its SKILL.md, a command by its .md", () =>
  withProject({
    "skills/code-review/SKILL.md": "# Review",
    "skills/not-one/README.md": "",
    "commands/ship.md": "Ship it",
    "commands/notes.txt": "",
  }, async ({ folder, load }) => {
    const { skills, commands } = await load();
    assertEquals(skills, [{ name: "code-review", path: `${folder}/skills/code-review` }]);
    assertEquals(commands, [{ name: "ship", path: `${folder}/commands/ship.md` }]);
  }));

Deno.test("variables that change how programs load their code are refused", () => {
  const env = { LD_PRELOAD: "x", PATH: "x", NODE_OPTIONS: "x", DENO_DIR: "x", PYTHONPATH: "x", SAFE: "yes" };
  const text = JSON.stringify({ mcpServers: { a: { command: "sh", env }, broken: { args: 1 } } });
  return withProject({ "mcp.json": text }, async ({ load, lines }) => {
    assertEquals((await load()).mcpServers.map((server) => server.env), [[{ name: "SAFE", value: "yes" }]]);
    assert(lines.some((line) => line.includes("variable_refused") && line.includes("LD_PRELOAD")));
    assert(lines.some((line) => line.includes("server_invalid") && line.includes("broken")));
  });
});

Deno.test("the fingerprint follows every file, and links appear, follow and go", () =>
  withProject({ "skills/a/SKILL.md": "1", "commands/b.md": "1", ".claude/commands/b.md": "own" }, async (project) => {
    const { folder, load } = project;
    const first = await load();
    assertEquals((await load()).fingerprint, first.fingerprint);
    await Deno.writeTextFile(`${folder}/skills/a/SKILL.md`, "2");
    assert((await load()).fingerprint !== first.fingerprint);
    const log = createLogger("critical", () => {});
    {
      await using links = new ExtensionLinks(folder, log);
      await links.update(first);
      assertEquals(await Deno.readTextFile(`${folder}/.claude/skills/a/SKILL.md`), "2");
      assertEquals(await Deno.readTextFile(`${folder}/.claude/commands/b.md`), "own");
      await links.update({ skills: [], commands: [] });
      assertEquals(await Deno.lstat(`${folder}/.claude/skills/a`).catch(() => null), null);
      await links.update(first);
    }
    assertEquals(await Deno.lstat(`${folder}/.claude/skills/a`).catch(() => null), null);
    assertEquals(await Deno.readTextFile(`${folder}/.claude/commands/b.md`), "own");
  }));

Deno.test("in a folder of somebody who may not read what we may, a mcp.json that is a link is not followed", () =>
  withProject({ "elsewhere/mcp.json": TWO }, async ({ folder, lines, load }) => {
    await Deno.symlink(`${folder}/elsewhere/mcp.json`, `${folder}/mcp.json`);
    assertEquals((await load()).mcpServers.length, 2);
    const log = createLogger("debug", (line) => void lines.push(line));
    const foreign = await loadExtensions(folder, { path: "/usr/bin:/bin", isForeign: true, log });
    assertEquals(foreign.mcpServers, []);
    assert(lines.some((line) => line.includes("link_not_followed")));
  }));

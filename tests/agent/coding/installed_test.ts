import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { availableProfiles, findInstalled } from "../../../agent/coding/installed.ts";
import { findProfile } from "../../../agent/coding/profiles.ts";
import { listProcesses } from "../../../lib/processes.ts";
import { createLogger } from "../../../lib/log.ts";
import { temporaryFolder } from "../node/repository.ts";

/** A machine with these programs and nothing else but a shell. */
async function machine(folder: string, programs: Record<string, string>) {
  await Deno.mkdir(`${folder}/bin`);
  for (const [name, text] of Object.entries(programs)) {
    await Deno.writeTextFile(`${folder}/bin/${name}`, text, { mode: 0o755 });
  }
  const logged: string[] = [];
  const log = createLogger("debug", (line) => logged.push(line));
  const PATH = `/none:${folder}/bin:/usr/bin:/bin`;
  const config = { selfCommand: ["/opt/hearth-agent"], childEnvironment: { PATH, HOME: folder } };
  return { config, logged, log };
}

Deno.test("a coding agent is offered when its program starts; demo always is", async () => {
  await using folder = await temporaryFolder();
  const { config, log, logged } = await machine(folder.path, {
    opencode: "#!/bin/sh\necho opencode v1.2.3-beta.1\n",
    "claude-agent-acp": "#!/bin/sh\n",
    "codex-acp": "#!/bin/sh\necho 'cannot find module; key sk-abcdefghijklmnop' >&2; exit 3\n",
  });
  await Deno.writeTextFile(`${folder.path}/bin/gemini`, "not a program", { mode: 0o644 });
  assertEquals(await availableProfiles(config, { log }), ["demo", "claude", "opencode"]);
  const why = "it ended with exit code 3: cannot find module; key [secret]";
  assertEquals((await findInstalled(config)).map(({ profile, found }) => [profile.id, found]), [
    ["claude", { is: "working", version: null }],
    ["opencode", { is: "working", version: "1.2.3-beta.1" }],
    ["codex", { is: "broken", why }],
    ["gemini", { is: "missing" }],
  ]);
  assert(logged.some((line) => line.includes("coding_agent.broken") && line.includes("codex")), logged.join("\n"));
  const demo = findProfile("demo", config);
  assertEquals([demo?.command, demo?.args], ["/opt/hearth-agent", ["demo"]]);
  assertEquals(findProfile("unheard-of", config), null);
});

Deno.test("one that hangs, floods or is no program is not offered, and nothing of it is left", async () => {
  await using folder = await temporaryFolder();
  const word = `6543.${Math.floor(Math.random() * 1e9)}`;
  const { config, log } = await machine(folder.path, {
    "claude-agent-acp": `#!/bin/sh\ntrap '' TERM\n(sleep ${word} & sleep ${word})\n`,
    "codex-acp": `#!/bin/sh\nexec yes ${word}\n`,
    gemini: "\u0000\u0001 not a program\n",
  });
  assertEquals(await availableProfiles(config, { log, maxMs: 300 }), ["demo"]);
  const [claude, , codex, gemini] = await findInstalled(config, { maxMs: 300 });
  assertEquals(claude?.found, { is: "broken", why: "it did not say its version within 1 s" });
  assertEquals(codex?.found, { is: "broken", why: "it did not say its version within 1 s" });
  assertStringIncludes(JSON.stringify(gemini?.found), '"is":"broken"');
  const commands = await Promise.all(
    (await listProcesses()).map(({ pid }) => Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")),
  );
  assertEquals(commands.filter((text) => text.includes(word)), []);
});

Deno.test("what started is not asked again while its file is the same, what did not is", async () => {
  await using folder = await temporaryFolder();
  const count = (name: string, code: number) => `#!/bin/sh\necho asked >> ${folder.path}/${name}\nexit ${code}\n`;
  const { config, log } = await machine(folder.path, { opencode: count("good", 0), gemini: count("bad", 1) });
  const asked = async (name: string) => (await Deno.readTextFile(`${folder.path}/${name}`)).trim().split("\n").length;
  for (let i = 0; i < 3; i++) assertEquals(await availableProfiles(config, { log }), ["demo", "opencode"]);
  assertEquals([await asked("good"), await asked("bad")], [1, 3]);
  // A doctor looks itself.
  await findInstalled(config);
  assertEquals(await asked("good"), 2);
  await Deno.writeTextFile(`${folder.path}/bin/opencode`, count("good", 0) + "# newer\n");
  assertEquals(await availableProfiles(config, { log }), ["demo", "opencode"]);
  assertEquals(await asked("good"), 3);
  await Deno.writeTextFile(`${folder.path}/.cache/hearth/coding-agents.json`, '{"opencode":{"path":7}}');
  assertEquals(await availableProfiles(config, { log }), ["demo", "opencode"]);
  assertEquals(await asked("good"), 4);
  await Deno.remove(`${folder.path}/bin/opencode`);
  assertEquals(await availableProfiles(config, { log }), ["demo"]);
});

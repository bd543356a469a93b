/** The shell script in front of a packed executable, with a small program in Deno's place that tells how it was started. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { makeExecutable } from "../../../agent/pack/build.ts";

const PROGRAM = `#!/bin/sh
cat "\${0%/*}/agent.mjs"
echo "$HEARTH_AGENT_EXECUTABLE"
for last; do :; done
echo "$last"
[ "$last" != wait ] || exec sleep 60
[ "$last" != fail ] || exit 7
`;

interface Place extends AsyncDisposable {
  folder: string;
  executable: string;
}

async function placeExecutable(text = "one"): Promise<Place> {
  const folder = await Deno.makeTempDir();
  await Deno.chmod(folder, 0o755);
  const executable = `${folder}/hearth-agent`;
  await writeExecutable(executable, text);
  return { folder, executable, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

async function writeExecutable(path: string, text: string): Promise<void> {
  const bytes = await makeExecutable([
    { name: "agent.mjs", bytes: new TextEncoder().encode(`${text}\n`) },
    { name: "deno", bytes: new TextEncoder().encode(PROGRAM), isExecutable: true },
  ]);
  await Deno.writeFile(path, bytes, { mode: 0o755 });
}

function start(executable: string, args: string[], options: Deno.CommandOptions = {}): Deno.ChildProcess {
  const env = { PATH: "/usr/bin:/bin", ...options.env };
  const io = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  return new Deno.Command(executable, { ...io, ...options, args, env, clearEnv: true }).spawn();
}

async function run(executable: string, args: string[], options: Deno.CommandOptions = {}) {
  const { code, stdout, stderr } = await start(executable, args, options).output();
  return { code, lines: new TextDecoder().decode(stdout).trim().split("\n"), stderr: new TextDecoder().decode(stderr) };
}

async function list(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("an executable unpacks beside itself once, passes arguments on and tells its own path", async () => {
  await using place = await placeExecutable();
  assertEquals((await run(place.executable, ["a b"])).lines, ["one", place.executable, "a b"]);
  const [unpacked, ...others] = await list(place.folder);
  assertEquals(others, ["hearth-agent"]);
  const { ino } = await Deno.stat(`${place.folder}/${unpacked}`);
  assertEquals((await run(place.executable, ["again"])).lines.at(-1), "again");
  assertEquals((await Deno.stat(`${place.folder}/${unpacked}`)).ino, ino);
});

Deno.test("started through a link or from its own folder it still finds itself", async () => {
  await using place = await placeExecutable();
  await Deno.symlink(place.executable, `${place.folder}/link`);
  assertEquals((await run(`${place.folder}/link`, ["x"])).lines[1], place.executable);
  assertEquals((await run("./hearth-agent", ["x"], { cwd: place.folder })).lines[1], place.executable);
});

Deno.test("the exit code and signals are the program's own", async () => {
  await using place = await placeExecutable();
  assertEquals((await run(place.executable, ["fail"])).code, 7);
  const child = start(place.executable, ["wait"]);
  const reader = child.stdout.getReader();
  let output = "";
  while (!output.includes("wait\n")) output += new TextDecoder().decode((await reader.read()).value);
  child.kill("SIGTERM");
  assertEquals((await child.status).signal, "SIGTERM");
  await reader.cancel();
  await child.stderr.cancel();
});

Deno.test("a damaged file is refused and leaves nothing behind", async () => {
  await using place = await placeExecutable();
  const bytes = await Deno.readFile(place.executable);
  bytes[bytes.length - 20]! ^= 1;
  await Deno.writeFile(place.executable, bytes);
  const { code, stderr } = await run(place.executable, ["x"]);
  assertEquals(code, 70);
  assertStringIncludes(stderr, "is damaged");
  assertEquals(await list(place.folder), ["hearth-agent"]);
});

Deno.test("first starts at the same time all run, and leave one copy", async () => {
  await using place = await placeExecutable();
  const runs = await Promise.all(Array.from({ length: 8 }, (_, i) => run(place.executable, [`${i}`])));
  assertEquals(runs.map(({ lines, stderr }) => stderr + lines.at(-1)), ["0", "1", "2", "3", "4", "5", "6", "7"]);
  const [unpacked, ...others] = await list(place.folder);
  assertEquals(others, ["hearth-agent"]);
  assertEquals(await list(`${place.folder}/${unpacked}`), ["agent.mjs", "deno"]);
});

Deno.test("a newer executable of the same name runs its own files and removes the older ones", async () => {
  await using place = await placeExecutable("one");
  await run(place.executable, ["x"]);
  await writeExecutable(place.executable, "two");
  assertEquals((await run(place.executable, ["x"])).lines[0], "two");
  assertEquals((await list(place.folder)).length, 2);
});

/** Options for a user who may not write into the executable's folder: somebody else when we are root. */
async function withoutRights(folder: string): Promise<Deno.CommandOptions> {
  await Deno.chmod(folder, 0o555);
  return Deno.uid() === 0 ? { uid: 65534, gid: 65534 } : {};
}

Deno.test("where its folder is not writable it unpacks into a cache", async () => {
  await using place = await placeExecutable();
  const cache = await Deno.makeTempDir();
  try {
    const options = await withoutRights(place.folder);
    if (options.uid) await Deno.chown(cache, options.uid, options.uid);
    const { lines } = await run(place.executable, ["x"], { ...options, env: { HEARTH_AGENT_CACHE: cache } });
    assertEquals(lines, ["one", place.executable, "x"]);
    assertEquals([(await list(place.folder)).length, (await list(cache)).length], [1, 1]);
  } finally {
    await Deno.chmod(place.folder, 0o755);
    await Deno.remove(cache, { recursive: true });
  }
});

Deno.test("with no place to unpack it says what to set", async () => {
  await using place = await placeExecutable();
  const { code, stderr } = await run(place.executable, ["x"], await withoutRights(place.folder));
  await Deno.chmod(place.folder, 0o755);
  assertEquals(code, 70);
  assertStringIncludes(stderr, "Set HEARTH_AGENT_CACHE");
});

Deno.test("a copy that others could have written is not run", async () => {
  await using place = await placeExecutable();
  await run(place.executable, ["x"]);
  const unpacked = `${place.folder}/${(await list(place.folder))[0]}`;
  await Deno.writeTextFile(`${unpacked}/agent.mjs`, "planted\n");
  await Deno.chmod(unpacked, 0o777);
  const { code, stderr, lines } = await run(place.executable, ["x"]);
  assertEquals([code, lines], [70, [""]]);
  assert(stderr.includes("HEARTH_AGENT_CACHE"));
});

import { assert, assertEquals, assertRejects } from "@std/assert";
import { endProcesses } from "../../../lib/end_processes.ts";
import { allowedEnvironment } from "../../../agent/process/environment.ts";
import { isAlive, listProcesses, readProcess, selectMarked } from "../../../lib/processes.ts";
import { type Child, spawnChild } from "../../../agent/process/spawn.ts";
import { eventually } from "../node/node_harness.ts";

const INSTANCE = crypto.randomUUID();

async function start(script: string, mark: string): Promise<Child & { firstLine: string }> {
  const child = await spawnChild("sh", {
    args: ["-c", script],
    cwd: "/",
    env: { PATH: Deno.env.get("PATH")! },
    mark: `${INSTANCE}/${mark}`,
    stdin: "null",
  });
  const reader = child.process.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    assert(!done, `it ended after it had said: ${text}`);
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  await child.process.stderr.cancel();
  return { ...child, firstLine: text.trim() };
}

async function countMarked(mark: string): Promise<number> {
  return (await selectMarked(await listProcesses(), `${INSTANCE}/${mark}`)).length;
}

Deno.test("a child leads its own session and process group and carries the mark", async () => {
  const child = await start("echo ready; sleep 60", "own");
  const process = await readProcess(child.leader.pid);
  assertEquals([process?.group, process?.session], [child.leader.pid, child.leader.pid]);
  assert(await countMarked("own") >= 1);
  assertEquals(await endProcesses(`${INSTANCE}/own`, { leader: child.leader, graceMs: 2_000 }), []);
  assertEquals((await child.process.status).signal, "SIGTERM");
});

Deno.test("a child gets the given environment and nothing of ours", async () => {
  const allowed = allowedEnvironment({ PATH: "/usr/bin:/bin", CLAUDECODE: "1", BOOTSTRAP_TOKEN: "x", LC_ALL: "C" });
  assertEquals(allowed, { PATH: "/usr/bin:/bin", LC_ALL: "C" });
  Deno.env.set("HEARTH_TEST_LEAK", "1");
  const child = await start("env | grep -c HEARTH_TEST_LEAK; true", "env");
  Deno.env.delete("HEARTH_TEST_LEAK");
  assertEquals(child.firstLine, "0");
  await child.process.status;
});

Deno.test("a child that ignores SIGTERM is killed after the grace period", async () => {
  const child = await start("trap '' TERM; echo ready; while :; do sleep 1; done", "deaf");
  assertEquals(await endProcesses(`${INSTANCE}/deaf`, { leader: child.leader, graceMs: 100 }), []);
  assertEquals((await child.process.status).signal, "SIGKILL");
  assertEquals(await countMarked("deaf"), 0);
});

Deno.test("a child that ignores SIGTERM is killed also where the clock is set back all the time", async () => {
  const child = await start("trap '' TERM; echo ready; while :; do sleep 1; done", "timeless");
  const real = Date.now;
  let looks = 0;
  Date.now = () => real() - ++looks * 60_000;
  try {
    assertEquals(await endProcesses(`${INSTANCE}/timeless`, { leader: child.leader, graceMs: 100 }), []);
  } finally {
    Date.now = real;
  }
  assertEquals((await child.process.status).signal, "SIGKILL");
});

Deno.test("a shell with its own session and a double-forked daemon are found by their mark", async () => {
  const script = `setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &
    (setsid sh -c 'sleep 300 & exit 0' &)
    echo ready`;
  const child = await start(script, "daemon");
  await child.process.status;
  // They outlive the child that made them.
  await eventually(async () => await countMarked("daemon") >= 3);
  assertEquals(await endProcesses(`${INSTANCE}/daemon`, { leader: child.leader, graceMs: 100 }), []);
  assertEquals(await countMarked("daemon"), 0);
});

Deno.test("a child that wiped its environment is found by its group and its parent", async () => {
  const child = await start("env -i setsid sleep 300 & env -i sleep 300 & echo ready; wait", "wiped");
  const all = await eventually(async () => {
    const found = (await listProcesses()).filter((one) => one.parent === child.leader.pid);
    return found.length >= 2 && found;
  });
  assertEquals(await endProcesses(`${INSTANCE}/wiped`, { leader: child.leader, graceMs: 1_000 }), []);
  for (const one of all) assertEquals(await isAlive(one), false);
  await child.process.status;
});

Deno.test("ending one session leaves the others, ending the instance leaves other instances", async () => {
  const [one, two] = await Promise.all([start("echo a; sleep 60", "one"), start("echo b; sleep 60", "one-more")]);
  await endProcesses(`${INSTANCE}/one`, { leader: one.leader });
  await one.process.status;
  assert(await isAlive(two.leader));
  await endProcesses(`${crypto.randomUUID()}/`);
  assert(await isAlive(two.leader));
  await endProcesses(`${INSTANCE}/`);
  assertEquals(await isAlive(two.leader), false);
  await two.process.status;
});

Deno.test("a pid that was given out again is not taken for the process that had it", async () => {
  const child = await start("echo a; sleep 60", "reused");
  const stale = { pid: child.leader.pid, startTicks: child.leader.startTicks - 1 };
  assertEquals(await isAlive(stale), false);
  assertEquals(await endProcesses(`${INSTANCE}/nobody`, { leader: stale, graceMs: 50 }), []);
  assert(await isAlive(child.leader));
  await endProcesses(`${INSTANCE}/reused`, { leader: child.leader });
  await child.process.status;
});

Deno.test("a daemon that forked twice, left the session, wiped its environment and ignores signals is ended too", async () => {
  const daemon = `env -i /bin/sh -c 'trap "" TERM HUP INT; echo $$ > "$0"; while :; do sleep 1; done'`;
  const file = await Deno.makeTempFile();
  try {
    const child = await start(`(setsid ${daemon} ${file} </dev/null >/dev/null 2>&1 &); echo ready`, "wild");
    const other = await start("echo b; exec env -i sleep 60", "wild-other");
    await child.process.status;
    const pid = await eventually(async () => Number(await Deno.readTextFile(file)) || null);
    const wild = (await readProcess(pid))!;
    assertEquals((await selectMarked([wild], `${INSTANCE}/`)).length, 0, "its mark is gone");
    assertEquals(await endProcesses(`${INSTANCE}/wild`, { leader: child.leader, graceMs: 100 }), []);
    assertEquals(await isAlive(wild), false);
    assert(await isAlive(other.leader), "another session is left alone");
    await endProcesses(`${INSTANCE}/wild-other`, { leader: other.leader, graceMs: 100 });
    await other.process.status;
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a program that is not there is told as such, with the marks before it", async () => {
  const env = { PATH: "/usr/bin:/bin" };
  await assertRejects(
    () => spawnChild("no-such-program", { args: [], cwd: "/", env, mark: `${INSTANCE}/none` }),
    Deno.errors.NotFound,
  );
});

Deno.test("inside a session of another agent, where the limit is lowered already, children are started all the same", async () => {
  const spawn = new URL("../../../agent/process/spawn.ts", import.meta.url).href;
  const script = `const { spawnChild } = await import("${spawn}");
    const env = { PATH: "/usr/bin:/bin" };
    const { process } = await spawnChild("sh", { args: ["-c", "echo started"], cwd: "/", env, mark: "a/b" });
    const [out] = await Promise.all([new Response(process.stdout).text(), process.stderr.cancel(), process.stdin.close()]);
    Deno.stdout.writeSync(new TextEncoder().encode(out));`;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const program = ["--msgqueue=1000:1000", "--", Deno.execPath(), "eval", "--config", config, script];
  const root = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] : [];
  const [command, ...args] = [...root, "prlimit", ...program];
  const { stdout, stderr } = await new Deno.Command(command!, { args, stdin: "null" }).output();
  assertEquals(new TextDecoder().decode(stdout), "started\n", new TextDecoder().decode(stderr));
});

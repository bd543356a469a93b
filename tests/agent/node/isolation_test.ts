/** The wall between workspaces, tried from inside: a coding agent that looks for what it must not see. Needs root. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { isAlive, listProcesses, selectOwned } from "../../../lib/processes.ts";
import { shellAgent } from "../serve/shell_agent.ts";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, isolated, setUp, startNode } from "./node_harness.ts";
import { makeRepository, run, temporaryFolder } from "./repository.ts";

const CHILD = new URL("./node_child.ts", import.meta.url).pathname;

/** A test that only root can run says so in its name where it is skipped. */
function isolation(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  const why = ignore ? " [skipped: only root can give each workspace a user of its own]" : "";
  Deno.test({ name: name + why, ignore, fn });
}

/** Writes what it finds into its own checkout. */
function spy(paths: { dataDir: string; other: string; otherMirror: string }): string {
  const { dataDir, other, otherMirror } = paths;
  return `(
    own=$(dirname "$PWD")
    { id -u; id -G; echo "$HOME"; grep -E "^(NoNewPrivs|CapEff|CapBnd)" /proc/self/status; } > who.txt
    find ${dataDir} -path "$own" -prune -o -path '*/mirrors/*' -prune -o -readable -type f -print > readable.txt 2>/dev/null
    { cat ${dataDir}/agent.db; cat ${other}/checkout/secret.txt ${otherMirror}/HEAD; ls ${other} ${dataDir} ${dataDir}/workspaces ${dataDir}/mirrors;
      cat /proc/${Deno.pid}/environ; kill -0 ${Deno.pid} && echo signalled; touch ${dataDir}/planted && echo planted;
      mv "$PWD" "$own/elsewhere" && echo moved; chmod 777 "$own" && echo opened; } > reached.txt 2>/dev/null
    git log -1 --format=%s > log.txt
    echo left > "/tmp/hearth-isolation-$(id -u)"
    (setsid env -i PATH="$PATH" sh -c 'trap "" TERM HUP; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &)
    git add log.txt && git commit --quiet --message="By the coding agent"
  ) < /dev/null; answer '{"stopReason":"end_turn"}'`;
}

isolation("a workspace's user reads its own checkout, and nothing of the agent or of another workspace", async () => {
  await using set = await setUp();
  // The way to it is open, as it is on a machine; what is in it is what is tried.
  await Deno.chmod(set.path, 0o711);
  await using elsewhere = await temporaryFolder();
  const secretRemote = await makeRepository(elsewhere.path, { "secret.txt": "of another project\n" });
  await using edge = new FakeEdge();
  const victim = edge.addTask(secretRemote, "wait", { codingAgent: "opencode" });
  const task = edge.addTask(set.remote, "spy", { codingAgent: "claude" });
  const dataDir = `${set.path}/agent`;
  const other = `${dataDir}/workspaces/${victim.workspaceId}`;
  const otherMirror = `${dataDir}/mirrors/${await hashOf(secretRemote)}.git`;
  await Deno.mkdir(`${set.path}/bin`);
  await using quiet = await temporaryFolder();
  const program = await shellAgent(`${set.path}/bin`, { onPrompt: spy({ dataDir, other, otherMirror }) });
  await Deno.rename(program, `${set.path}/bin/claude-agent-acp`);
  await Deno.rename(await shellAgent(quiet.path, { onPrompt: ":" }), `${set.path}/bin/opencode`);
  await using node = await startNode(set.path, edge, { environment: isolated(`${set.path}/bin`) });
  await node.workspaces.start(victim.workspaceId, 1);
  await edge.untilCall("turn", { event: "accepted" }, victim.workspaceId);

  assertStringIncludes(await Deno.readTextFile(`${otherMirror}/HEAD`), "refs/heads/");
  await node.workspaces.start(task.workspaceId, 1);
  const done = await edge.untilCall("callback", {}, task.workspaceId);
  assertEquals(done.body.toStatus, "completed", JSON.stringify(done.body));
  assertEquals(done.body.warning, undefined);
  const folder = `${dataDir}/workspaces/${task.workspaceId}`;
  const read = (name: string) => Deno.readTextFile(`${folder}/checkout/${name}`);
  const [uid = "", groups, home, ...status] = (await read("who.txt")).trim().split("\n");
  const owner = await Deno.stat(`${folder}/checkout`);
  assertEquals([uid, groups, home], [String(owner.uid), String(owner.gid), `${folder}/home`]);
  assert(owner.uid !== 0 && owner.uid !== (await Deno.stat(`${other}/checkout`)).uid, "each has a user of its own");
  assertEquals(status.map((line) => line.split("\t")[1]), ["0000000000000000", "0000000000000000", "1"]);
  assertEquals(await read("readable.txt"), "");
  assertEquals(await read("reached.txt"), "");
  assertEquals(await read("log.txt"), "By a person\n");
  assertEquals(await run(set.remote, "show", `${task.branch}:log.txt`), "By a person");
  assertStringIncludes(await run(set.remote, "log", "--format=%s", task.branch!), "By the coding agent");

  const mine = await selectOwned(await listProcesses(), Number(uid));
  assert(mine.length > 0, "the daemon that it left runs");
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" }, task.workspaceId);
  assertEquals(await Promise.all(mine.map(isAlive)), mine.map(() => false));
  assertEquals(await Deno.stat(`/tmp/hearth-isolation-${uid}`).catch(() => null), null);
  assertEquals(await Deno.stat(folder).catch(() => null), null);
  await node.workspaces.stop(victim.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" }, victim.workspaceId);
  await eventually(() => node.workspaces.snapshot().length === 0);
});

isolation(
  "kill -9 of the agent: the workspace stays its user's, and its coding agent goes on with what it knows",
  async () => {
    await using set = await setUp();
    await Deno.chmod(set.path, 0o711);
    await using edge = new FakeEdge();
    const task = edge.addTask(set.remote, "Remember heliotrope", { codingAgent: "claude" });
    const own = { messageId: newId(), text: "Go on" };
    edge.afterTurn = (report) => report.interrupted ? { next: own } : { finalize: true };
    await Deno.mkdir(`${set.path}/bin`);
    const say = (words: string) =>
      `update '{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'"${words}"'"}}'`;
    // It keeps its conversations where real ones do: in its home.
    const program = await shellAgent(`${set.path}/bin`, {
      onLoad: `known=$(cat "$HOME/known") && answer '{}'`,
      onPrompt: `if [ -n "$known" ]; then ${say("$known by $(id -u)")}; answer '{"stopReason":"end_turn"}'
      else echo heliotrope > "$HOME/known"; ${say("I begin")}; fi`,
    });
    await Deno.rename(program, `${set.path}/bin/claude-agent-acp`);
    const args = ["run", "-A", CHILD, set.path, edge.url, task.workspaceId, `${set.path}/bin`];
    const child = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "inherit" }).spawn();
    await edge.untilCall("turn", { event: "accepted" });
    const folder = `${set.path}/agent/workspaces/${task.workspaceId}`;
    const known = () => Deno.readTextFile(`${folder}/home/known`).catch(() => "");
    // A turn may be told as accepted before its first word.
    await eventually(async () => await known() === "heliotrope\n");
    child.kill("SIGKILL");
    await child.status;

    const { uid } = await Deno.stat(`${folder}/checkout`);
    assert(uid !== null && uid !== 0, "the workspace has a user of its own");
    await using node = await startNode(set.path, edge, { environment: isolated(`${set.path}/bin`) });
    const interrupted = await edge.untilCall("turn", { event: "ended", interrupted: true });
    assertEquals(interrupted.body.resumable, true);
    await edge.until(({ messages }) => messages.some(({ content }) => content === `heliotrope by ${uid}`));
    await edge.untilCall("callback", { toStatus: "completed" });
    await node.workspaces.stop(task.workspaceId, { keep: false });
    await edge.untilCall("status", { status: "stopped" });
  },
);

/** What a mirror is named by. */
async function hashOf(url: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return [...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

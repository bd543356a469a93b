/** How a run ends that does not end well: states, messages, what is kept and what is cleaned up. Nothing is replaced. */
import { assert, assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import { dirname, join } from "node:path";
import { SocketFollower } from "../lib/live/follower.ts";
import { wait } from "../../lib/backoff.ts";
import { listProcesses } from "../../lib/processes.ts";
import { readBeat } from "../../lib/store/nodes.ts";
import type { Task } from "../../lib/wire/task.ts";
import { openScene, runToEnd, type Scene, submit } from "./scene.ts";

const COMMANDS_WAIT_MAX_MS = 20_000;

Deno.test("a coding agent that fails: task failed with its words, session error, workspace kept and then discarded", async () => {
  await using scene = await openScene();
  const task = await runToEnd(scene, "write half.txt: half\nfail The model said no.");
  assertEquals(task.status, "failed");
  assertStringIncludes(task.errorMessage!, "The model said no.");
  assertEquals((await sessionOf(scene, task)).status, "error");
  const kept = await workspaceOf(scene, task);
  assertExists(kept.keptUntil);
  assertEquals(await readFileOf(scene, task, "half.txt"), "half");
  assertEquals((await nodeOf(scene, task)).claims.length, 1, "a kept workspace holds its claim");
  assertEquals(await scene.repository.branches(), ["main"], "nothing was pushed");

  const discarded = await scene.test.admin.call(`POST ${pathOf(scene, task)}/workspace/discard`);
  assertEquals(discarded.body.status, "stopping");
  await scene.live.workspace("stopped");
  const node = await nodeOf(scene, task);
  assertEquals([node.status, node.claims.length], ["warm", 0]);
  assertEquals(await readFileOf(scene, task, "half.txt"), null);
});

Deno.test("a coding agent that crashes: what it said is kept, the task failed, and a retry goes on in the same session", async () => {
  await using scene = await openScene();
  const task = await runToEnd(scene, "say Before the crash.\ncrash");
  assertEquals(task.status, "failed");
  assert(task.errorMessage!.length > 10, "the reason is a sentence");
  const before = await transcriptOf(scene, task);
  assertStringIncludes(before.map((message) => message.content).join("\n"), "Before the crash.");

  await scene.test.admin.call(`PATCH ${pathOf(scene, task)}`, { description: "write better.txt: ok" });
  assertEquals((await scene.test.admin.call(`POST ${pathOf(scene, task)}/run`, {})).status, 202);
  const again = await scene.live.task(task.id, "completed");
  assertEquals([again.run, again.sessionId], [2, task.sessionId]);
  const after = await transcriptOf(scene, task);
  assertEquals(
    after.slice(0, before.length).map((message) => message.messageId),
    before.map((message) => message.messageId),
  );
  const rest = after.slice(before.length);
  assertEquals(rest.slice(0, 2).map((message) => message.role), ["system", "user"]);
  assertEquals(rest[1]!.content, "write better.txt: ok");
  assertEquals(await scene.repository.show(again.outputBranch!, "better.txt"), "ok");
});

Deno.test("a repository that cannot be cloned: task failed with Git's reason, no message is lost, the node is clean", async () => {
  await using scene = await openScene({ project: { repositoryUrl: "/nowhere/at/all.git" } });
  const task = await runToEnd(scene, "say hello");
  assertEquals(task.status, "failed");
  assertStringIncludes(task.errorMessage!, "/nowhere/at/all.git");
  assertEquals((await transcriptOf(scene, task)).map((message) => message.role), ["user"]);
  assertEquals((await sessionOf(scene, task)).status, "error");

  await scene.live.workspace("stopped");
  const workspace = await workspaceOf(scene, task);
  assertEquals([workspace.status, workspace.keptUntil], ["stopped", null], "nothing is there that could be kept");
  const node = await nodeOf(scene, task);
  assertEquals([node.status, node.claims], ["warm", []]);
  const left = await Array.fromAsync(Deno.readDir(dirname(folderOf(scene, task))));
  assertEquals(left.map((entry) => entry.name), [], "no files on the node");
});

Deno.test("a push that is refused: completed with a warning, the workspace kept until its time is up", async () => {
  await using scene = await openScene({ env: { KEPT_WORKSPACE_TTL_MS: "10000" } });
  await scene.repository.refusePushes("Only robots may push here.");
  const task = await runToEnd(scene, "write work.txt: done");
  assertEquals(task.status, "completed");
  assertStringIncludes(task.warning!, "Only robots may push here.");
  assertEquals((await sessionOf(scene, task)).status, "stopped");
  assertEquals(await scene.repository.branches(), ["main"]);
  assertEquals(await readFileOf(scene, task, "work.txt"), "done");
  await scene.live.workspace("stopped");
  assertEquals(await readFileOf(scene, task, "work.txt"), null);
  assertEquals((await nodeOf(scene, task)).status, "warm");
});

Deno.test("a cancel in the middle: the command ends at once, the files are kept, nothing is pushed", async () => {
  await using scene = await openScene();
  const submitted = await submit(scene, "write early.txt: early\nrun sleep 600\nwrite late.txt: late");
  scene.live.subscribe(submitted.sessionId);
  await scene.live.until(
    "the command runs",
    (frame) =>
      frame.type === "message.live" && frame.toolMetadata?.status === "executing" &&
      /sleep 600/.test(JSON.stringify(frame.toolMetadata)),
  );
  const running = (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/tasks/${submitted.taskId}`)).body;
  await untilCommands(scene, running, (commands) => commands.includes("sleep 600"));
  const cancelled = await scene.test.admin.call(
    `POST /api/projects/${scene.projectId}/tasks/${submitted.taskId}/cancel`,
  );
  assertEquals([cancelled.status, cancelled.body.status], [202, "cancelled"]);
  const task = await scene.live.task(submitted.taskId, "cancelled");
  await untilCommands(scene, task, (commands) => commands.length === 0);
  assertEquals((await sessionOf(scene, task)).status, "stopped");
  assertExists((await workspaceOf(scene, task)).keptUntil);
  assertEquals([await readFileOf(scene, task, "early.txt"), await readFileOf(scene, task, "late.txt")], [
    "early",
    null,
  ]);
  await scene.test.admin.call(`POST ${pathOf(scene, task)}/workspace/discard`);
  await scene.live.workspace("stopped");
  assertEquals(await scene.repository.branches(), ["main"]);
});

Deno.test("an interrupt ends the turn and not the task; the next prompt goes on", async () => {
  await using scene = await openScene();
  const submitted = await submit(scene, "run sleep 601");
  scene.live.subscribe(submitted.sessionId);
  await scene.live.until(
    "the command runs",
    (frame) => frame.type === "message.live" && frame.toolMetadata?.status === "executing",
  );
  const path = `/api/projects/${scene.projectId}/sessions/${submitted.sessionId}` as const;
  assertEquals((await scene.test.admin.call(`POST ${path}/interrupt`)).body, { interrupted: true });
  await scene.live.until(
    "waiting for a prompt",
    (frame) => frame.type === "task.updated" && frame.task.executionStep === "awaiting_prompt",
  );
  await scene.test.admin.call(`POST ${path}/prompts`, { messageId: crypto.randomUUID(), text: "write after.txt: on" });
  const task = await scene.live.task(submitted.taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(await scene.repository.show(task.outputBranch!, "after.txt"), "on");
});

Deno.test("the agent killed in the middle of a turn: it comes back, tells so, and the run goes on", async () => {
  await using scene = await openScene();
  const submitted = await submit(scene, "say One.\nrun sleep 602\nsay Never reached.");
  scene.live.subscribe(submitted.sessionId);
  await scene.live.until(
    "the command runs",
    (frame) => frame.type === "message.live" && frame.toolMetadata?.status === "executing",
  );
  const running = (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/tasks/${submitted.taskId}`)).body;
  Deno.kill(await agentPid(scene, running.nodeId), "SIGKILL");
  const task = await scene.live.task(submitted.taskId, "completed", "failed");
  const messages = await transcriptOf(scene, task);
  const tool = messages.find((message) => message.role === "tool")!;
  assertEquals([tool.toolMetadata?.status, tool.flags?.interrupted], ["failed", true]);
  assert(
    messages.some((message) => message.role === "system" && /interrupted/.test(message.content)),
    "a line tells it",
  );
  assertEquals(
    messages.filter((message) => message.content.includes("One.") && message.role === "assistant").length,
    1,
  );
  assertEquals(task.status, "completed", task.errorMessage ?? "");
});

Deno.test("a machine destroyed by force ends its work at once, however young, and goes", async () => {
  await using scene = await openScene({ env: { HEARTBEAT_INTERVAL_MS: "200" } });
  await using nodes = SocketFollower.on(scene.test, "/api/ws", scene.test.admin);
  const submitted = await submit(scene, "run sleep 603");
  scene.live.subscribe(submitted.sessionId);
  await scene.live.until(
    "the command runs",
    (frame) => frame.type === "message.live" && frame.toolMetadata?.status === "executing",
  );
  const running = (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/tasks/${submitted.taskId}`)).body;
  // Once it told of its workspace it is spared until it tells of none.
  const late = AbortSignal.timeout(COMMANDS_WAIT_MAX_MS);
  while ((await readBeat(scene.test.edge.store, running.nodeId))?.workspaces !== 1) {
    late.throwIfAborted();
    await wait(20);
  }
  assertEquals((await scene.test.admin.call(`DELETE /api/nodes/${running.nodeId}?force=true`)).status, 202);
  const task = await scene.live.task(submitted.taskId, "failed");
  assertEquals(task.errorMessage, "The node was destroyed by hand.");
  await nodes.first("node.updated", (frame) => frame.node.status === "destroyed");
  const said = (await transcriptOf(scene, task)).find((message) => message.role === "tool");
  assertEquals(said?.toolMetadata?.status, "failed", "what was cut is told");
});

function pathOf(scene: Scene, task: Task): `/api/projects/${string}/tasks/${string}` {
  return `/api/projects/${scene.projectId}/tasks/${task.id}`;
}

async function sessionOf(scene: Scene, task: Task) {
  return (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/sessions/${task.sessionId}`)).body;
}

async function workspaceOf(scene: Scene, task: Task) {
  return (await scene.test.admin.call(`GET /api/workspaces/${task.workspaceId}`)).body;
}

async function nodeOf(scene: Scene, task: Task) {
  return (await scene.test.admin.call(`GET /api/nodes/${task.nodeId}`)).body;
}

interface Shown {
  messageId: string;
  role: string;
  content: string;
  toolMetadata: { status: string } | null;
  flags: { interrupted?: boolean } | null;
}

async function transcriptOf(scene: Scene, task: Task): Promise<Shown[]> {
  return (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/sessions/${task.sessionId}/messages`)).body
    .items;
}

function nodeDirectory(scene: Scene, nodeId: string): string {
  return join(scene.test.edge.config.HEARTH_DATA_DIR, "nodes", nodeId);
}

/** Where the node has the files of the task's workspace. */
function folderOf(scene: Scene, task: Task): string {
  return join(nodeDirectory(scene, task.nodeId!), "agent", "workspaces", task.workspaceId!);
}

/** A file of the task's checkout, or null when it is not there. */
async function readFileOf(scene: Scene, task: Task, file: string): Promise<string | null> {
  const directory = folderOf(scene, task);
  for (const path of [join(directory, file), join(directory, "checkout", file)]) {
    const text = await Deno.readTextFile(path).catch(() => null);
    if (text !== null) return text.trimEnd();
  }
  return null;
}

async function agentPid(scene: Scene, nodeId: string): Promise<number> {
  return JSON.parse(await Deno.readTextFile(join(nodeDirectory(scene, nodeId), "pid.json"))).pid;
}

/** Resolves once the commands that run in the task's files are such that `fits`. */
async function untilCommands(scene: Scene, task: Task, fits: (commands: string[]) => boolean): Promise<void> {
  const deadline = AbortSignal.timeout(COMMANDS_WAIT_MAX_MS);
  for (;;) {
    const commands = await commandsIn(folderOf(scene, task));
    if (fits(commands)) return;
    if (deadline.aborted) throw new Error(`waited in vain; there runs: ${commands.join(", ") || "nothing"}`);
    await wait(20);
  }
}

async function commandsIn(folder: string): Promise<string[]> {
  const root = await Deno.realPath(folder);
  const commands = await Promise.all((await listProcesses()).map(async ({ pid }) => {
    // One that ended meanwhile has neither.
    const cwd = await Deno.readLink(`/proc/${pid}/cwd`).catch(() => "");
    if (!cwd.startsWith(`${root}/`)) return null;
    return await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => null);
  }));
  return commands.filter((line) => line !== null).map((line) => line.split("\0").join(" ").trim());
}

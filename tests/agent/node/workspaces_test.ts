import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { listProcesses, selectMarked } from "../../../lib/processes.ts";
import { spawnChild } from "../../../agent/process/spawn.ts";
import { newId } from "../../../lib/ids.ts";
import { setClock } from "../../set_clock.ts";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, type Node, setUp, startNode } from "./node_harness.ts";
import { waitingMessages } from "../store/fixture.ts";
import { plant, run } from "./repository.ts";

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
const countProcesses = async ({ db }: Node) => (await selectMarked(await listProcesses(), `${db.instanceId}/`)).length;

Deno.test("the main job: a prompt is worked on, pushed, told, and the workspace leaves no trace", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say Let me see\nwrite src/new.txt: hello\nrun ls src\nsay All done");
  await using node = await startNode(set.path, edge);
  const { workspaceId } = task;
  await node.workspaces.start(workspaceId, 1);
  await node.workspaces.start(workspaceId, 1);
  const completed = await edge.untilCall("callback", { toStatus: "completed" });

  assertEquals(edge.calls.map(({ kind, body }) => [kind, body.executionStep ?? body.event ?? body.toStatus]), [
    ["status", "starting_agent"],
    ["turn", "accepted"],
    ["turn", "ended"],
    ["status", "finalizing"],
    ["callback", "completed"],
  ]);
  const commit = await run(set.remote, "rev-parse", task.branch!);
  assertEquals(completed.body, {
    toStatus: "completed",
    outputBranch: task.branch,
    outputCommit: commit,
    outputSummary: "All done",
    costUsd: 0,
  });
  assertEquals(await run(set.remote, "show", `${commit}:src/new.txt`), "hello");
  assertEquals(edge.said(), [
    ["assistant", "Let me see"],
    ["tool", "Write src/new.txt"],
    ["tool", "new.txt"],
    ["assistant", "All done"],
  ]);
  assert(edge.messages.every(({ sessionId }) => sessionId === task.chatSessionId));

  const folder = `${node.db.dataDir}/workspaces/${workspaceId}`;
  assert(await exists(folder));
  await node.workspaces.stop(workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" });
  assertEquals(await exists(folder), false);
  await eventually(async () => await node.rows.get(workspaceId) === null && node.workspaces.snapshot().length === 0);
  assertEquals(node.logged.filter((line) => line.includes("very-secret")), []);
  assertEquals(
    new TextDecoder().decode(await Deno.readFile(`${node.db.dataDir}/agent.db`)).includes("very-secret"),
    false,
  );
});

Deno.test("a step that hangs is ended and done again when the edge asks, and a prompt that runs is left alone", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const found = (await new Deno.Command("sh", { args: ["-c", "command -v git"] }).output()).stdout;
  const git = new TextDecoder().decode(found).trim();
  // The first fetch from the remote and the first push to it never end.
  const hang = `for word; do case $word in *remote.git) far=1 ;; fetch|push) what=$word ;; esac; done
seen=${set.path}/hung-$what
if [ "$far" ] && [ "$what" ] && [ ! -e $seen ]; then touch $seen; sleep 600; fi
exec ${git} "$@"`;
  await plant(`${set.path}/bin/git`, hang);
  const environment = { PATH: `${set.path}/bin:${Deno.env.get("PATH")}` };
  const task = edge.addTask(set.remote, "write new.txt: new\nrun sleep 1\nsay Done.");
  await using node = await startNode(set.path, edge, { environment });
  const again = () => node.workspaces.beginAnew(task.workspaceId);
  const hung = (what: string) => eventually(() => exists(`${set.path}/hung-${what}`));
  await again();
  assertEquals(node.workspaces.snapshot(), [], "what is not there is not begun by it");
  await node.workspaces.start(task.workspaceId, 1);
  await hung("fetch");
  await again();
  await edge.untilCall("turn", { event: "accepted" });
  await again();
  await hung("push");
  await again();
  const ended = await edge.untilCall("callback", { toStatus: "completed" });
  assertEquals(ended.body.outputCommit, await run(set.remote, "rev-parse", task.branch!));
  assertEquals(edge.said().filter(([role]) => role === "assistant"), [["assistant", "Done."]]);
  assertEquals(edge.calls.filter(({ kind }) => kind === "turn").length, 2, "the prompt ran once");
});

Deno.test("a follow-up becomes a message of the person's under the id of its prompt, and runs after the turn", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say one");
  const second = { messageId: newId(), text: "say two" };
  edge.afterTurn = ({ promptId }) => promptId === task.prompt?.messageId ? { next: second } : { wait: true };
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { promptId: second.messageId, event: "ended" });
  await edge.until(({ messages }) => messages.length === 3);
  assertEquals(edge.said(), [["assistant", "one"], ["user", "say two"], ["assistant", "two"]]);
  assertEquals(edge.messages[1]?.messageId, second.messageId);
  const used = edge.calls.filter(({ body }) => body.event === "ended").map(({ body }) => body.tokens);
  assertEquals(used, [{ input: 2, output: 1, total: 3 }, { input: 4, output: 2, total: 6 }], "of the run so far");

  const third = { messageId: newId(), text: "wait 60000" };
  await eventually(() => node.workspaces.snapshot()[0]?.turn === "idle");
  await node.workspaces.sendPrompt(task.workspaceId, third);
  await node.workspaces.sendPrompt(task.workspaceId, third);
  await edge.untilCall("turn", { promptId: third.messageId, event: "accepted" });
  assertEquals(node.workspaces.snapshot(), [{ id: task.workspaceId, status: "running", turn: "running" }]);
  await node.workspaces.cancelPrompt(task.workspaceId, second.messageId);
  await node.workspaces.cancelPrompt(task.workspaceId, third.messageId);
  const ended = await edge.untilCall("turn", { promptId: third.messageId, event: "ended" });
  assertEquals(ended.body.stopReason, "cancelled");
  await edge.until(({ messages }) => messages.length === 4);
  assertEquals(edge.said().at(-1), ["user", "wait 60000"]);
});

Deno.test("a coding agent that crashes: what it said is kept, the turn is told as failed, the files stay for a look", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "write kept.txt: x\nsay I was about to\ncrash");
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  const ended = await edge.untilCall("turn", { event: "ended" });
  assertMatch(String(ended.body.error), /ended unexpectedly \(by SIGKILL\)/);
  await edge.until(({ messages }) => messages.length === 2);
  assertEquals(edge.messages[1]?.flags, { interrupted: true });

  await node.workspaces.stop(task.workspaceId, { keep: true });
  await eventually(async () => (await node.rows.get(task.workspaceId))?.phase === "kept");
  assert(await exists(`${node.db.dataDir}/workspaces/${task.workspaceId}/checkout/kept.txt`));
  assertEquals(edge.calls.filter(({ kind }) => kind === "callback"), []);
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" });
  assertEquals(await exists(`${node.db.dataDir}/workspaces/${task.workspaceId}`), false);
});

Deno.test("what cannot be cloned or started fails the task in plain words", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const missing = edge.addTask(`${set.path}/missing.git`, "say x");
  const unknown = edge.addTask(set.remote, "say x", { codingAgent: "unheard-of" });
  await using node = await startNode(set.path, edge);
  await Promise.all([missing, unknown].map(({ workspaceId }) => node.workspaces.start(workspaceId, 1)));
  const cloned = await edge.untilCall("callback", { toStatus: "failed" }, missing.workspaceId);
  assertStringIncludes(String(cloned.body.errorMessage), "does not appear to be a git repository");
  const started = await edge.untilCall("callback", { toStatus: "failed" }, unknown.workspaceId);
  assertEquals(started.body.errorMessage, "This node knows no coding agent named “unheard-of”. Choose another one.");
});

Deno.test("a push that is refused completes the task with a warning", async () => {
  await using set = await setUp();
  await plant(`${set.remote}/hooks/pre-receive`, "echo 'the branch is protected' >&2; exit 1");
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "write a.txt: a\nsay Done");
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  const { body } = await edge.untilCall("callback", { toStatus: "completed" });
  assertStringIncludes(String(body.warning), "the branch is protected");
  assertEquals([body.outputCommit, body.outputSummary], [undefined, "Done"]);
});

Deno.test("workspaces of one repository at once do not meet", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const tasks = [1, 2, 3].map((n) => edge.addTask(set.remote, `write file.txt: ${n}\nsay ${n}`));
  await using node = await startNode(set.path, edge);
  await Promise.all(tasks.map(({ workspaceId }) => node.workspaces.start(workspaceId, 1)));
  for (const [n, task] of tasks.entries()) {
    await edge.untilCall("callback", { toStatus: "completed" }, task.workspaceId);
    assertEquals(await run(set.remote, "show", `${task.branch}:file.txt`), String(n + 1));
  }
});

Deno.test("stopping in the middle of a turn ends its processes and tells no turn; the text so far is kept", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say So far\nrun trap '' TERM; setsid sleep 300; sleep 300");
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await eventually(() => node.frames.some((frame) => frame.toolMetadata?.status === "executing"));
  await node.workspaces.stop(task.workspaceId, { keep: true });
  await eventually(async () => (await node.rows.get(task.workspaceId))?.phase === "kept");
  await edge.until(({ messages }) => messages.length === 2);
  assertEquals(edge.messages.map(({ role, toolMetadata }) => [role, toolMetadata?.status]), [
    ["assistant", undefined],
    ["tool", "failed"],
  ]);
  assertEquals(edge.calls.filter(({ body }) => body.event === "ended"), []);
});

Deno.test("a prompt that was running when the agent ended is never sent again; the conversation goes on", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  // Short enough to be said at once.
  const task = edge.addTask(set.remote, "run echo once >> count.txt\nsay Half\nwait 60000");
  const own = { messageId: newId(), text: "say On" };
  edge.afterTurn = (report) => report.interrupted ? { next: own } : { finalize: true };
  {
    await using node = await startNode(set.path, edge);
    await node.workspaces.start(task.workspaceId, 1);
    await eventually(() => node.frames.some((frame) => frame.role === "assistant" && frame.text === "Half"));
    await edge.until(({ messages }) => messages.length === 1);
    const row = { ...edge.messages[0]!, messageId: newId(), workspaceId: task.workspaceId, projectId: task.projectId };
    const open = { ...row, role: "thinking" as const, content: "left open", toolMetadata: null, flags: null };
    await node.openMessages.save({ ...open, sessionId: task.chatSessionId!, createdAt: new Date().toISOString() });
  }
  await using node = await startNode(set.path, edge);
  const interrupted = await edge.untilCall("turn", { event: "ended", interrupted: true });
  assertEquals([interrupted.body.promptId, interrupted.body.resumable], [task.prompt?.messageId, true]);
  await edge.untilCall("callback", { toStatus: "completed" });
  assertEquals(await run(set.remote, "show", `${task.branch}:count.txt`), "once");
  const flagged = edge.messages.filter(({ flags }) => flags?.interrupted).map(({ content }) => content);
  assertEquals(flagged.sort(), ["Half", "left open"]);
  assertEquals(edge.said().filter(([role]) => role === "user"), []);
  assertEquals(edge.said().at(-1), ["assistant", "On"]);
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" });
});

Deno.test("after a restart a workspace that the edge does not want any more goes", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "wait 60000");
  {
    await using node = await startNode(set.path, edge);
    await node.workspaces.start(task.workspaceId, 1);
    await edge.untilCall("turn", { event: "accepted" });
  }
  edge.runtimes.set(task.workspaceId, { ...task, wanted: "stop" });
  await using node = await startNode(set.path, edge);
  await edge.untilCall("status", { status: "stopped" });
  assertEquals(await exists(`${node.db.dataDir}/workspaces/${task.workspaceId}`), false);
  assertEquals(edge.calls.filter(({ body }) => body.interrupted), []);
});

Deno.test("a start after a crash ends what the last life left running", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  await using node = await startNode(set.path, edge);
  const env = { PATH: Deno.env.get("PATH")! };
  const mark = `${node.db.instanceId}/${newId()}`;
  const left = await spawnChild("sh", { args: ["-c", "exec sleep 300"], cwd: "/", env, mark, stdin: "null" });
  await Promise.all([left.process.stdout.cancel(), left.process.stderr.cancel(), node.workspaces.resume()]);
  assertEquals((await left.process.status).signal, "SIGTERM");
});

Deno.test("a run over its limit of time ends with that reason", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "wait 60000", {
    limits: { maxCostUsd: null, maxMinutes: 0.005, maxTurns: null },
  });
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  const ended = await edge.untilCall("turn", { event: "ended" });
  assertEquals(ended.body.error, "The run reached its limit of 0.005 minutes.");
});

Deno.test("a stop for a workspace that is not here is confirmed", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say x");
  await using node = await startNode(set.path, edge);
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" }, task.workspaceId);
});

Deno.test("ending the agent leaves no process behind, warm ones included", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "run setsid sleep 300 & sleep 300");
  const node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { event: "accepted" });
  await eventually(async () => await countProcesses(node) >= 3);
  await node[Symbol.asyncDispose]();
  assertEquals(await countProcesses(node), 0);
});

Deno.test("T025-1 without a chat session the work is shown live, and nothing is enqueued", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "", {
    projectId: null,
    taskId: null,
    run: null,
    chatSessionId: null,
    branch: null,
    prompt: null,
  });
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, null);
  await eventually(() => node.workspaces.snapshot()[0]?.status === "ready");
  await node.workspaces.sendPrompt(task.workspaceId, { messageId: newId(), text: "say Hello there" });
  await edge.untilCall("turn", { event: "ended" });
  assert(node.frames.some((frame) => frame.role === "assistant" && frame.at === 0));
  assertEquals([await node.outbox.depth(), edge.messages.length], [0, 0]);
});

Deno.test("T025-2 each message of a turn is enqueued, in order, before the turn is told as ended", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  // The last words are closed by nothing but the end of the turn.
  const task = edge.addTask(set.remote, "think a\nplan c; d\nrun echo e\nsay b");
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge, { delivers: false });
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { event: "ended" });
  const waiting = await waitingMessages(node.outbox, task.workspaceId);
  assertEquals(waiting.map(({ role, content }) => [role, content]), [
    ["thinking", "a"],
    ["plan", "- [ ] c\n- [ ] d"],
    ["tool", "e"],
    ["assistant", "b"],
  ]);
});

/** `work` as if this program had run for so much longer. */
function after(byMs: number, work: () => void): void {
  const real = performance.now;
  performance.now = () => real.call(performance) + byMs;
  try {
    work();
  } finally {
    performance.now = real;
  }
}

Deno.test("a young workspace stays and an old one ends when it is not wanted, whatever the clock is set to", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say Hello");
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  {
    using _ahead = setClock(3_600_000);
    node.workspaces.retain([]);
  }
  await edge.untilCall("turn", { event: "ended" });
  using _back = setClock(-3_600_000);
  after(61_000, () => node.workspaces.retain([task.workspaceId]));
  assertEquals(node.workspaces.snapshot().length, 1);
  after(61_000, () => node.workspaces.retain([]));
  await edge.untilCall("status", { status: "stopped" });
});

Deno.test("T025-3 a full outbox is a warning, and the session goes on", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, Array.from({ length: 8 }, (_, n) => `say ${n}`).join("\n"));
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge, { delivers: false, maxRows: 3 });
  await node.workspaces.start(task.workspaceId, 1);
  const ended = await edge.untilCall("turn", { event: "ended" });
  assertEquals(ended.body.stopReason, "end_turn");
  assert(node.logged.some((line) => line.includes('"warn"') && line.includes("recorder.overflow")));
});

Deno.test("T025-4 stopping delivers what waits before the workspace is forgotten", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  edge.messagesStatus = 503;
  const task = edge.addTask(set.remote, "say Do not lose me");
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { event: "ended" });
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" });
  assertEquals((await node.rows.get(task.workspaceId))?.phase, "stopped");
  edge.messagesStatus = 200;
  await eventually(async () => await node.rows.get(task.workspaceId) === null);
  assertEquals(edge.said(), [["assistant", "Do not lose me"]]);
});

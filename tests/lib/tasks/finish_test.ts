/** The end of a run: the table of outcomes row by row, for task, workspace, node and session. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { sweepNodes } from "../../../lib/scheduler/sweeps/nodes.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import { finishTask } from "../../../lib/tasks/finish.ts";
import { loseNode } from "../../../lib/tasks/lose.ts";
import { failCommits } from "../../fakes/failing_store.ts";
import { ProviderError } from "../../fakes/provider.ts";
import { startBench } from "./fixture.ts";

Deno.test("T036-1 a submitted task runs to its end: workspace gone, branch recorded, node warm", async () => {
  await using bench = await startBench();
  const submitted = await bench.submit();
  const run = await bench.begin(submitted);
  assertEquals(run.runtime.prompt?.text, "Do it");
  assertEquals(await bench.states(run), ["in_progress", "running", "active 1", "active"]);
  assertEquals(await bench.endTurn(run), { finalize: true });
  const done = await run.agent.callback(run.runtime, { toStatus: "completed", outputBranch: run.runtime.branch });
  assertEquals(done.status, 200);
  assertEquals((await run.agent.command("workspace.stop")).keep, false);
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  const final = (await bench.test.admin.call(`GET ${run.path}`)).body;
  assertEquals([final.status, final.outputBranch], ["completed", `task/${run.taskId}`]);
  const events = (await bench.test.admin.call(`GET ${run.path}/events`)).body.items;
  const trail = ["draft", "ready", "queued", "delegated", "in_progress", "completed"];
  assertEquals(events.map((event: { to: string }) => event.to), trail);
  assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("T036-2 when the machine cannot be made the task fails with the provider's reason, and nothing is left", async () => {
  await using bench = await startBench({ still: true });
  bench.test.provider.failures.create.push(new ProviderError("the disk of this machine is full"));
  const task = await bench.submit();
  await bench.settle();
  const failed = await bench.task(task);
  assertEquals(failed.status, "failed");
  assertStringIncludes(failed.errorMessage!, "the disk of this machine is full");
  assertEquals([failed.workspaceId, (await bench.session(task)).status], [null, "pending"]);
  const node = await bench.node(failed.nodeId!);
  assertEquals([node.status, node.claims], ["destroyed", []]);
  assertEquals(bench.test.provider.destroyed, [node.id]);
  // The place in the fleet is free again.
  assertEquals((await bench.edge.store.kv.get<{ nodeIds: string[] }>(["fleet", failed.ownerId])).value?.nodeIds, []);
});

Deno.test("T033-1 a clean end removes the checkout, completes the task, and the node becomes warm", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run);
  await run.agent.callback(run.runtime, { toStatus: "completed" });
  assertEquals(await bench.states(run), ["completed", "stopping", "active 1", "stopped"]);
  assertEquals((await run.agent.command("workspace.stop")).keep, false);
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("T033-2 the outputs of a clean end are on the task", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await run.agent.report(run.runtime.workspaceId, { branch: "task/other-2" });
  const outputs = {
    outputCommit: "a".repeat(40),
    outputPrUrl: "https://git.example.org/team/app/pulls/7",
    outputSummary: "Wrote it.",
    costUsd: 0.25,
  };
  await bench.complete(run, outputs);
  const task = (await bench.test.admin.call(`GET ${run.path}`)).body;
  for (const [name, value] of Object.entries(outputs)) assertEquals(task[name], value, name);
  // What the report leaves out stays as it was told before.
  assertEquals(task.outputBranch, "task/other-2");
});

Deno.test("T033-3 a failed coding agent fails the task with its message, and the workspace is kept", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals(await bench.endTurn(run, { stopReason: undefined, error: "Out of credit." }), { stop: true });
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  const task = await bench.task(run);
  assertEquals([task.errorMessage, task.executionStep], ["Out of credit.", null]);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).errorMessage, "Out of credit.");
  assertEquals((await run.agent.command("workspace.stop")).keep, true);
});

Deno.test("T033-4 a cancelled run ends at once, and the workspace is kept", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals((await bench.test.admin.call(`POST ${run.path}/cancel`)).status, 202);
  assertEquals(await bench.states(run), ["cancelled", "ready kept", "active 1", "stopped"]);
  assertEquals((await run.agent.command("workspace.stop")).keep, true);
  assertEquals((await bench.test.admin.call(`POST ${run.path}/cancel`)).status, 200);
});

Deno.test("T033-5 a failed push completes the task with a warning, and the workspace is kept until its time", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run);
  await run.agent.callback(run.runtime, { toStatus: "completed", warning: "The remote refused the push." });
  assertEquals(await bench.states(run), ["completed", "ready kept", "active 1", "stopped"]);
  assertEquals((await bench.task(run)).warning, "The remote refused the push.");
  assertEquals((await run.agent.command("workspace.stop")).keep, true);
  await bench.pass(bench.edge.config.KEPT_WORKSPACE_TTL_MS + 1);
  assertEquals((await run.agent.command("workspace.stop")).keep, false);
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("T033-6 the end of a run ends its session, which keeps its messages", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.complete(run);
  const path = `/api/projects/${run.projectId}/sessions/${run.sessionId}` as const;
  const session = (await bench.test.admin.call(`GET ${path}`)).body;
  assertEquals([session.status, session.turn, session.messageCount], ["stopped", "idle", 1]);
  assertMatch(session.endedAt, /^\d{4}-/);
  const prompt = { messageId: crypto.randomUUID(), text: "more" };
  assertEquals((await bench.test.admin.call(`POST ${path}/prompts`, prompt)).body.error, "session_not_live");
});

Deno.test("T033-7 of many callbacks at once one ends the run, the others change nothing", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run);
  const done = { toStatus: "completed", outputSummary: "done" };
  const answers = await Promise.all(Array.from({ length: 10 }, () => run.agent.callback(run.runtime, done)));
  assertEquals(new Set(answers.map((answer) => answer.status)), new Set([200]));
  const events = (await bench.test.admin.call(`GET ${run.path}/events`)).body.items;
  assertEquals(events.filter((event: { to: string }) => event.to === "completed").length, 1);
  await run.agent.command("workspace.stop");
  assertEquals(run.agent.commands.filter((command) => command.kind === "workspace.stop").length, 1);
});

Deno.test("of different ends at once one wins and the others see it", async () => {
  await using bench = await startBench();
  for (let round = 0; round < 5; round++) {
    const run = await bench.run();
    await bench.endTurn(run);
    const answers = await Promise.all([
      run.agent.callback(run.runtime, { toStatus: "completed" }),
      run.agent.callback(run.runtime, { toStatus: "failed", errorMessage: "x" }),
      bench.test.admin.call(`POST ${run.path}/cancel`),
      run.agent.report(run.runtime.workspaceId, { status: "error", reason: "y" }),
    ]);
    assert(answers.every(({ status }) => [200, 202, 409].includes(status)));
    const events = (await bench.test.admin.call(`GET ${run.path}/events`)).body.items;
    const { status } = await bench.task(run);
    assertEquals(events.map((event: { to: string }) => event.to).slice(4), ["in_progress", status]);
    const [stop, ...more] = run.agent.commands.filter((command) =>
      "workspaceId" in command &&
      command.kind === "workspace.stop" && command.workspaceId === run.runtime.workspaceId
    );
    assertEquals(more, []);
    assertEquals(stop?.kind === "workspace.stop" && stop.keep, status !== "completed");
  }
});

Deno.test("provisioning that takes too long: failed in plain words, no workspace, machine deleted, session as it was", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const task = await bench.submit();
  await bench.settle();
  assertEquals((await bench.task(task)).executionStep, "provisioning_node");
  await bench.pass(bench.edge.config.NODE_AGENT_READY_TIMEOUT_MS + 1);
  const failed = await bench.task(task);
  assertEquals([failed.status, failed.errorMessage], [
    "failed",
    "The new machine's agent did not report within 15 minutes.",
  ]);
  assertEquals([(await bench.node(failed.nodeId!)).status, (await bench.session(task)).status], [
    "destroyed",
    "pending",
  ]);
  assertEquals(bench.test.provider.servers.size, 0);
  // An agent that comes after all is refused.
  const late = await bench.boot(bench.specs[0]!).catch((error) => error);
  assert(late instanceof Error || late.registered === null);
});

Deno.test("a lost node: failed, workspace stopped, node fenced and destroyed, session in error", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  assertEquals(await loseNode(bench.edge, run.runtime.nodeId), true);
  assertEquals(await bench.states(run), ["failed", "stopped", "destroying 0", "error"]);
  assertMatch((await bench.task(run)).errorMessage!, /node was lost/);
  assertEquals((await run.agent.heartbeat()).body, { commandSeq: 1, wanted: [], fenced: true });
  assertEquals((await run.agent.callback(run.runtime, { toStatus: "completed" })).status, 410);
  await bench.settle();
  assertEquals(await bench.states(run), ["failed", "stopped", "destroyed 0", "error"]);
  assertEquals(await loseNode(bench.edge, run.runtime.nodeId), false);
});

Deno.test("a lost machine of a person's own is fenced once, and of use again when its agent comes back", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  const { kv } = bench.edge.store;
  await kv.set(nodeKey(nodeId), { ...await bench.node(nodeId), autoProvisioned: false });
  await run.agent.heartbeat();
  const lose = async () => {
    bench.test.skewMs += bench.edge.config.NODE_LOST_AFTER_MS + 1;
    await sweepNodes(bench.edge);
    bench.test.skewMs += bench.edge.config.HEARTBEAT_STALE_MS + 1;
    return await sweepNodes(bench.edge);
  };
  assertEquals(await lose(), 1);
  assertEquals(await bench.states(run), ["failed", "stopped", "active 0", "error"]);
  const { generation, errorMessage } = await bench.node(nodeId);
  assertEquals([generation, errorMessage], [2, "No sign of life for too long."]);
  assertEquals(await lose(), 0, "it is fenced already");
  assertEquals((await bench.node(nodeId)).generation, 2);
  assertEquals((await run.agent.heartbeat()).body.fenced, true);
  await run.agent.renew();
  await run.agent.link();
  assertEquals((await run.agent.heartbeat()).body.fenced, undefined);
  const back = await bench.node(nodeId);
  assertEquals([back.health, back.errorMessage], ["ok", null]);
  assertEquals((await bench.run({}, run.projectId)).runtime.nodeId, nodeId);
  assertEquals(await lose(), 1, "what comes back can be lost again");
  assertEquals((await bench.node(nodeId)).generation, 3);
});

Deno.test("a destroyed node leaves no commands behind", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const left = () => Promise.all(["command", "commandHead", "commandAck"].map((family) => keysOf(family)));
  const keysOf = async (family: string) => {
    const entries = bench.edge.store.kv.list({ prefix: [family, run.runtime.nodeId] });
    const own = await bench.edge.store.kv.get([family, run.runtime.nodeId]);
    return (await Array.fromAsync(entries)).length + (own.value === null ? 0 : 1);
  };
  await bench.test.admin.call(`DELETE /api/nodes/${run.runtime.nodeId}?force=true`);
  assert((await left()).some((count) => count > 0));
  await bench.settle();
  assertEquals((await bench.states(run))[2], "destroyed 0");
  assertEquals(await left(), [0, 0, 0]);
});

Deno.test("a node destroyed by hand: refused with claims, with force its runs fail first", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const path = `/api/nodes/${run.runtime.nodeId}` as const;
  assertEquals((await bench.test.admin.call(`DELETE ${path}`)).body.error, "node_busy");
  assertEquals(await bench.states(run), ["in_progress", "running", "active 1", "active"]);
  assertEquals((await bench.test.admin.call(`DELETE ${path}?force=true`)).status, 202);
  await bench.settle();
  assertEquals(await bench.states(run), ["failed", "stopped", "destroyed 0", "error"]);
  assertEquals((await bench.task(run)).errorMessage, "The node was destroyed by hand.");
});

Deno.test("destroying by force is not undone by tasks that wait for the place", async () => {
  await using bench = await startBench({ env: { MAX_NODES_PER_USER: "1", MAX_WORKSPACES_PER_NODE: "1" } });
  const run = await bench.run();
  const waiting = await bench.submit({}, run.projectId);
  await bench.until(waiting, (task) => task.executionStep === "waiting_for_node");
  // The store holds the destruction up until those who wait have looked.
  const isEnd = (_: Deno.KvKey, value: unknown) => (value as { status?: string }).status === "destroying";
  const failing = failCommits(bench.edge.store, isEnd);
  const answering = bench.test.admin.call(`DELETE /api/nodes/${run.runtime.nodeId}?force=true`);
  while (failing.refused === 0 && (await bench.task(waiting)).nodeId === null) await bench.settle();
  await bench.settle();
  failing[Symbol.dispose]();
  assertEquals((await answering).status, 202);
  await bench.settle();
  assertEquals((await bench.node(run.runtime.nodeId)).status, "destroyed");
});

Deno.test("T044-3 when the node cannot be set free the task stays completed, it is logged, and done again", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run);
  await run.agent.callback(run.runtime, { toStatus: "completed" });
  const failing = failCommits(bench.edge.store, (key) => key[0] === "node");
  await bench.pass(bench.edge.config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  failing[Symbol.dispose]();
  assert(failing.refused > 0);
  assertEquals(await bench.states(run), ["completed", "stopping", "active 1", "stopped"]);
  assert(bench.test.log.some((line) => line.event === "due_item_failed" && line.kind === "workspace.release"));
  await bench.pass(60_001);
  assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("without the node's confirmation a stopping workspace counts as gone after a minute", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run);
  await run.agent.callback(run.runtime, { toStatus: "completed" });
  await bench.pass(59_000);
  assertEquals((await bench.states(run)).slice(1, 3), ["stopping", "active 1"]);
  await bench.pass(1_001);
  assertEquals((await bench.states(run)).slice(1, 3), ["stopped", "warm 0"]);
  // A confirmation that comes after all changes nothing.
  const { warmUntil } = await bench.node(run.runtime.nodeId);
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  assertEquals((await bench.node(run.runtime.nodeId)).warmUntil, warmUntil);
});

Deno.test("the end of a run on a draining node lets the node go, on a destroying one it only ends the claim", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.test.admin.call(`POST /api/nodes/${run.runtime.nodeId}/drain`);
  assertEquals((await bench.states(run))[2], "active 1");
  await bench.complete(run);
  assertEquals((await bench.states(run))[2], "destroying 0");
  await bench.settle();
  assertEquals(await bench.states(run), ["completed", "stopped", "destroyed 0", "stopped"]);
});

Deno.test("only the run that is meant is ended", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const outcome = { to: "failed", actor: "system", reason: "x", keep: true } as const;
  const elsewhere = await finishTask(bench.edge, { ...run, workspaceId: crypto.randomUUID() }, outcome);
  const refused = await finishTask(bench.edge, { ...run, onlyIf: () => false }, outcome);
  assertEquals([elsewhere?.kind, refused?.kind], ["conflict", "conflict"]);
  assertEquals((await bench.task(run)).status, "in_progress");
  assertEquals((await finishTask(bench.edge, run, outcome))?.kind, "finished");
  assertEquals((await finishTask(bench.edge, run, outcome))?.kind, "unchanged");
  assertEquals((await finishTask(bench.edge, run, { ...outcome, to: "cancelled" }))?.kind, "conflict");
});

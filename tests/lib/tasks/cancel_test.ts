/** Cancelling a run in each of its states, what it leaves, and the next run beside it. */
import { assertEquals, assertMatch } from "@std/assert";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { nextDueAt } from "../../../lib/store/due.ts";
import { deleteNode } from "../../../lib/tasks/delete_node.ts";
import { loseNode } from "../../../lib/tasks/lose.ts";
import type { Bench, Run, Submitted } from "./fixture.ts";
import { startBench } from "./fixture.ts";

async function cancel(bench: Bench, task: Submitted): Promise<number> {
  return (await bench.test.admin.call(`POST ${task.path}/cancel`)).status;
}

/** The kinds of everything that is due for the task. */
async function duesOf(bench: Bench, task: Submitted): Promise<unknown[]> {
  const entries = await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["due"] }));
  return entries.filter((entry) => String(entry.key[3]).includes(task.taskId)).map((entry) => entry.key[2]);
}

Deno.test("cancelled in the backlog: nothing was there, nothing is left", async () => {
  await using bench = await startBench({ still: true });
  const project = await bench.test.addProject();
  for (const toStatus of ["draft", "ready"]) {
    const draft = (await bench.test.admin.call(`POST /api/projects/${project.id}/tasks`, { description: "x" })).body;
    const path = `/api/projects/${project.id}/tasks/${draft.id}` as const;
    if (toStatus === "ready") await bench.test.admin.call(`POST ${path}/status`, { toStatus });
    const answer = await bench.test.admin.call(`POST ${path}/cancel`);
    assertEquals([answer.status, answer.body.status], [202, "cancelled"]);
    const session = await bench.test.admin.call(`GET /api/projects/${project.id}/sessions/${draft.sessionId}`);
    assertEquals(session.body.status, "pending");
  }
});

Deno.test("cancelled while queued, before there is a node", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  assertEquals(await cancel(bench, task), 202);
  assertEquals(await duesOf(bench, task), []);
  await bench.settle();
  assertEquals([(await bench.task(task)).status, bench.specs.length], ["cancelled", 0]);
});

Deno.test("cancelled while it waits for a node", async () => {
  await using bench = await startBench({ env: { MAX_NODES_PER_USER: "1", MAX_WORKSPACES_PER_NODE: "1" } });
  const run = await bench.run();
  const waiting = await bench.submit({}, run.projectId);
  await bench.until(waiting, (task) => task.executionStep === "waiting_for_node");
  assertEquals(await cancel(bench, waiting), 202);
  await bench.complete(run);
  assertEquals((await bench.states(run))[2], "warm 0");
  assertEquals((await bench.task(waiting)).executionStep, null);
});

Deno.test("cancelled while the machine is made: its claim ends, and the machine waits warm for the next task", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const task = await bench.submit();
  await bench.settle();
  const nodeId = (await bench.task(task)).nodeId!;
  assertEquals((await bench.node(nodeId)).claims.length, 1);
  assertEquals(await cancel(bench, task), 202);
  assertEquals([(await bench.node(nodeId)).claims, (await bench.session(task)).status], [[], "pending"]);
  await bench.boot(bench.specs[0]!);
  await bench.settle();
  assertEquals([(await bench.node(nodeId)).status, (await bench.task(task)).workspaceId], ["warm", null]);
});

Deno.test("cancelled while the machine is made, and it never comes up: it is deleted", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const task = await bench.submit();
  await bench.settle();
  const nodeId = (await bench.task(task)).nodeId!;
  await cancel(bench, task);
  bench.test.skewMs += bench.edge.config.NODE_AGENT_READY_TIMEOUT_MS + 100_000;
  await sweep(bench.edge);
  await bench.settle();
  assertEquals([(await bench.node(nodeId)).status, bench.test.provider.servers.size], ["destroyed", 0]);
});

Deno.test("a run cancelled on a node that it only held gives it back, for those who wait too", async () => {
  await using bench = await startBench({ still: true, env: { MAX_NODES_PER_USER: "1", MAX_WORKSPACES_PER_NODE: "1" } });
  bench.boots = false;
  const first = await bench.submit();
  await bench.settle();
  const second = await bench.submit({}, first.projectId);
  await bench.settle();
  assertEquals((await bench.task(second)).executionStep, "waiting_for_node");
  await bench.boot(bench.specs[0]!);
  await cancel(bench, first);
  await bench.settle();
  assertEquals([(await bench.task(first)).status, (await bench.task(second)).status], ["cancelled", "delegated"]);
});

Deno.test("cancelled when handed over but not begun, and while it runs and while it finishes", async () => {
  await using bench = await startBench({ still: true });
  const project = await bench.test.addProject();
  for (const state of ["delegated", "in_progress", "finalizing"]) {
    const task = await bench.submit({}, project.id);
    const { agent, workspaceId } = await bench.started(task);
    const runtime = await agent.runtime(workspaceId);
    const run: Run = { ...task, agent, runtime };
    await agent.report(workspaceId, { status: "ready", executionStep: "starting_agent" });
    if (state !== "delegated") {
      await agent.turn(workspaceId, { promptId: runtime.prompt!.messageId, event: "accepted" });
    }
    if (state === "finalizing") assertEquals(await bench.endTurn(run), { finalize: true });
    assertEquals(await cancel(bench, task), 202);
    assertEquals((await bench.states(run)).slice(0, 2), ["cancelled", "ready kept"], state);
    assertEquals((await bench.states(run))[3], "stopped");
    const stop = await agent.command("workspace.stop");
    assertEquals([stop.workspaceId, stop.keep], [workspaceId, true]);
    assertEquals((await agent.runtime(workspaceId)).wanted, "keep");
    // What comes after the end is answered, and changes nothing.
    assertEquals(await bench.endTurn(run), { stop: true });
    assertEquals((await agent.callback(runtime, { toStatus: "completed" })).status, 409);
    await agent.report(workspaceId, { status: "running", executionStep: "starting_agent" });
    assertEquals((await bench.states(run)).slice(0, 2), ["cancelled", "ready kept"], state);
    assertEquals(await duesOf(bench, task), []);
    await bench.test.admin.call(`POST ${task.path}/workspace/discard`);
    assertEquals((await agent.command("workspace.stop")).keep, false);
    await agent.report(workspaceId, { status: "stopped" });
    assertEquals((await bench.states(run)).slice(1, 3), ["stopped", "warm 0"]);
  }
  assertEquals(bench.specs.length, 1);
});

Deno.test("cancelled before anything was checked out: nothing is kept, and the machine becomes free", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  const run: Run = { ...task, agent, runtime: await agent.runtime(workspaceId) };
  assertEquals(await cancel(bench, task), 202);
  assertEquals((await bench.states(run)).slice(0, 2), ["cancelled", "stopping"]);
  assertEquals((await agent.command("workspace.stop")).keep, false);
  await agent.report(workspaceId, { status: "stopped" });
  assertEquals((await bench.states(run)).slice(1, 3), ["stopped", "warm 0"]);
});

Deno.test("a kept workspace goes at its time; kept longer it goes later; discarded it goes now", async () => {
  await using bench = await startBench({ still: true });
  const { KEPT_WORKSPACE_TTL_MS } = bench.edge.config;
  const run = await bench.run();
  await cancel(bench, run);
  const keep = await bench.test.admin.call(`POST ${run.path}/workspace/keep`, { hours: 1 });
  assertEquals(keep.status, 200);
  await bench.pass(KEPT_WORKSPACE_TTL_MS + 1_000);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "ready");
  await bench.pass(3_600_000);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "stopping");
  assertEquals((await bench.test.admin.call(`POST ${run.path}/workspace/keep`, {})).status, 409);
  assertEquals((await bench.test.admin.call(`POST ${run.path}/workspace/discard`)).status, 200);
  await bench.pass(bench.edge.config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  assertEquals((await bench.states(run)).slice(1, 3), ["stopped", "warm 0"]);
});

Deno.test("no checkout is kept longer than a day from now, however often it is asked for", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await cancel(bench, run);
  for (let i = 0; i < 3; i++) await bench.test.admin.call(`POST ${run.path}/workspace/keep`, { hours: 24 });
  const { keptUntil } = await bench.workspace(run.runtime.workspaceId);
  assertEquals(keptUntil! - bench.edge.clock() <= 24 * 3_600_000, true);
});

Deno.test("a new run while the old checkout is kept: both live, each under its own claim, none ends the other", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await run.agent.callback(run.runtime, { toStatus: "failed", errorMessage: "x" });
  const again = await bench.runAgain(run);
  assertEquals(again.runtime.nodeId, run.runtime.nodeId);
  assertEquals(await bench.states(again), ["in_progress", "running", "active 2", "active"]);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "error");
  // Whatever comes from the old one is about the old one.
  await run.agent.report(run.runtime.workspaceId, { status: "error", reason: "old" });
  assertEquals(await bench.endTurn(run), { stop: true });
  assertEquals((await bench.task(again)).status, "in_progress");
  await run.agent.messages(run.runtime.workspaceId, [{
    messageId: crypto.randomUUID(),
    sessionId: run.sessionId,
    role: "assistant",
    content: "a late word",
    timestamp: new Date().toISOString(),
  }]);
  const path = `/api/projects/${run.projectId}/sessions/${run.sessionId}/messages` as const;
  assertEquals((await bench.test.admin.call(`GET ${path}`)).body.items.at(-1).run, 1);
  await bench.pass(bench.edge.config.KEPT_WORKSPACE_TTL_MS + 1);
  await bench.pass(bench.edge.config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "stopped");
  assertEquals((await bench.states(again)).slice(0, 3), ["in_progress", "running", "active 1"]);
  await bench.complete(again);
  assertEquals(await bench.states(again), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("a lost node ends the old checkout that is kept there, not the run that goes on elsewhere", async () => {
  await using bench = await startBench({ still: true, env: { MAX_WORKSPACES_PER_NODE: "1" } });
  const run = await bench.run();
  await cancel(bench, run);
  const again = await bench.runAgain(run);
  assertEquals(again.runtime.nodeId === run.runtime.nodeId, false);
  await loseNode(bench.edge, run.runtime.nodeId);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "stopped");
  assertEquals(await bench.states(again), ["in_progress", "running", "active 1", "active"]);
});

Deno.test("cancelling and everything else at once leaves no claim behind", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  for (let round = 0; round < 15; round++) {
    const task = await bench.submit({}, project.id);
    await new Promise((resolve) => setTimeout(resolve, round));
    assertEquals(await cancel(bench, task), 202);
    await bench.settle();
    const { status, workspaceId } = await bench.task(task);
    assertEquals(status, "cancelled");
    if (!workspaceId) continue;
    await bench.test.admin.call(`POST ${task.path}/workspace/discard`);
    const agent = await bench.agentOf((await bench.task(task)).nodeId!);
    await agent.report(workspaceId, { status: "stopped" });
  }
  await bench.settle();
  const nodes = (await bench.test.admin.call("GET /api/nodes")).body.items;
  for (const node of nodes) assertEquals([node.status, node.claims], ["warm", []]);
});

Deno.test("a machine that is made while its node is destroyed is deleted after all", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const { provider } = bench.test;
  const create = provider.create.bind(provider);
  const [asked, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  provider.create = async (spec) => {
    asked.resolve();
    await go.promise;
    return await create(spec);
  };
  const task = await bench.submit();
  bench.test.loop.ring();
  await asked.promise;
  const nodeId = (await bench.task(task)).nodeId!;
  assertEquals((await bench.test.admin.call(`DELETE /api/nodes/${nodeId}?force=true`)).status, 202);
  await deleteNode(bench.edge, nodeId);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
  go.resolve();
  await bench.settle();
  assertEquals([provider.servers.size, (await bench.task(task)).status], [0, "failed"]);
});

Deno.test("a node that a person named: none of another's, and none that is gone", async () => {
  await using bench = await startBench({ still: true, env: { LOCAL_PROVIDER_SHARED: "1" } });
  const run = await bench.run();
  await bench.complete(run);
  const other = await bench.test.addUser("other");
  const theirs = (await other.call("POST /api/projects", {
    name: "theirs",
    repositoryUrl: "https://git.example.org/a/b.git",
  })).body;
  const draft = (await other.call(`POST /api/projects/${theirs.id}/tasks`, { description: "x" })).body;
  const path = `/api/projects/${theirs.id}/tasks/${draft.id}` as const;
  const { nodeId } = run.runtime;
  assertEquals((await other.call(`POST ${path}/run`, { nodeId })).status, 404);
  assertEquals((await other.call(`GET ${path}`)).body.status, "draft");

  const task = await bench.submit({}, run.projectId);
  await cancel(bench, task);
  assertEquals((await bench.test.admin.call(`POST ${task.path}/run`, { nodeId })).status, 202);
  await bench.test.admin.call(`DELETE /api/nodes/${nodeId}`);
  await bench.settle();
  assertEquals((await bench.task(task)).status, "failed");
  assertMatch((await bench.task(task)).errorMessage!, /gone/);
  assertEquals(await nextDueAt(bench.edge.store), null);
});

Deno.test("cancelling a task without a run touches nothing of what an earlier run left", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await run.agent.callback(run.runtime, { toStatus: "failed", errorMessage: "It broke." });
  await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
  await bench.test.admin.call(`POST ${run.path}/status`, { toStatus: "ready" });
  const before = await bench.workspace(run.runtime.workspaceId);
  assertEquals(before.status, "stopping");
  assertEquals(await cancel(bench, run), 202);
  assertEquals((await bench.task(run)).status, "cancelled");
  assertEquals(await bench.workspace(run.runtime.workspaceId), before);
});

/** Warm nodes from the view of tasks: who gets one, when a node becomes one, and how it ends. */
import { assert, assertEquals } from "@std/assert";
import { markIdle, tryClaim } from "../../../lib/nodes/lifecycle.ts";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import { failCommits } from "../../fakes/failing_store.ts";
import { ProviderError } from "../../fakes/provider.ts";
import { type Bench, type Run, startBench, type Submitted } from "./fixture.ts";

const ONE_EACH = { MAX_WORKSPACES_PER_NODE: "1" };

/** Runs that many tasks at once on a node each, and ends them one after the other: the first node is the longest warm. */
async function warmUp(bench: Bench, count: number): Promise<{ projectId: string; nodeIds: string[] }> {
  const { id } = await bench.test.addProject();
  const runs: Run[] = [];
  for (let i = 0; i < count; i++) runs.push(await bench.run({}, id));
  for (const run of runs) {
    await bench.complete(run);
    bench.test.skewMs += 1_000;
  }
  return { projectId: id, nodeIds: runs.map((run) => run.runtime.nodeId) };
}

/** Lets somebody else claim `nodeId` between the look and the claim of a task. */
async function snatch(bench: Bench, task: Submitted, nodeId: string): Promise<void> {
  const isClaim = (key: Deno.KvKey, value: unknown) =>
    key[0] === "node" && key[1] === nodeId && (value as NodeRecord).claims.some(({ taskId }) => taskId === task.taskId);
  using failing = failCommits(bench.edge.store, isClaim);
  bench.test.loop.ring();
  while (failing.refused === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(await tryClaim(bench.edge, nodeId, { taskId: "other", projectId: "p", token: "other" }), true);
}

Deno.test("T042-1 a warm node that is free is claimed for the task", async () => {
  await using bench = await startBench({ still: true });
  const { projectId, nodeIds } = await warmUp(bench, 1);
  const task = await bench.submit({}, projectId);
  await bench.settle();
  const { nodeId, status } = await bench.task(task);
  assertEquals([nodeId, status], [nodeIds[0], "delegated"]);
  assertEquals((await bench.node(nodeId!)).claimedByTask, task.taskId);
});

Deno.test("T042-2 a warm node that somebody else claimed first: the task goes to one with room", async () => {
  await using bench = await startBench({ still: true, env: ONE_EACH });
  const { projectId, nodeIds: [warm, roomy] } = await warmUp(bench, 2);
  const entry = await bench.node(roomy!);
  await bench.edge.store.kv.set(nodeKey(roomy!), { ...entry, status: "active", warmSince: null, warmUntil: null });
  const task = await bench.submit({}, projectId);
  await snatch(bench, task, warm!);
  await bench.settle();
  assertEquals([(await bench.task(task)).nodeId, (await bench.node(warm!)).claimedByTask], [roomy, "other"]);
});

Deno.test("T042-3 without a warm node an active one with room is taken", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const second = await bench.run({}, run.projectId);
  assertEquals([second.runtime.nodeId, bench.specs.length], [run.runtime.nodeId, 1]);
  assertEquals((await bench.node(run.runtime.nodeId)).claims.length, 2);
});

Deno.test("T042-4 of several warm nodes each is tried in order, the longest warm first, until one is won", async () => {
  await using bench = await startBench({ still: true, env: ONE_EACH });
  const { projectId, nodeIds: [first, second, third] } = await warmUp(bench, 3);
  const task = await bench.submit({}, projectId);
  await snatch(bench, task, first!);
  await bench.settle();
  assertEquals((await bench.task(task)).nodeId, second);
  const next = await bench.submit({}, projectId);
  await bench.settle();
  assertEquals([(await bench.task(next)).nodeId, bench.specs.length], [third, 3]);
});

Deno.test("T042-5 a warm node goes before a new one, and before an active one with room", async () => {
  await using bench = await startBench({ still: true, env: ONE_EACH });
  const { projectId, nodeIds: [roomy, warm] } = await warmUp(bench, 2);
  const entry = await bench.node(roomy!);
  await bench.edge.store.kv.set(nodeKey(roomy!), { ...entry, status: "active", warmSince: null, warmUntil: null });
  const task = await bench.submit({}, projectId);
  await bench.settle();
  assertEquals([(await bench.task(task)).nodeId, bench.specs.length], [warm, 2]);
});

Deno.test("T044-1 when the last workspace of a node is gone the node becomes warm", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.complete(run);
  const node = await bench.node(run.runtime.nodeId);
  assertEquals([node.status, node.claims, node.claimedByTask], ["warm", [], null]);
  assertEquals(node.warmUntil! - node.warmSince!, bench.edge.config.NODE_WARM_TIMEOUT_MS);
});

Deno.test("T044-2 while another workspace is on the node it stays active", async () => {
  await using bench = await startBench({ still: true });
  const [one, other] = [await bench.run(), await bench.run()];
  assertEquals(one.runtime.nodeId, other.runtime.nodeId);
  await bench.complete(one);
  const node = await bench.node(one.runtime.nodeId);
  assertEquals([node.status, node.warmUntil, node.claims.map(({ taskId }) => taskId)], ["active", null, [
    other.taskId,
  ]]);
  await bench.complete(other);
  assertEquals((await bench.node(one.runtime.nodeId)).status, "warm");
});

Deno.test("T044-4 a machine that we did not make never becomes warm, and is never destroyed", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  await bench.edge.store.kv.set(nodeKey(nodeId), { ...await bench.node(nodeId), autoProvisioned: false });
  await bench.complete(run);
  assertEquals([(await bench.node(nodeId)).status, (await bench.node(nodeId)).warmUntil], ["active", null]);
  assertEquals((await markIdle(bench.edge, nodeId)).status, "active");
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS * 2);
  await sweep(bench.edge);
  assertEquals([(await bench.node(nodeId)).status, bench.test.provider.destroyed], ["active", []]);
});

Deno.test("T048-1 a task completes, its node is warm, and the next task starts there without a new machine", async () => {
  await using bench = await startBench();
  const first = await bench.run();
  await bench.complete(first);
  assertEquals(await bench.states(first), ["completed", "stopped", "warm 0", "stopped"]);
  const second = await bench.run({ description: "And this" }, first.projectId);
  assertEquals([second.runtime.nodeId, bench.specs.length], [first.runtime.nodeId, 1]);
  assertEquals(second.runtime.prompt!.text, "And this");
  const { timings } = await bench.task(second);
  assertEquals("provisioning_node" in timings, false);
  await bench.complete(second);
  assertEquals(await bench.states(second), ["completed", "stopped", "warm 0", "stopped"]);
});

Deno.test("T048-2 a warm node that nobody wants for its time is destroyed by itself", async () => {
  await using bench = await startBench({ env: { NODE_WARM_TIMEOUT_MS: "1000" } });
  const run = await bench.run();
  await bench.complete(run);
  const watcher = bench.edge.store.kv.watch<[NodeRecord]>([nodeKey(run.runtime.nodeId)]).getReader();
  while ((await watcher.read()).value?.[0]?.value?.status !== "destroyed");
  await watcher.cancel();
  assertEquals(bench.test.provider.destroyed, [run.runtime.nodeId]);
});

Deno.test("T048-3 the sweep finds a warm node whose expiry was lost", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.complete(run);
  const { nodeId } = run.runtime;
  for await (const entry of bench.edge.store.kv.list({ prefix: ["due"] })) await bench.edge.store.kv.delete(entry.key);
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS + 1);
  await sweep(bench.edge);
  await bench.settle();
  assertEquals((await bench.node(nodeId)).status, "warm", "the ordinary way has its time first");
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS);
  await bench.agents.get(nodeId)!.heartbeat();
  await sweep(bench.edge);
  await bench.settle();
  assertEquals([(await bench.node(nodeId)).status, bench.test.provider.destroyed], ["destroyed", [nodeId]]);
});

Deno.test("a task that comes at the moment of the expiry gets the node or a new one, never one that goes", async () => {
  await using bench = await startBench({ still: true });
  const { projectId, nodeIds } = await warmUp(bench, 1);
  bench.test.skewMs += bench.edge.config.NODE_WARM_TIMEOUT_MS;
  const task = await bench.submit({}, projectId);
  const run = await bench.begin(task);
  const node = await bench.node(run.runtime.nodeId);
  assertEquals([node.status, node.claims.length], ["active", 1]);
  const old = await bench.node(nodeIds[0]!);
  assert(old.id === node.id || old.status === "destroyed");
});

Deno.test("waiting tasks get a place in order of priority, then of age, also before one that comes new", async () => {
  await using bench = await startBench({ still: true, env: { ...ONE_EACH, MAX_NODES_PER_USER: "1" } });
  const run = await bench.run();
  const { projectId } = run;
  const waiting = [
    await bench.submit({ title: "low", priority: -1 }, projectId),
    await bench.submit({ title: "first" }, projectId),
    await bench.submit({ title: "second" }, projectId),
    await bench.submit({ title: "urgent", priority: 10 }, projectId),
  ];
  await bench.settle();
  await bench.complete(run);
  const late = await bench.submit({ title: "late" }, projectId);
  await bench.settle();
  const served: string[] = [];
  const line = [...waiting, late];
  while (line.length > 0) {
    const tasks = await Promise.all(line.map((task) => bench.task(task)));
    const at = tasks.findIndex(({ status }) => status === "delegated");
    served.push(tasks[at]!.title);
    const [next] = line.splice(at, 1);
    await bench.complete(await bench.begin(next!));
    await bench.settle();
  }
  assertEquals(served, ["urgent", "first", "second", "late", "low"]);
});

Deno.test("a waiting task that cannot use a place does not keep it from others", async () => {
  await using bench = await startBench({ still: true, env: { ...ONE_EACH, MAX_NODES_PER_USER: "1" } });
  const run = await bench.run();
  const large = await bench.submit({ vmSize: "large", priority: 10 }, run.projectId);
  const small = await bench.submit({}, run.projectId);
  await bench.settle();
  await bench.complete(run);
  await bench.settle();
  assertEquals([(await bench.task(large)).status, (await bench.task(small)).status], ["queued", "delegated"]);
});

Deno.test("when the provider has no room the task waits, its machine is given up, and it tries again", async () => {
  await using bench = await startBench({ still: true });
  bench.test.provider.failures.create.push(new ProviderError("no capacity now", { waitable: true }));
  const task = await bench.submit();
  await bench.settle();
  const waiting = await bench.task(task);
  assertEquals([waiting.status, waiting.executionStep, waiting.nodeId], ["queued", "waiting_for_node", null]);
  const nodes = (await bench.test.admin.call("GET /api/nodes")).body.items;
  assertEquals(nodes.map((node: { status: string }) => node.status), ["destroyed"]);
  await bench.pass(60_001);
  assertEquals((await bench.begin(task)).runtime.taskId, task.taskId);
});

Deno.test("a machine that offers no such coding agent fails the run in plain words", async () => {
  await using bench = await startBench({ still: true });
  bench.codingAgents = ["other"];
  const task = await bench.submit();
  await bench.settle();
  await bench.agentOf((await bench.task(task)).nodeId!);
  await bench.settle();
  const { status, errorMessage } = await bench.task(task);
  assertEquals([status, errorMessage?.includes('no coding agent "demo"')], ["failed", true]);
  assertEquals((await bench.test.admin.call("GET /api/nodes")).body.items[0].claims, []);
});

Deno.test("a node told to drain before the work was handed over is left for another", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const task = await bench.submit();
  await bench.settle();
  const first = (await bench.task(task)).nodeId!;
  await bench.test.admin.call(`POST /api/nodes/${first}/drain`);
  await bench.boot(bench.specs[0]!);
  bench.boots = true;
  const run = await bench.begin(task);
  assert(run.runtime.nodeId !== first);
  assertEquals((await bench.node(first)).status, "destroyed");
});

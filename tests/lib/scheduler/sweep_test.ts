/** The sweeps: what lost hints left undone is mended, and one failure stops nothing else. */
import { assert, assertEquals } from "@std/assert";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { sweepNodes } from "../../../lib/scheduler/sweeps/nodes.ts";
import { markActive } from "../../../lib/nodes/lifecycle.ts";
import { nodeKey, taskKey, workspaceKey } from "../../../lib/store/keys.ts";
import { advanceTask } from "../../../lib/tasks/advance.ts";
import { cancelTask } from "../../../lib/tasks/cancel.ts";
import { reportWorkspace } from "../../../lib/tasks/report.ts";
import { interceptLists, overtakeRead } from "../../fakes/failing_store.ts";
import { claimRecord } from "../nodes/node_records.ts";
import { type Bench, startBench } from "../tasks/fixture.ts";

/** Forgets everything that is due, as if every key and message had been lost. */
async function loseDues(bench: Bench): Promise<void> {
  for await (const entry of bench.edge.store.kv.list({ prefix: ["due"] })) await bench.edge.store.kv.delete(entry.key);
}

function later(bench: Bench, ms: number): void {
  bench.test.skewMs += ms;
}

Deno.test("with nothing to mend nothing is mended", async () => {
  await using bench = await startBench({ still: true });
  assertEquals(await sweep(bench.edge), { tasks: 0, workspaces: 0, nodes: 0, windows: 0 });
  await bench.run();
  assertEquals(await sweep(bench.edge), { tasks: 0, workspaces: 0, nodes: 0, windows: 0 });
});

Deno.test("a step that fails stops no other", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.complete(run);
  await loseDues(bench);
  later(bench, bench.edge.config.NODE_CLEANUP_GRACE_PERIOD_MS + 100_000);
  using _ = interceptLists(bench.edge.store, (selector) => {
    const family = "prefix" in selector ? selector.prefix[0] : "";
    return family === "taskLive" || family === "window" ? Promise.reject(new Error("broken")) : Promise.resolve();
  });
  const { tasks, workspaces, nodes, windows } = await sweep(bench.edge);
  assertEquals([tasks, workspaces, nodes, windows], [null, 0, 1, null]);
  assertEquals((await bench.node(run.runtime.nodeId)).status, "destroying");
  const failed = bench.test.log.filter((line) => line.event === "sweep_failed").map((line) => line.step);
  assertEquals(failed, ["tasks", "windows"]);
});

Deno.test("one thing that cannot be mended stops none of its kind", async () => {
  await using bench = await startBench({ still: true });
  const { kv } = bench.edge.store;
  const run = await bench.run();
  const [broken, id] = [{ v: 1, status: "queued", dependsOn: null }, "00000000-0000-7000-8000-000000000000"];
  await kv.set(["taskLive", "!", id], 1);
  await kv.set(taskKey("!", id), broken);
  await kv.set(["nodeLive", id], 1);
  await kv.set(nodeKey(id), { ...broken, id, status: "active" });
  await kv.set(["workspaceLive", id], 1);
  await kv.set(workspaceKey(id), { ...broken, id, nodeId: 7, keptUntil: 1, dues: null });
  await loseDues(bench);
  later(bench, bench.edge.config.TASK_MAX_RUN_MS + 100_000);
  const swept = await sweep(bench.edge);
  assertEquals([swept.tasks, swept.nodes], [1, 1]);
  assertEquals((await bench.task(run)).status, "failed");
  assertEquals((await bench.node(run.runtime.nodeId)).health, "unreachable");
  const named = bench.test.log.filter((line) => line.event === "sweep_item_failed").map((line) => line.id);
  assertEquals(named, [id, id, id]);
});

Deno.test("every run and checkout whose due keys were lost comes to its end", async () => {
  await using bench = await startBench({ still: true });
  const { config } = bench.edge;
  const queued = await bench.submit();
  await loseDues(bench);
  await sweep(bench.edge);
  const run = await bench.begin(queued);
  await loseDues(bench);
  later(bench, config.TASK_MAX_RUN_MS + 1);
  await run.agent.heartbeat();
  await sweep(bench.edge);
  assertEquals((await bench.task(run)).status, "in_progress", "the ordinary way has its time first");
  later(bench, 90_000);
  assertEquals((await sweep(bench.edge)).tasks, 1);
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  await loseDues(bench);
  later(bench, config.KEPT_WORKSPACE_TTL_MS + 90_001);
  await run.agent.heartbeat({
    workspaces: [{ id: run.runtime.workspaceId, status: "ready", turn: "idle", pendingRows: 0 }],
  });
  assertEquals((await sweep(bench.edge)).workspaces, 1);
  assertEquals((await bench.workspace(run.runtime.workspaceId)).status, "stopping");
  await loseDues(bench);
  later(bench, config.WORKSPACE_STOP_TIMEOUT_MS + 90_001);
  await run.agent.heartbeat({
    workspaces: [{ id: run.runtime.workspaceId, status: "ready", turn: "idle", pendingRows: 0 }],
  });
  assertEquals((await sweep(bench.edge)).workspaces, 1);
  assertEquals(await bench.states(run), ["failed", "stopped", "warm 0", "error"]);
  assertEquals(await sweep(bench.edge), { tasks: 0, workspaces: 0, nodes: 0, windows: 0 });
});

Deno.test("a silent node is shown as unreachable, and after a long silence it is lost with its runs", async () => {
  await using bench = await startBench({ still: true });
  const { HEARTBEAT_STALE_MS, NODE_LOST_AFTER_MS } = bench.edge.config;
  const run = await bench.run();
  const { nodeId } = run.runtime;
  await run.agent.heartbeat();
  later(bench, HEARTBEAT_STALE_MS - 10_000);
  await sweep(bench.edge);
  assertEquals((await bench.node(nodeId)).health, "ok");
  later(bench, 11_000);
  await sweep(bench.edge);
  assertEquals((await bench.node(nodeId)).health, "unreachable");
  assertEquals(await bench.states(run), ["in_progress", "running", "active 1", "active"]);
  const other = await bench.run({}, run.projectId);
  assert(other.runtime.nodeId !== nodeId, "no new work comes to it");
  later(bench, NODE_LOST_AFTER_MS - HEARTBEAT_STALE_MS);
  await other.agent.heartbeat();
  await sweep(bench.edge);
  assertEquals((await bench.states(run)).slice(0, 3), ["failed", "stopped", "destroying 0"]);
  assertEquals((await bench.task(other)).status, "in_progress");
});

Deno.test("after the edge itself was away no node is lost at first sight", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await run.agent.heartbeat();
  later(bench, 2 * 3_600_000);
  await sweep(bench.edge);
  await sweep(bench.edge);
  assertEquals((await bench.task(run)).status, "in_progress");
  await run.agent.heartbeat({
    workspaces: [{ id: run.runtime.workspaceId, status: "running", turn: "running", pendingRows: 0 }],
  });
  later(bench, bench.edge.config.HEARTBEAT_STALE_MS - 1_000);
  await sweep(bench.edge);
  assertEquals([(await bench.task(run)).status, (await bench.node(run.runtime.nodeId)).health], ["in_progress", "ok"]);
});

Deno.test("a machine that never came up, a deletion that was lost, and a node that idles unseen all go on", async () => {
  await using bench = await startBench({ still: true });
  const { config } = bench.edge;
  bench.boots = false;
  const task = await bench.submit();
  await bench.settle();
  await loseDues(bench);
  later(bench, config.NODE_AGENT_READY_TIMEOUT_MS + 90_001);
  await sweep(bench.edge);
  const { nodeId, status, errorMessage } = await bench.task(task);
  assertEquals([status, errorMessage], ["failed", "The new machine's agent did not report within 15 minutes."]);
  await loseDues(bench);
  later(bench, 90_001);
  assertEquals((await sweep(bench.edge)).nodes, 1);
  assertEquals([(await bench.node(nodeId!)).status, bench.test.provider.servers.size], ["destroyed", 0]);

  bench.boots = true;
  const run = await bench.run({}, task.projectId);
  await bench.complete(run);
  await markActive(bench.edge, run.runtime.nodeId);
  later(bench, 90_001);
  assertEquals((await sweep(bench.edge)).nodes, 1);
  assertEquals((await bench.node(run.runtime.nodeId)).status, "warm");
});

Deno.test("a claim that nothing holds any more ends, one that is held stays", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  const node = await bench.node(nodeId);
  const leaked = [
    claimRecord("gone", { projectId: run.projectId, taskId: crypto.randomUUID() }),
    claimRecord("other run", { projectId: run.projectId, taskId: run.taskId }),
    claimRecord("no workspace", { workspaceId: crypto.randomUUID() }),
  ];
  await bench.edge.store.kv.set(nodeKey(nodeId), { ...node, claims: [...node.claims, ...leaked] });
  later(bench, 91_000);
  assertEquals((await sweep(bench.edge)).nodes, 1);
  assertEquals((await bench.node(nodeId)).claims, node.claims);
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("a run whose workspace is gone ends", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { workspaceId } = run.runtime;
  await bench.edge.store.kv.set(workspaceKey(workspaceId), {
    ...await bench.workspace(workspaceId),
    status: "stopped",
  });
  assertEquals((await sweep(bench.edge)).tasks, 1);
  assertEquals([(await bench.task(run)).status, (await bench.session(run)).status], ["failed", "error"]);
});

Deno.test("two sweeps at once do nothing twice", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.complete(run);
  await loseDues(bench);
  later(bench, bench.edge.config.NODE_CLEANUP_GRACE_PERIOD_MS + 1);
  await Promise.all([sweep(bench.edge), sweep(bench.edge)]);
  await bench.settle();
  assertEquals(bench.test.provider.destroyed, [run.runtime.nodeId]);
  assertEquals((await bench.node(run.runtime.nodeId)).generation, 2);
});

Deno.test("a claim that was handed over while the sweep looked stays with its workspace", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  await advanceTask(bench.edge, task);
  const { nodeId } = await bench.task(task);
  await bench.agentOf(nodeId!);
  later(bench, 100_000);
  const store = overtakeRead(bench.edge.store, (key) => key[0] === "node", async () => {
    await advanceTask(bench.edge, task);
    await reportWorkspace(bench.edge, await bench.workspace((await bench.task(task)).workspaceId!), {
      status: "ready",
    });
    await cancelTask(bench.edge, await bench.task(task), null);
  });
  await sweepNodes({ ...bench.edge, store });
  const { workspaceId } = await bench.task(task);
  assertEquals((await bench.workspace(workspaceId!)).status, "ready");
  assertEquals((await bench.node(nodeId!)).claims.map((claim) => claim.workspaceId), [workspaceId]);
});

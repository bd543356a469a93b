/** Warm machines that stayed, machines that lived too long, and the sweep that removes them. */
import { assert, assertEquals } from "@std/assert";
import { cleanUp } from "../../../lib/scheduler/sweep.ts";
import { decideLifetime } from "../../../lib/scheduler/sweeps/lifetimes.ts";
import { change } from "../../../lib/store/change.ts";
import { dueKey, nodeKey } from "../../../lib/store/keys.ts";
import { type NodeRecord, putNode } from "../../../lib/store/nodes.ts";
import { ProviderError } from "../../fakes/provider.ts";
import { claimRecord, nodeRecord, warmRecord } from "../nodes/node_records.ts";
import { type Bench, startBench } from "../tasks/fixture.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Silence is another sweep's business. */
const env = { NODE_LOST_AFTER_MS: String(100 * HOUR), HEARTBEAT_STALE_MS: String(99 * HOUR) };

/** Takes a run to its end on a machine of its own, which is warm then. Returns the machine. */
async function warmNode(bench: Bench): Promise<string> {
  const run = await bench.run();
  await bench.complete(run);
  await bench.settle();
  assertEquals((await bench.node(run.runtime.nodeId)).status, "warm");
  return run.runtime.nodeId;
}

/** Loses the due key of a warm machine's expiry: as if its alarm never came. */
async function loseAlarm(bench: Bench, nodeId: string): Promise<void> {
  const { dues } = await bench.node(nodeId);
  await bench.edge.store.kv.delete(dueKey(dues["node.warmExpiry"]!.at, "node.warmExpiry", nodeId));
}

async function sweepOnce(bench: Bench): Promise<void> {
  await cleanUp(bench.edge);
  await bench.settle();
}

Deno.test("T046-1 a stale warm machine past its grace and without workspaces is destroyed", async () => {
  await using bench = await startBench({ env });
  const nodeId = await warmNode(bench);
  await loseAlarm(bench, nodeId);
  await bench.pass(46 * MINUTE);
  assertEquals((await bench.node(nodeId)).status, "warm", "its alarm was lost");
  await sweepOnce(bench);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
  assertEquals(bench.test.provider.destroyed, [nodeId]);
});

Deno.test("T046-2 a warm machine within its grace is preserved", async () => {
  await using bench = await startBench({ env });
  const nodeId = await warmNode(bench);
  await loseAlarm(bench, nodeId);
  await bench.pass(44 * MINUTE);
  await sweepOnce(bench);
  assertEquals((await bench.node(nodeId)).status, "warm");
  assertEquals(bench.test.provider.destroyed, []);
});

Deno.test("T046-3 a machine with a live workspace is not destroyed, whatever its record says of being warm", async () => {
  await using bench = await startBench({ env });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  await bench.pass(50 * MINUTE);
  await change(bench.edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    putNode(tx, entry, { ...entry.value!, status: "warm", warmSince: 1, warmUntil: 2 });
  });
  await sweepOnce(bench);
  assertEquals((await bench.node(nodeId)).claims.length, 1);
  assertEquals(bench.test.provider.destroyed, []);
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("T046-4 a machine over its automatic lifetime gets no new work and goes when it is empty", async () => {
  await using bench = await startBench({ env: { ...env, TASK_MAX_RUN_MS: String(20 * HOUR) } });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  await bench.pass(4 * HOUR + MINUTE);
  await sweepOnce(bench);
  assertEquals([(await bench.node(nodeId)).status, (await bench.node(nodeId)).draining], ["active", true]);
  const other = await bench.run({}, run.projectId);
  assert(other.runtime.nodeId !== nodeId, "new work goes to another machine");
  assertEquals((await bench.task(run)).status, "in_progress", "what runs on it goes on");
  await bench.complete(run);
  await bench.settle();
  assertEquals((await bench.task(run)).status, "completed");
  assertEquals((await bench.node(nodeId)).status, "destroyed");
});

Deno.test("T046-4 at the hard lifetime a machine goes regardless, its tasks failing first", async () => {
  await using bench = await startBench({ env: { ...env, TASK_MAX_RUN_MS: String(99 * HOUR) } });
  const run = await bench.run();
  await bench.pass(24 * HOUR + MINUTE);
  await sweepOnce(bench);
  const task = await bench.task(run);
  assertEquals([task.status, task.errorMessage], ["failed", "The machine reached the longest time that it may live."]);
  const node = await bench.node(run.runtime.nodeId);
  assertEquals([node.status, node.claims.length], ["destroyed", 0]);
  assertEquals(bench.test.provider.destroyed, [run.runtime.nodeId]);
});

Deno.test("T046-5 the sweep run twice, also at once, destroys once", async () => {
  await using bench = await startBench({ env });
  const nodeId = await warmNode(bench);
  await loseAlarm(bench, nodeId);
  await bench.pass(46 * MINUTE);
  await Promise.all([cleanUp(bench.edge), cleanUp(bench.edge)]);
  await bench.settle();
  await sweepOnce(bench);
  assertEquals(bench.test.provider.destroyed, [nodeId]);
});

Deno.test("T046-6 without machines the sweep does nothing", async () => {
  await using bench = await startBench({ env });
  assertEquals(await cleanUp(bench.edge), { lifetimes: 0, reconcile: 0 });
  assertEquals(bench.test.provider.destroyed, []);
});

Deno.test("T046-7 a deletion that fails is logged, and the next machine is destroyed all the same", async () => {
  await using bench = await startBench({ env });
  const first = await bench.run();
  const second = await bench.run({ vmSize: "large" });
  for (const run of [first, second]) await bench.complete(run);
  await bench.settle();
  const nodeIds = [first.runtime.nodeId, second.runtime.nodeId];
  assertEquals(new Set(nodeIds).size, 2);
  for (const nodeId of nodeIds) await loseAlarm(bench, nodeId);
  await bench.pass(46 * MINUTE);
  bench.test.provider.failures.destroy.push(new ProviderError("the provider is down"));
  await sweepOnce(bench);
  const states = await Promise.all(nodeIds.map(async (id) => (await bench.node(id)).status));
  assertEquals(states.toSorted(), ["destroyed", "destroying"]);
  assert(bench.test.log.some((line) => line.event === "node_delete_failed" && line.reason === "the provider is down"));
  await bench.pass(2 * MINUTE);
  assertEquals(bench.test.provider.destroyed.toSorted(), nodeIds.toSorted(), "and is tried again");
});

Deno.test("T048-3 the sweep catches a stale machine that its alarm missed, and only then it is recorded as destroyed", async () => {
  await using bench = await startBench({ env });
  const nodeId = await warmNode(bench);
  const again = await bench.run();
  assertEquals(again.runtime.nodeId, nodeId, "the warm machine is reused");
  await bench.complete(again);
  await bench.settle();
  await loseAlarm(bench, nodeId);
  await bench.pass(3 * HOUR);
  assertEquals((await bench.node(nodeId)).status, "warm");
  bench.test.provider.failures.destroy.push(new ProviderError("not now"));
  await sweepOnce(bench);
  assertEquals((await bench.node(nodeId)).status, "destroying", "the provider has not confirmed it");
  await bench.pass(2 * MINUTE);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
  assertEquals(bench.test.provider.servers.size, 0);
});

Deno.test("what becomes of a machine by its age alone", () => {
  const config = {
    MAX_AUTO_NODE_LIFETIME_MS: 4 * HOUR,
    NODE_HARD_LIFETIME_MS: 24 * HOUR,
    NODE_CLEANUP_GRACE_PERIOD_MS: 45 * MINUTE,
  };
  const decide = (node: NodeRecord, now: number) => decideLifetime(node, now, config);
  assertEquals(decide(nodeRecord(), 3 * HOUR), "keep");
  assertEquals(decide(nodeRecord(), 4 * HOUR + 1), "drain");
  assertEquals(decide(nodeRecord({ draining: true }), 5 * HOUR), "keep", "it is told once");
  assertEquals(decide(nodeRecord({ draining: true, claims: [claimRecord("a")] }), 24 * HOUR + 1), "destroy");
  assertEquals(decide(nodeRecord({ autoProvisioned: false }), 99 * HOUR), "keep", "a person's own is never ended");
  assertEquals(decide(nodeRecord({ status: "destroying" }), 99 * HOUR), "keep");
  const warm = warmRecord(HOUR, { warmUntil: 2 * HOUR });
  assertEquals(decide(warm, 2 * HOUR), "keep");
  assertEquals(decide(warm, 2 * HOUR + 1), "expire", "a long expiry is longer than the grace");
  assertEquals(decide({ ...warm, warmUntil: HOUR + 1 }, HOUR + 44 * MINUTE), "keep");
  assertEquals(decide({ ...warm, claims: [claimRecord("a")] }, 3 * HOUR), "keep");
});

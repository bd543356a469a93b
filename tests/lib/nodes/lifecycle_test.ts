/** The warm pool's verbs on one node, with the real store: T038. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "../../../lib/errors.ts";
import { expireWarm, getStatus, markActive, markIdle, tryClaim } from "../../../lib/nodes/lifecycle.ts";
import { putDestroying } from "../../../lib/nodes/state.ts";
import { change } from "../../../lib/store/change.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import { listFleet, type NodeRecord } from "../../../lib/store/nodes.ts";
import { ProviderError } from "../../fakes/provider.ts";
import { type Bench, startBench } from "../tasks/fixture.ts";

const CLAIM = { taskId: "task-a", projectId: "project", token: "token-a" };

/** A bench with one node that was used once and is warm now. */
async function startWarm(env: Record<string, string> = {}): Promise<{ bench: Bench; nodeId: string }> {
  const bench = await startBench({ still: true, env });
  const run = await bench.run();
  await bench.complete(run);
  return { bench, nodeId: run.runtime.nodeId };
}

/** When things are due for the node, by kind. */
async function duesOf(bench: Bench, nodeId: string): Promise<Record<string, number>> {
  const entries = await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["due"] }));
  return Object.fromEntries(entries.filter(({ key }) => key[3] === nodeId).map(({ key }) => [key[2], key[1]]));
}

async function destroying(bench: Bench, nodeId: string): Promise<void> {
  await change(bench.edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
    putDestroying(tx, entry as Deno.KvEntry<NodeRecord>, entry.value!, null);
  }, bench.edge.clock);
}

Deno.test("T038-1 marked idle a node is warm, known to its owner, and due at now plus the timeout", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await markActive(bench.edge, nodeId);
  const before = bench.edge.clock();
  const node = await markIdle(bench.edge, nodeId);
  assertEquals([node.status, node.id, node.ownerId], ["warm", nodeId, bench.test.admin.user.id]);
  const elapsed = node.warmSince! - before;
  assert(elapsed >= 0 && elapsed < 10_000);
  assertEquals(node.warmUntil! - node.warmSince!, bench.edge.config.NODE_WARM_TIMEOUT_MS);
  assertEquals(await duesOf(bench, nodeId), { "node.warmExpiry": node.warmUntil! });
});

Deno.test("T038-2 marked idle again the expiry moves, and the old one is gone", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const first = await bench.node(nodeId);
  bench.test.skewMs += 60_000;
  const second = await markIdle(bench.edge, nodeId);
  assert(second.warmUntil! - first.warmUntil! >= 60_000);
  assertEquals(await duesOf(bench, nodeId), { "node.warmExpiry": second.warmUntil! });
});

Deno.test("T038-3 a node on its way out cannot be marked idle", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await destroying(bench, nodeId);
  const error = await assertRejects(() => markIdle(bench.edge, nodeId), AppError) as AppError;
  assertEquals([error.code, error.status], ["node_lifecycle_conflict", 409]);
  assertEquals((await bench.node(nodeId)).status, "destroying");
});

Deno.test("T038-4 marked active it is claimed by nobody, and nothing is due", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const node = await markActive(bench.edge, nodeId);
  assertEquals([node.status, node.claimedByTask], ["active", null]);
  assertEquals(await duesOf(bench, nodeId), {});
  await destroying(bench, nodeId);
  await assertRejects(() => markActive(bench.edge, nodeId), AppError);
});

Deno.test("T038-5 marked active it is not warm since any time, in its record and for its owner", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await markActive(bench.edge, nodeId);
  const { body } = await bench.test.admin.call(`GET /api/nodes/${nodeId}`);
  assertEquals([body.warmSince, body.warmUntil, (await bench.node(nodeId)).warmSince], [null, null, null]);
});

Deno.test("T038-6 a claim on a warm node makes it the task's, active, and nothing is due", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  assertEquals(await tryClaim(bench.edge, nodeId, CLAIM), true);
  const node = await bench.node(nodeId);
  assertEquals([node.status, node.claimedByTask, node.claims.map(({ token }) => token)], ["active", "task-a", [
    "token-a",
  ]]);
  assertEquals(await duesOf(bench, nodeId), {});
});

Deno.test("T038-7 a claim on an active node is refused without any effect", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await markActive(bench.edge, nodeId);
  const entry = await bench.edge.store.kv.get(nodeKey(nodeId));
  assertEquals(await tryClaim(bench.edge, nodeId, CLAIM), false);
  assertEquals(await bench.edge.store.kv.get(nodeKey(nodeId)), entry);
});

Deno.test("T038-8 a claim on a node on its way out is refused", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await destroying(bench, nodeId);
  assertEquals(await tryClaim(bench.edge, nodeId, CLAIM), false);
  assertEquals((await bench.node(nodeId)).claims, []);
});

Deno.test("T038-9 of two claims the first succeeds, the second fails; asked again the first still has it", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const other = { ...CLAIM, taskId: "task-b", token: "token-b" };
  assertEquals(await tryClaim(bench.edge, nodeId, CLAIM), true);
  assertEquals(await tryClaim(bench.edge, nodeId, other), false);
  assertEquals(await tryClaim(bench.edge, nodeId, CLAIM), true);
  assertEquals((await bench.node(nodeId)).claims.length, 1);
});

Deno.test("T038-10 at its expiry a warm node goes: its machine is deleted, its place is free", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const { generation } = await bench.node(nodeId);
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS - 20_000);
  assertEquals((await bench.node(nodeId)).status, "warm");
  await bench.pass(20_001);
  const node = await bench.node(nodeId);
  assertEquals([node.status, node.generation], ["destroyed", generation + 1]);
  assertEquals(bench.test.provider.destroyed, [nodeId]);
  assertEquals(await listFleet(bench.edge.store, node.ownerId), []);
  assertEquals(await duesOf(bench, nodeId), {});
});

Deno.test("T038-11 an expiry that comes after a claim or a later expiry does nothing", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const { warmUntil } = await bench.node(nodeId);
  bench.test.skewMs += 1_000;
  await markIdle(bench.edge, nodeId);
  bench.test.skewMs += warmUntil! - bench.edge.clock() + 1;
  assertEquals([await expireWarm(bench.edge, nodeId), (await bench.node(nodeId)).status], [false, "warm"]);
  await tryClaim(bench.edge, nodeId, CLAIM);
  bench.test.skewMs += 10_000;
  const claimed = await bench.node(nodeId);
  assertEquals(await expireWarm(bench.edge, nodeId), false);
  // An old key of the expiry that is still there finds nothing to do.
  await bench.edge.store.kv.set(["due", bench.edge.clock(), "node.warmExpiry", nodeId], { token: "old" });
  await bench.settle();
  assertEquals(await bench.node(nodeId), claimed);
});

Deno.test("T038-12 when the machine cannot be deleted it is tried again after a minute, then less and less often", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const { failures } = bench.test.provider;
  failures.destroy.push(...Array.from({ length: 7 }, () => new ProviderError("not now")));
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS + 1);
  const waits: number[] = [];
  while (failures.destroy.length > 0) {
    assertEquals((await bench.node(nodeId)).status, "destroying");
    const waitMs = (await duesOf(bench, nodeId))["node.delete"]! - bench.edge.clock();
    waits.push(Math.round(waitMs / 60_000));
    await bench.pass(waitMs - 10_000);
    assertEquals(failures.destroy.length, 7 - waits.length, "not before its time");
    await bench.pass(10_001);
  }
  assertEquals(waits, [1, 2, 5, 10, 20, 30]);
  const levels = bench.test.log.filter((line) => line.event === "node_delete_failed").map((line) => line.level);
  assertEquals(levels, ["warn", "warn", "warn", "warn", "warn", "warn", "critical"]);
  await bench.pass(30 * 60_000 + 1);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
});

Deno.test("T038-13 what the pool knows of a node in each of its states", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const status = async () => {
    const { id, status, warmSince, claimedByTask } = await getStatus(bench.edge, nodeId);
    return [id, status, warmSince !== null, claimedByTask];
  };
  assertEquals(await status(), [nodeId, "warm", true, null]);
  await tryClaim(bench.edge, nodeId, CLAIM);
  assertEquals(await status(), [nodeId, "active", false, "task-a"]);
  await markActive(bench.edge, nodeId);
  assertEquals(await status(), [nodeId, "active", false, null]);
  await destroying(bench, nodeId);
  assertEquals(await status(), [nodeId, "destroying", false, null]);
  const error = await assertRejects(() => getStatus(bench.edge, crypto.randomUUID()), AppError) as AppError;
  assertEquals(error.status, 404);
});

Deno.test("T038-14 since when a node is warm is set with idle, and cleared with active and with a claim", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const since = async () => (await bench.test.admin.call(`GET /api/nodes/${nodeId}`)).body.warmSince;
  assertEquals(await since(), new Date((await bench.node(nodeId)).warmSince!).toISOString());
  await markActive(bench.edge, nodeId);
  assertEquals(await since(), null);
  await markIdle(bench.edge, nodeId);
  assertEquals(typeof await since(), "string");
  await tryClaim(bench.edge, nodeId, CLAIM);
  assertEquals(await since(), null);
});

Deno.test("a node with a claim cannot be marked idle, and one that drains goes instead", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  await tryClaim(bench.edge, nodeId, CLAIM);
  await assertRejects(() => markIdle(bench.edge, nodeId), AppError);
  await bench.edge.store.kv.set(nodeKey(nodeId), { ...await bench.node(nodeId), claims: [], draining: true });
  assertEquals((await markIdle(bench.edge, nodeId)).status, "destroying");
});

Deno.test("a machine whose agent still holds messages is spared until they are delivered", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const agent = bench.agents.get(nodeId)!;
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS - 5_000);
  await agent.heartbeat({ outboxDepth: 3 });
  await bench.pass(5_001);
  assertEquals((await bench.node(nodeId)).status, "destroying");
  assertEquals((await agent.heartbeat({ outboxDepth: 3 })).body.fenced, true);
  await bench.pass(15_001);
  assertEquals((await bench.node(nodeId)).status, "destroying");
  await agent.heartbeat({ outboxDepth: 0 });
  await bench.pass(15_001);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
});

Deno.test("a machine is not spared for ever", async () => {
  const { bench, nodeId } = await startWarm();
  await using _ = bench;
  const agent = bench.agents.get(nodeId)!;
  await bench.pass(bench.edge.config.NODE_WARM_TIMEOUT_MS - 5_000);
  await agent.heartbeat({ outboxDepth: 3 });
  await bench.pass(5_001);
  for (let minutes = 0; minutes < 118; minutes += 2) {
    await bench.pass(120_000);
    await agent.heartbeat({ outboxDepth: 3 });
    assertEquals((await bench.node(nodeId)).status, "destroying", `after ${minutes} minutes`);
  }
  await bench.pass(240_000);
  assertEquals((await bench.node(nodeId)).status, "destroyed");
});

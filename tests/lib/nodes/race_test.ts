/** Many callers at one warm node: one winner, never two truths. */
import { assert, assertEquals } from "@std/assert";
import { expireWarm, tryClaim } from "../../../lib/nodes/lifecycle.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import { startBench } from "../tasks/fixture.ts";
import { warmRecord } from "./node_records.ts";

Deno.test("a thousand concurrent claims of one warm node: one winner", async () => {
  await using bench = await startBench({ still: true });
  const node = warmRecord(bench.edge.clock(), { id: crypto.randomUUID() });
  await bench.edge.store.kv.set(nodeKey(node.id), node);
  const claims = Array.from({ length: 1_000 }, (_, i) => ({
    taskId: `task-${i}`,
    projectId: "project",
    token: `token-${i}`,
  }));
  const won = await Promise.all(claims.map((claim) => tryClaim(bench.edge, node.id, claim)));
  const winners = claims.filter((_, i) => won[i]);
  assertEquals(winners.length, 1);
  const after = await bench.node(node.id);
  assertEquals(after.claims.map(({ taskId, token }) => [taskId, token]), [[winners[0]!.taskId, winners[0]!.token]]);
  assertEquals([after.status, after.claimedByTask], ["active", winners[0]!.taskId]);
});

Deno.test("a claim and the expiry at once, two hundred times: one of them, never both", async () => {
  await using bench = await startBench({ still: true });
  const seen = new Set<string>();
  for (let round = 0; round < 200; round++) {
    const node: NodeRecord = warmRecord(1, { id: crypto.randomUUID(), warmUntil: 2 });
    await bench.edge.store.kv.set(nodeKey(node.id), node);
    const claim = () => tryClaim(bench.edge, node.id, { taskId: "t", projectId: "p", token: "x" });
    const expire = () => expireWarm(bench.edge, node.id);
    const [claimed, expired] = round % 2
      ? await Promise.all([claim(), expire()])
      : (await Promise.all([expire(), claim()])).reverse();
    assert(claimed !== expired, `round ${round}: claimed ${claimed}, expired ${expired}`);
    const after = await bench.node(node.id);
    assertEquals([after.status, after.claims.length], claimed ? ["active", 1] : ["destroying", 0]);
    seen.add(after.status);
  }
  // A race in which the same one always wins proves nothing.
  assertEquals(seen.size, 2);
});

Deno.test("many tasks at once share the nodes that there are, and none is claimed beyond its room", async () => {
  await using bench = await startBench({ env: { MAX_NODES_PER_USER: "2", MAX_WORKSPACES_PER_NODE: "2" } });
  const project = await bench.test.addProject();
  const tasks = await Promise.all(Array.from({ length: 8 }, () => bench.submit({}, project.id)));
  const done = new Set<string>();
  while (done.size < tasks.length) {
    await bench.settle();
    for (const task of tasks) {
      const { status } = await bench.task(task);
      if (done.has(task.taskId) || status !== "delegated") continue;
      await bench.complete(await bench.begin(task));
      done.add(task.taskId);
      for (const node of (await bench.test.admin.call("GET /api/nodes")).body.items) assert(node.claims.length <= 2);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(bench.specs.length, 2);
  const nodes = (await bench.test.admin.call("GET /api/nodes")).body.items;
  assertEquals(nodes.map((node: { status: string }) => node.status), ["warm", "warm"]);
});

/** Heartbeats: what is wanted on a node, what it has lost, and what one that is fenced is told. */
import { assertEquals, assertExists, assertMatch } from "@std/assert";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { startBench } from "./fixture.ts";

function present(...ids: string[]) {
  return { workspaces: ids.map((id) => ({ id, status: "running", turn: "running", pendingRows: 0 })) };
}

Deno.test("a heartbeat is answered with what is wanted, tokens for it, and the number of the last command", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const id = run.runtime.workspaceId;
  const { body } = await run.agent.heartbeat(present(id));
  assertEquals([body.wanted, body.commandSeq, body.fenced], [[id], 1, undefined]);
  assertExists(body.callbackToken);
  assertEquals(Object.keys(body.workspaceTokens!), [id]);
  await bench.complete(run);
  const after = (await run.agent.heartbeat(present())).body;
  assertEquals([after.wanted, after.commandSeq, after.workspaceTokens], [[], 2, {}]);
});

Deno.test("a kept workspace is wanted until it has gone", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const id = run.runtime.workspaceId;
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  assertEquals((await run.agent.heartbeat(present(id))).body.wanted, [id]);
  await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
  await run.agent.report(id, { status: "stopped" });
  assertEquals((await run.agent.heartbeat(present(id))).body.wanted, []);
});

Deno.test("a workspace missing in two heartbeats fails its run; once, or while it is young, it does not", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const id = run.runtime.workspaceId;
  for (let i = 0; i < 3; i++) await run.agent.heartbeat(present());
  assertEquals((await bench.task(run)).status, "in_progress");
  bench.test.skewMs += 61_000;
  await run.agent.heartbeat(present());
  await run.agent.heartbeat(present(id));
  await run.agent.heartbeat(present());
  assertEquals((await bench.task(run)).status, "in_progress");
  await run.agent.heartbeat(present());
  assertEquals(await bench.states(run), ["failed", "stopped", "warm 0", "error"]);
  assertMatch((await bench.task(run)).errorMessage!, /workspace was lost on the node/);
});

Deno.test("a missing workspace that is kept or on its way out is gone, and its run stays as it ended", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  bench.test.skewMs += 61_000;
  await run.agent.heartbeat(present());
  await run.agent.heartbeat(present());
  assertEquals(await bench.states(run), ["cancelled", "stopped", "warm 0", "stopped"]);
});

Deno.test("a fenced agent is wanted nothing, may still hand over what it has, and does not make its node well", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { nodeId, workspaceId } = run.runtime;
  // A machine of the user's own: it stays when it is lost.
  await bench.edge.store.kv.set(["node", nodeId], { ...await bench.node(nodeId), autoProvisioned: false });
  bench.test.skewMs += bench.edge.config.HEARTBEAT_STALE_MS + 1;
  await sweep(bench.edge);
  assertEquals((await bench.node(nodeId)).health, "unreachable");
  bench.test.skewMs += bench.edge.config.NODE_LOST_AFTER_MS;
  await sweep(bench.edge);
  assertEquals(await bench.states(run), ["failed", "stopped", "active 0", "error"]);

  const beat = await run.agent.heartbeat(present(workspaceId));
  assertEquals([beat.status, beat.body.wanted, beat.body.fenced], [200, [], true]);
  assertEquals([(await bench.node(nodeId)).health, (await bench.node(nodeId)).generation], ["unreachable", 2]);
  const message = { messageId: crypto.randomUUID(), sessionId: run.sessionId, role: "assistant", content: "late" };
  const sent = await run.agent.messages(workspaceId, [{ ...message, timestamp: new Date().toISOString() }]);
  assertEquals([sent.status, sent.body.persisted], [200, 1]);
  const calls = [
    ["POST", "status", { status: "ready" }],
    ["POST", "turns", { promptId: run.runtime.prompt!.messageId, event: "accepted" }],
    ["GET", "runtime", undefined],
  ] as const;
  for (const [method, name, body] of calls) {
    const answer = await run.agent.asWorkspace(workspaceId, `${method} /api/workspaces/${workspaceId}/${name}`, body);
    assertEquals([answer.status, answer.body.error], [410, "node_fenced"], name);
  }
  // No new work comes to it.
  const next = await bench.submit({}, run.projectId);
  await bench.settle();
  assertEquals((await bench.task(next)).nodeId === nodeId, false);
});

Deno.test("a node heard of again is well again", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  bench.test.skewMs += bench.edge.config.HEARTBEAT_STALE_MS + 1;
  await sweep(bench.edge);
  assertEquals((await bench.node(run.runtime.nodeId)).health, "unreachable");
  await run.agent.heartbeat(present(run.runtime.workspaceId));
  assertEquals((await bench.node(run.runtime.nodeId)).health, "ok");
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("a silent node that goes and is heard of again under new tokens keeps one plan for its deletion", async () => {
  await using bench = await startBench({ still: true });
  const { agent, runtime: { nodeId } } = await bench.run();
  await bench.test.admin.call(`DELETE /api/nodes/${nodeId}?force=true`);
  await bench.edge.store.kv.set(["node", nodeId], { ...await bench.node(nodeId), health: "unreachable" });
  const { nodeSecret } = agent.registered!;
  const renewed = await agent.asNode(`POST /api/nodes/${nodeId}/token`, { nodeSecret, workspaceIds: [] });
  agent.registered = { ...agent.registered!, callbackToken: renewed.body.callbackToken };
  bench.test.skewMs += 1_000;
  assertEquals((await agent.heartbeat()).status, 200);
  const keys = await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["due"] }));
  const plans = keys.filter(({ key }) => key[2] === "node.delete").map(({ key }) => key[1]);
  assertEquals(plans, [(await bench.node(nodeId)).dues["node.delete"]!.at]);
});

/** What the agent reports of a workspace, and when it comes late, twice, or from a run that is over. */
import { assertEquals, assertMatch } from "@std/assert";
import { ProviderError } from "../../fakes/provider.ts";
import { startBench } from "./fixture.ts";

Deno.test("a workspace goes forward only, and a repeated report changes nothing", async () => {
  await using bench = await startBench();
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  const { prompt } = await agent.runtime(workspaceId);
  const ready = { status: "ready", executionStep: "starting_agent", branch: "task/x-2" };
  await agent.report(workspaceId, ready);
  const [record, workspace] = [await bench.task(task), await bench.workspace(workspaceId)];
  assertEquals(
    [record.executionStep, record.outputBranch, workspace.status, workspace.branch],
    ["starting_agent", "task/x-2", "ready", "task/x-2"],
  );
  await agent.report(workspaceId, ready);
  assertEquals([await bench.task(task), await bench.workspace(workspaceId)], [record, workspace]);
  await agent.turn(workspaceId, { promptId: prompt!.messageId, event: "accepted" });
  for (
    const late of [ready, { status: "ready" }, { executionStep: "creating_workspace" }, { executionStep: "finalizing" }]
  ) {
    await agent.report(workspaceId, late);
  }
  assertEquals([(await bench.task(task)).executionStep, (await bench.workspace(workspaceId)).status], [
    "running",
    "running",
  ]);
});

Deno.test("each step of a run is stamped once, in their order", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.complete(run);
  const { timings } = (await bench.test.admin.call(`GET ${run.path}`)).body;
  const steps = [
    "selecting_node",
    "provisioning_node",
    "creating_workspace",
    "starting_agent",
    "running",
    "finalizing",
  ];
  assertEquals(Object.keys(timings).sort(), [...steps].sort());
  const times = steps.map((step) => timings[step]);
  assertEquals(times, [...times].sort());
});

Deno.test("a workspace that goes before its run has ended takes the run with it", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  assertEquals(await bench.states(run), ["failed", "stopped", "warm 0", "error"]);
  assertMatch((await bench.task(run)).errorMessage!, /ended before its run/);
});

Deno.test("a workspace that failed fails its run with the reason, and is kept", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await run.agent.report(run.runtime.workspaceId, { status: "error", reason: "No space on the disk." });
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  assertEquals((await bench.task(run)).errorMessage, "No space on the disk.");
});

Deno.test("a manual workspace that failed is kept for its time, then gone; its session ends with it", async () => {
  await using bench = await startBench({ still: true });
  const project = await bench.test.addProject();
  const { body } = await bench.test.admin.call("POST /api/workspaces", { projectId: project.id });
  const agent = await bench.agentOf(body.nodeId);
  await agent.begin();
  await agent.report(body.id, { status: "error", reason: "No such repository." });
  const failed = await bench.workspace(body.id);
  assertEquals([failed.status, failed.errorMessage, failed.keptUntil !== null], ["error", "No such repository.", true]);
  const path = `/api/projects/${project.id}/sessions/${failed.sessionId}` as const;
  assertEquals((await bench.test.admin.call(`GET ${path}`)).body.status, "error");
  await bench.pass(bench.edge.config.KEPT_WORKSPACE_TTL_MS + 1);
  await bench.pass(bench.edge.config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  assertEquals([(await bench.workspace(body.id)).status, (await bench.node(body.nodeId)).status], ["stopped", "warm"]);
});

Deno.test("a manual workspace that goes ends its session", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  const { body } = await bench.test.admin.call("POST /api/workspaces", { projectId: project.id });
  const agent = await bench.agentOf(body.nodeId);
  await agent.begin();
  await agent.report(body.id, { status: "stopped" });
  const { sessionId } = await bench.workspace(body.id);
  const session = await bench.test.admin.call(`GET /api/projects/${project.id}/sessions/${sessionId}`);
  assertEquals([session.body.status, session.body.endedAt !== null], ["error", true]);
});

Deno.test("a manual workspace whose machine cannot be made leaves nothing that costs", async () => {
  await using bench = await startBench({ still: true });
  bench.test.provider.failures.create.push(new ProviderError("no room"));
  const { id } = await bench.test.addProject();
  const answer = await bench.test.admin.call("POST /api/workspaces", { projectId: id });
  assertEquals([answer.status, answer.body.error], [409, "node_busy"]);
  await bench.settle();
  const nodes = (await bench.test.admin.call("GET /api/nodes")).body.items;
  assertEquals(nodes.map((node: { status: string; claims: unknown[] }) => [node.status, node.claims]), [[
    "destroyed",
    [],
  ]]);
});

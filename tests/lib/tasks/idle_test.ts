/** Workspaces opened by hand that nobody uses end; what is used, kept or a task's does not. */
import { assertEquals, assertMatch } from "@std/assert";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { readSession } from "../../../lib/store/sessions.ts";
import { type Bench, startBench } from "./fixture.ts";

const HOUR = 3_600_000;
const ENV = {
  WORKSPACE_IDLE_TIMEOUT_MS: String(HOUR),
  NODE_LOST_AFTER_MS: String(100 * HOUR),
  FINALIZE_TIMEOUT_MS: String(9 * HOUR),
};

async function open(bench: Bench) {
  const { id: projectId } = await bench.test.addProject();
  const { body } = await bench.test.admin.call("POST /api/workspaces", { projectId });
  await bench.settle();
  const workspace = await bench.workspace(body.id);
  const agent = await bench.agentOf(workspace.nodeId);
  await agent.command("workspace.start", workspace.id);
  await agent.report(workspace.id, { status: "ready", branch: "main" });
  const session = async () => (await readSession(bench.edge.store, projectId, workspace.sessionId!))!;
  const status = async () => [(await bench.workspace(workspace.id)).status, (await session()).status];
  const prompts = `POST /api/projects/${projectId}/sessions/${workspace.sessionId}/prompts` as const;
  const beat = () =>
    agent.heartbeat({ workspaces: [{ id: workspace.id, status: "ready", turn: "idle", pendingRows: 0 }] });
  return { workspace, agent, status, prompts, beat };
}

Deno.test("a workspace opened by hand that nobody uses ends with its session, and its node is free", async () => {
  await using bench = await startBench({ still: true, env: ENV });
  const { workspace, agent, status, beat } = await open(bench);
  bench.test.skewMs += HOUR - 60_000;
  await beat();
  assertEquals((await sweep(bench.edge)).workspaces, 0);
  bench.test.skewMs += 61_000;
  await beat();
  assertEquals((await sweep(bench.edge)).workspaces, 1);
  assertEquals(await status(), ["stopping", "stopped"]);
  assertMatch((await bench.workspace(workspace.id)).errorMessage!, /Nothing happened in it for 1 hour/);
  await agent.command("workspace.stop", workspace.id);
  await agent.report(workspace.id, { status: "stopped" });
  assertEquals([await status(), (await bench.node(workspace.nodeId)).status], [["stopped", "stopped"], "warm"]);
});

Deno.test("a workspace is in use while a prompt runs in it, and for the whole time after the last one", async () => {
  await using bench = await startBench({ still: true, env: ENV });
  const { workspace, agent, status, prompts, beat } = await open(bench);
  bench.test.skewMs += HOUR - 60_000;
  const messageId = crypto.randomUUID();
  assertEquals((await bench.test.admin.call(prompts, { messageId, text: "Look around" })).status, 202);
  for (const event of ["handed out", "accepted", "ended"] as const) {
    if (event !== "handed out") await agent.turn(workspace.id, { promptId: messageId, event });
    bench.test.skewMs += event === "ended" ? HOUR - 60_000 : 5 * HOUR;
    await beat();
    assertEquals((await sweep(bench.edge)).workspaces, 0, event);
  }
  bench.test.skewMs += 61_000;
  await beat();
  assertEquals((await sweep(bench.edge)).workspaces, 1);
  assertEquals(await status(), ["stopping", "stopped"]);
});

Deno.test("the workspace of a task ends with its run alone, however long nothing is heard of it", async () => {
  await using bench = await startBench({ still: true, env: ENV });
  const run = await bench.run();
  assertEquals(await bench.endTurn(run), { finalize: true });
  bench.test.skewMs += 2 * HOUR;
  await run.agent.heartbeat({
    workspaces: [{ id: run.runtime.workspaceId, status: "running", turn: "running", pendingRows: 0 }],
  });
  assertEquals((await sweep(bench.edge)).workspaces, 0);
  assertEquals(await bench.states(run), ["in_progress", "running", "active 1", "active"]);
});

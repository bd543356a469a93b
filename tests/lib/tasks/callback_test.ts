/** The agent's report on a task: who may make it, in which order it is checked, what it does. */
import { assertEquals } from "@std/assert";
import { readKeyring, signNodeToken, signWorkspaceToken } from "../../../lib/auth/tokens.ts";
import { newId } from "../../../lib/ids.ts";
import type { Bench, Run } from "./fixture.ts";
import { startBench } from "./fixture.ts";

const DONE = { toStatus: "completed" };

/** A callback for `taskId` with any token. */
async function callBack(bench: Bench, run: Run, how: { token?: string; taskId?: string; body?: unknown }) {
  const path = `/api/projects/${run.projectId}/tasks/${how.taskId ?? run.taskId}/status/callback`;
  const response = await fetch(bench.test.url + path, {
    method: "POST",
    headers: { ...(how.token && { authorization: `Bearer ${how.token}` }), "content-type": "application/json" },
    body: JSON.stringify(how.body ?? DONE),
  });
  return { status: response.status, body: await response.json() };
}

Deno.test("T035-1 a valid completion sets the clean-up going", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run);
  const token = await run.agent.workspaceToken(run.runtime.workspaceId);
  assertEquals(await callBack(bench, run, { token }), { status: 200, body: { status: "completed" } });
  assertEquals(await bench.states(run), ["completed", "stopping", "active 1", "stopped"]);
  assertEquals((await run.agent.command("workspace.stop")).workspaceId, run.runtime.workspaceId);
});

Deno.test("T035-2 a reported failure is recorded, and the workspace kept", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const body = { toStatus: "failed", errorMessage: "No such model." };
  assertEquals((await run.agent.callback(run.runtime, body)).body, { status: "failed" });
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  assertEquals((await bench.test.admin.call(`GET ${run.path}`)).body.errorMessage, "No such model.");
});

Deno.test("T035-3 without a valid token of a workspace nothing is taken", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const { keyring, clock } = bench.edge;
  const claims = { node: run.runtime.nodeId, generation: 1, workspace: run.runtime.workspaceId, run: 1 };
  const tokens = {
    none: undefined,
    garbage: "garbage",
    ofAUser: bench.test.admin.key,
    ofTheNode: await signNodeToken(keyring, { node: run.runtime.nodeId, generation: 1 }, clock()),
    expired: await signWorkspaceToken(keyring, claims, clock() - 25 * 3_600_000),
    ofAnotherEdge: await signWorkspaceToken(readKeyring("another edge's secret, long enough"), claims, clock()),
  };
  for (const [name, token] of Object.entries(tokens)) {
    const answer = await callBack(bench, run, { token });
    assertEquals([answer.status, answer.body.error], [401, "unauthorized"], name);
  }
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("T035-4 a workspace that does not exist is 404", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const claims = { node: run.runtime.nodeId, generation: 1, workspace: newId(), run: 1 };
  const token = await signWorkspaceToken(bench.edge.keyring, claims, bench.edge.clock());
  assertEquals((await callBack(bench, run, { token })).status, 404);
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("T035-5 the callback of a workspace without a task does nothing", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const opened = await bench.test.admin.call("POST /api/workspaces", { projectId: run.projectId });
  await bench.agentOf(opened.body.nodeId);
  const token = await run.agent.workspaceToken(opened.body.id);
  assertEquals(await callBack(bench, run, { token }), { status: 200, body: { noop: true } });
  assertEquals((await bench.task(run)).status, "in_progress");
  assertEquals((await bench.workspace(opened.body.id)).status, "creating");
});

Deno.test("only the task's current workspace reports on it, and only what the task can become", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const other = await bench.run({}, run.projectId);
  const foreign = await run.agent.callback({ ...run.runtime, taskId: other.taskId }, DONE);
  assertEquals([foreign.status, (await bench.task(other)).status], [403, "in_progress"]);

  await bench.test.admin.call(`POST ${run.path}/cancel`);
  const late = await run.agent.callback(run.runtime, DONE);
  assertEquals([late.status, late.body.error], [409, "invalid_transition"]);
  assertEquals((await run.agent.callback(run.runtime, { toStatus: "cancelled" })).body, { status: "cancelled" });

  const again = await bench.runAgain(run);
  const old = await run.agent.callback(run.runtime, DONE);
  assertEquals([old.status, (await bench.task(again)).status], [403, "in_progress"]);
});

Deno.test("in_progress is reported once, and a run that was not accepted cannot be completed", async () => {
  await using bench = await startBench();
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  const runtime = await agent.runtime(workspaceId);
  assertEquals((await agent.callback(runtime, DONE)).status, 409);
  assertEquals((await agent.callback(runtime, { toStatus: "in_progress" })).body, { status: "in_progress" });
  const before = await bench.task(task);
  assertEquals((await agent.callback(runtime, { toStatus: "in_progress" })).body, { status: "in_progress" });
  assertEquals(await bench.task(task), before);
  assertEquals([before.executionStep, before.startedAt !== null], ["running", true]);
});

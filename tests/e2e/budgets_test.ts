/** What a run may cost, take and repeat is enforced on the node and shown on its task; everything can be stopped. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import type { Task } from "../../lib/wire/task.ts";
import { Gate } from "../gate.ts";
import { openScene, runToEnd, type Scene, submit } from "./scene.ts";

/** What lies in the kept checkout of a run that ended. */
async function filesOf(scene: Scene, task: Task): Promise<string[]> {
  const { HEARTH_DATA_DIR } = scene.test.edge.config;
  const folder = join(HEARTH_DATA_DIR, "nodes", task.nodeId!, "agent/workspaces", task.workspaceId!, "checkout");
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.filter(({ isFile }) => isFile).map(({ name }) => name).sort();
}

Deno.test("a run over its cost is ended in the middle, and its task says why and what it cost", async () => {
  await using scene = await openScene({ project: { settings: { maxCostUsdPerRun: 1.5 } } });
  const within = await runToEnd(scene, "spend 1\nspend 0.25\nsay Within.");
  assertEquals([within.status, within.costUsd], ["completed", 1.25]);
  const over = await runToEnd(scene, "spend 1\nspend 0.75\nrun sleep 600\nsay Never.");
  assertEquals([over.status, over.errorMessage, over.costUsd], [
    "failed",
    "The run reached its limit of 1.5 USD.",
    1.75,
  ]);
});

Deno.test("what a run costs is on its task while it goes on", async () => {
  await using scene = await openScene();
  const { taskId, sessionId } = await submit(scene, "spend 0.42\nrun sleep 600");
  await scene.live.until(
    "the cost",
    (frame) => frame.type === "task.updated" && frame.task.id === taskId && frame.task.costUsd === 0.42,
  );
  await scene.test.admin.call(`POST /api/projects/${scene.projectId}/sessions/${sessionId}/stop`);
  assertEquals((await scene.live.task(taskId, "cancelled")).costUsd, 0.42);
});

Deno.test("the cost of all turns counts, so a prompt after the limit is not run", async () => {
  await using scene = await openScene({ project: { settings: { maxCostUsdPerRun: 1 } } });
  await using gate = await Gate.make();
  const { taskId, sessionId } = await submit(scene, `run ${gate.wait}\nspend 1`);
  await scene.live.task(taskId, "in_progress");
  const path = `/api/projects/${scene.projectId}/sessions/${sessionId}` as const;
  await scene.test.admin.call(`POST ${path}/prompts`, { messageId: crypto.randomUUID(), text: "write more.txt: more" });
  await gate.open();
  const task = await scene.live.task(taskId, "completed", "failed");
  assertEquals([task.status, task.errorMessage], ["failed", "The run reached its limit of 1 USD."]);
  assertEquals(await filesOf(scene, task), ["README.md"], "nothing was done for it");
});

Deno.test("a conversation that begins anew does not forget what the one before it cost", async () => {
  await using scene = await openScene({ project: { settings: { maxCostUsdPerRun: 1.5 } } });
  const { test, live, projectId } = scene;
  const { sessionId } = (await test.admin.call("POST /api/workspaces", { projectId })).body;
  const end = async (text: string) => {
    const messageId = crypto.randomUUID();
    const path = `/api/projects/${projectId}/sessions/${sessionId}/prompts` as const;
    assertEquals((await test.admin.call(`POST ${path}`, { messageId, text })).status, 202);
    const frame = await live.until(
      "the end of the prompt",
      (frame) =>
        frame.type === "prompt.updated" && frame.prompt.messageId === messageId &&
        ["done", "failed"].includes(frame.prompt.state),
    );
    return frame.type === "prompt.updated" ? frame.prompt.state : null;
  };
  // With its memory and its process gone, the demo cannot go on with the conversation.
  assertEquals(await end("spend 1"), "done");
  assertEquals(await end("run rm .git/hearth-demo/*\ncrash"), "failed");
  assertEquals(await end("spend 0.4"), "done");
  assertEquals(await end("spend 0.2\nrun sleep 600"), "failed", "1.6 is over the limit");
});

Deno.test("a run over its turns and one over its minutes fail with that reason", async () => {
  await using scene = await openScene({ project: { settings: { maxTurnsPerRun: 1 } } });
  await using gate = await Gate.make();
  const { taskId, sessionId } = await submit(scene, `run ${gate.wait}`);
  await scene.live.task(taskId, "in_progress");
  const path = `/api/projects/${scene.projectId}/sessions/${sessionId}/prompts` as const;
  await scene.test.admin.call(`POST ${path}`, { messageId: crypto.randomUUID(), text: "write two.txt: two" });
  await gate.open();
  const turns = await scene.live.task(taskId, "completed", "failed");
  assertEquals([turns.status, turns.errorMessage], ["failed", "The run reached its limit of 1 turn."]);
  assertEquals(await filesOf(scene, turns), ["README.md"]);

  await scene.test.admin.call(`PATCH /api/projects/${scene.projectId}`, { settings: { maxMinutesPerRun: 0.01 } });
  const minutes = await runToEnd(scene, "run sleep 600");
  assertEquals([minutes.status, minutes.errorMessage], ["failed", "The run reached its limit of 0.01 minutes."]);
});

Deno.test("a coding agent that goes round in circles is ended, and the task says what it did", async () => {
  await using scene = await openScene();
  const task = await runToEnd(scene, `${"run false\n".repeat(25)}run sleep 600`);
  assertEquals(task.status, "failed");
  assertStringIncludes(task.errorMessage!, "made no progress: it did the same 25 times with the same result (false)");
});

Deno.test("stop everything cancels one person's runs, closes what they opened, and lets their machines go", async () => {
  await using scene = await openScene();
  const { test, live, projectId } = scene;
  const running = await submit(scene, "write kept.txt: kept\nrun sleep 600");
  await live.task(running.taskId, "in_progress");
  const opened = await test.admin.call("POST /api/workspaces", { projectId });
  assertEquals(opened.status, 201, JSON.stringify(opened.body));
  const member = await test.addUser("member");
  assertEquals((await member.call("POST /api/me/stop")).body, { tasks: 0, workspaces: 0, nodes: 0 });
  assertEquals(
    (await test.admin.call(`GET /api/projects/${projectId}/tasks/${running.taskId}`)).body.status,
    "in_progress",
  );

  const { status, body } = await test.admin.call("POST /api/me/stop");
  assertEquals([status, body.tasks, body.workspaces], [200, 1, 1]);
  assert(body.nodes >= 1);
  const cancelled = await live.task(running.taskId, "cancelled");
  const { items } = (await test.admin.call("GET /api/nodes")).body;
  assert(items.every((node: { draining: boolean; status: string }) => node.draining || node.status === "destroying"));
  const events = await test.admin.call(`GET /api/projects/${projectId}/tasks/${running.taskId}/events`);
  assertEquals(events.body.items.at(-1).reason, "Everything was stopped.");
  const workspace = (await test.admin.call(`GET /api/workspaces/${cancelled.workspaceId}`)).body;
  assert(workspace.keptUntil !== null, "the work of a cancelled run can be looked at");
  assertEquals((await test.admin.call("POST /api/me/stop")).body, { tasks: 0, workspaces: 0, nodes: 0 });
});

/** A task's run from submit to its end, as a node sees it: T036 and the table of outcomes. */
import { assertEquals } from "@std/assert";
import { startTestEdge } from "../../edge.ts";
import { FakeAgent } from "../../fakes/agent.ts";

Deno.test("T036-1 a submitted task runs to its end: workspace gone, branch recorded, node warm", async () => {
  await using test = await startTestEdge();
  const booted = Promise.withResolvers<FakeAgent>();
  test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
  const project = await test.addProject();
  const submitted = await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "Do it" });
  assertEquals(submitted.status, 202);
  await using agent = await booted.promise;
  const runtime = await agent.begin();
  assertEquals(runtime.prompt?.text, "Do it");
  const task = `/api/projects/${project.id}/tasks/${submitted.body.taskId}` as const;
  assertEquals((await test.admin.call(`GET ${task}`)).body.status, "in_progress");
  const answer = await agent.turn(runtime.workspaceId, {
    promptId: runtime.prompt!.messageId,
    event: "ended",
    stopReason: "end_turn",
  });
  assertEquals(answer, { finalize: true });
  const done = await agent.callback(runtime, { toStatus: "completed", outputBranch: runtime.branch });
  assertEquals(done.status, 200);
  const stop = await agent.command("workspace.stop");
  assertEquals(stop.keep, false);
  await agent.report(runtime.workspaceId, { status: "stopped" });
  const final = (await test.admin.call(`GET ${task}`)).body;
  assertEquals([final.status, final.outputBranch], ["completed", `task/${submitted.body.taskId}`]);
  const events = (await test.admin.call(`GET ${task}/events`)).body.items;
  assertEquals(events.map((event: { to: string }) => event.to), [
    "draft",
    "ready",
    "queued",
    "delegated",
    "in_progress",
    "completed",
  ]);
  const [node] = (await test.admin.call("GET /api/nodes")).body.items;
  assertEquals([node.status, node.claims], ["warm", []]);
  const workspace = await test.admin.call(`GET /api/workspaces/${runtime.workspaceId}`);
  assertEquals(workspace.body.status, "stopped");
});

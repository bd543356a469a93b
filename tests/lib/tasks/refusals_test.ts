/** What is refused before anything is written, bought or run. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { startTestEdge } from "../../edge.ts";

Deno.test("a coding agent that nobody knows is refused wherever it is named, and no machine is made for it", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const draft = (await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "later" })).body;
  const calls = [
    ["POST /api/projects", { name: "x", repositoryUrl: "https://git.example.org/x.git", codingAgent: "nope" }],
    [`PATCH /api/projects/${id}`, { codingAgent: "nope" }],
    [`POST /api/projects/${id}/tasks`, { description: "x", agentHint: "nope" }],
    [`POST /api/projects/${id}/tasks/submit`, { description: "x", agentHint: "nope" }],
    [`PATCH /api/projects/${id}/tasks/${draft.id}`, { agentHint: "nope" }],
    ["POST /api/workspaces", { projectId: id, codingAgent: "nope" }],
  ] as const;
  for (const [call, body] of calls) {
    const answer = await test.admin.call(call, body);
    assertEquals([call, answer.status], [call, 400]);
    assertStringIncludes(answer.body.message, "demo, claude");
  }
  await test.loop.settled();
  assertEquals(test.provider.servers.size, 0);
});

Deno.test("with a second account nothing runs as the operator's user without the operator's word", async () => {
  await using test = await startTestEdge({ env: { LOCAL_PROVIDER_SHARED: "0" } });
  const { id } = await test.addProject();
  const draft = (await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "later" })).body;
  await test.addUser("bob");
  for (
    const call of [`POST /api/projects/${id}/tasks/submit`, `POST /api/projects/${id}/tasks/${draft.id}/run`] as const
  ) {
    const answer = await test.admin.call(call, call.endsWith("submit") ? { description: "x" } : {});
    assertEquals([answer.status, answer.body.error], [403, "forbidden"]);
    assertStringIncludes(answer.body.message, "LOCAL_PROVIDER_SHARED=1");
  }
  assertEquals((await test.admin.call("POST /api/workspaces", { projectId: id })).status, 403);
  assertEquals(test.provider.servers.size, 0);
});

Deno.test("text that no program can be given, and addresses that hold a query, are refused", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const submit = `POST /api/projects/${id}/tasks/submit` as const;
  for (const description of ["run echo \0hi", "half \ud800"]) {
    assertEquals((await test.admin.call(submit, { description })).status, 400);
    assertEquals((await test.admin.call(submit, { description: "fine", title: description })).status, 400);
  }
  const repositoryUrl = "https://git.example.org/x.git?token=abc";
  assertEquals((await test.admin.call("POST /api/projects", { name: "x", repositoryUrl })).status, 400);
});

Deno.test("a key that is taken away while its run waits fails the run in plain words, and no machine is made", async () => {
  await using test = await startTestEdge({ still: true });
  const { id } = await test.addProject({ codingAgent: "claude" });
  await test.admin.call("PUT /api/credentials/anthropic", { secret: "sk-ant-0123456789" });
  const submitted = await test.admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "Do it" });
  assertEquals(submitted.status, 202);
  await test.admin.call("DELETE /api/credentials/anthropic");
  test.loop.ring();
  await test.loop.settled();
  const task = (await test.admin.call(`GET /api/projects/${id}/tasks/${submitted.body.taskId}`)).body;
  assertEquals([task.status, task.errorMessage], ["failed", "Store your credentials first, for: anthropic."]);
  assertEquals([task.nodeId, test.provider.servers.size], [null, 0]);
});

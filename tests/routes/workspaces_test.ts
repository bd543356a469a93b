/** Workspaces opened by hand and the conversation that comes with them: T017. */
import { assert, assertEquals } from "@std/assert";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { FakeAgent, newMessage } from "../fakes/agent.ts";
import { watchCommits } from "../fakes/faulty_kv.ts";

/** An edge whose next machine is an agent by hand. */
async function startWithAgent(): Promise<{ test: TestEdge; agent: Promise<FakeAgent> }> {
  const test = await startTestEdge();
  const booted = Promise.withResolvers<FakeAgent>();
  test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
  return { test, agent: booted.promise };
}

Deno.test("T017-1 a workspace of a project gets a chat session and knows it", async () => {
  const { test, agent: booted } = await startWithAgent();
  await using _test = test;
  const { id: projectId } = await test.addProject();
  const opened = await test.admin.call("POST /api/workspaces", { projectId });
  assertEquals(opened.status, 201);
  await using agent = await booted;
  const session = (await test.admin.call(`GET /api/projects/${projectId}/sessions/${opened.body.sessionId}`)).body;
  assertEquals([session.workspaceId, session.workspace.id, session.status], [opened.body.id, opened.body.id, "active"]);
  const posted = await agent.messages(opened.body.id, [newMessage(session.id, "hello")]);
  assertEquals(posted.body.persisted, 1);
});

Deno.test("T017-2 a workspace without a project gets no session", async () => {
  const { test, agent: booted } = await startWithAgent();
  await using _test = test;
  const opened = await test.admin.call("POST /api/workspaces", { repositoryUrl: "https://git.example.org/app.git" });
  assertEquals([opened.status, opened.body.sessionId, opened.body.projectId], [201, null, null]);
  await using agent = await booted;
  assertEquals((await agent.command("workspace.start")).workspaceId, opened.body.id);
  assertEquals((await Array.fromAsync(test.edge.store.kv.list({ prefix: ["session"] }))).length, 0);
});

for (const way of ["throws", "loses its check"] as const) {
  Deno.test(`T017-3 a session that cannot be made does not stop the workspace (the store ${way})`, async () => {
    const { test, agent: booted } = await startWithAgent();
    await using _test = test;
    const { id: projectId } = await test.addProject();
    let failed = 0;
    test.edge.store.kv = watchCommits(test.edge.store.kv, async ({ keys, commit }) => {
      if (!keys.some((key) => key[0] === "session")) return await commit();
      failed++;
      if (way === "throws") throw new TypeError("the store is out of order");
      return { ok: false };
    });
    const opened = await test.admin.call("POST /api/workspaces", { projectId });
    assertEquals([opened.status, opened.body.sessionId, opened.body.projectId], [201, null, projectId]);
    assert(failed > 0);
    await using agent = await booted;
    assertEquals((await agent.command("workspace.start")).workspaceId, opened.body.id);
    const runtime = await agent.runtime(opened.body.id);
    assertEquals([runtime.chatSessionId, runtime.wanted], [null, "run"]);
    assertEquals((await agent.report(opened.body.id, { status: "ready" })).status, 200);
    assertEquals((await test.admin.call(`GET /api/workspaces/${opened.body.id}`)).body.status, "ready");
    assert(test.log.some((line) => line.event === "session_not_made"));
  });
}

Deno.test("T017-4 the runtime of a workspace names its chat session", async () => {
  const { test, agent: booted } = await startWithAgent();
  await using _test = test;
  const { id: projectId } = await test.addProject();
  const opened = (await test.admin.call("POST /api/workspaces", { projectId })).body;
  await using agent = await booted;
  const runtime = await agent.runtime(opened.id);
  assertEquals([runtime.chatSessionId, runtime.projectId, runtime.taskId], [opened.sessionId, projectId, null]);
  const answer = await agent.asWorkspace(opened.id, `GET /api/workspaces/${opened.id}/runtime`);
  assertEquals(answer.headers.get("cache-control"), "no-store");
});

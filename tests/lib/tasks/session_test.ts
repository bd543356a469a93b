/** A run and its chat session: one for each task, from the first write on. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { failCommits, overtakeRead } from "../../fakes/failing_store.ts";
import { listCommands } from "../../../lib/store/commands.ts";
import { readProject } from "../../../lib/store/projects.ts";
import { listLiveWorkspaces } from "../../../lib/store/workspaces.ts";
import { openWorkspace } from "../../../lib/tasks/open_workspace.ts";
import { discardWorkspace, releaseWorkspace } from "../../../lib/tasks/release.ts";
import { startBench } from "./fixture.ts";

Deno.test("T031-1 a submitted task has its session, with its id and title, in the same write", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit({ title: "Tidy up", description: "Do it" });
  const entries = await bench.edge.store.kv.getMany([
    ["task", task.projectId, task.taskId],
    ["session", task.projectId, task.sessionId],
    ["msg", task.sessionId, 1],
  ]);
  assertEquals(new Set(entries.map((entry) => entry.versionstamp)).size, 1);
  const session = await bench.test.admin.call(`GET /api/projects/${task.projectId}/sessions/${task.sessionId}`);
  assertEquals(
    [session.body.taskId, session.body.topic, session.body.task.title, session.body.status],
    [task.taskId, "Tidy up", "Tidy up", "pending"],
  );
});

Deno.test("T031-1 a draft and every later run have that same session", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  const draft = await bench.test.admin.call(`POST /api/projects/${project.id}/tasks`, { description: "Do it" });
  const path = `/api/projects/${project.id}/tasks/${draft.body.id}` as const;
  const task = { projectId: project.id, taskId: draft.body.id, sessionId: draft.body.sessionId, path };
  const first = await bench.runAgain(task);
  await bench.test.admin.call(`POST ${path}/cancel`);
  await bench.test.admin.call(`PATCH ${path}`, { description: "Do it better" });
  const second = await bench.runAgain(task);
  assertEquals([first.runtime.chatSessionId, second.runtime.chatSessionId], [task.sessionId, task.sessionId]);
  assertEquals([first.runtime.prompt!.text, second.runtime.prompt!.text], ["Do it", "Do it better"]);
  const session = await bench.session(task);
  assertEquals([session.status, session.run, session.endedAt], ["active", 2, null]);
  const sessions = await bench.test.admin.call(`GET /api/projects/${project.id}/sessions`);
  assertEquals(sessions.body.items.length, 1);
  const messages = await bench.test.admin.call(`GET /api/projects/${project.id}/sessions/${task.sessionId}/messages`);
  const said = messages.body.items.map((
    m: { run: number; role: string; content: string },
  ) => [m.run, m.role, m.content]);
  assertEquals([said[0], said[2]], [[1, "user", "Do it"], [2, "user", "Do it better"]]);
  assertEquals(said[1].slice(0, 2), [2, "system"]);
  assertMatch(said[1][2], /Run 2/);
});

Deno.test("T031-2 the machine made for a run and its workspace are told the run's session", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals([bench.specs[0]!.projectId, bench.specs[0]!.sessionId], [run.projectId, run.sessionId]);
  assertEquals([run.runtime.projectId, run.runtime.chatSessionId], [run.projectId, run.sessionId]);
});

Deno.test("T031-3 the work goes on the branch task/<taskId>", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals([run.runtime.branch, run.runtime.baseBranch], [`task/${run.taskId}`, "main"]);
  const named = await bench.run({}, run.projectId);
  await bench.test.admin.call(`POST ${named.path}/cancel`);
  const again = await bench.runAgain(named, { branch: "feature/x" });
  assertEquals(again.runtime.branch, "feature/x");
});

Deno.test("T031-4 the description is the session's first message, by the user, and what the agent is given", async () => {
  await using bench = await startBench();
  const run = await bench.run({ description: "  Write the file.\nThen stop. " });
  const path = `/api/projects/${run.projectId}/sessions/${run.sessionId}/messages` as const;
  const [first, ...others] = (await bench.test.admin.call(`GET ${path}`)).body.items;
  assertEquals([first.seq, first.role, first.run], [1, "user", 1]);
  assertEquals(others, []);
  assertEquals(run.runtime.prompt, { messageId: first.messageId, text: first.content });
  assertEquals(first.content, "Write the file.\nThen stop.");
});

Deno.test("T031-5 a workspace without a project has no session and runs all the same", async () => {
  await using bench = await startBench();
  const opened = await bench.test.admin.call("POST /api/workspaces", {
    repositoryUrl: "https://git.example.org/team/app.git",
  });
  assertEquals([opened.status, opened.body.sessionId, opened.body.projectId], [201, null, null]);
  const agent = await bench.agentOf(opened.body.nodeId);
  const runtime = await agent.begin();
  assertEquals([runtime.chatSessionId, runtime.taskId, runtime.prompt, runtime.branch], [null, null, null, null]);
  assertEquals((await bench.workspace(opened.body.id)).status, "ready");
});

Deno.test("T031-6 a session that cannot be written leaves no task without one, and says what to do", async () => {
  await using bench = await startBench({ still: true });
  const project = await bench.test.addProject();
  using _ = failCommits(bench.edge.store, (key) => key[0] === "session");
  const answer = await bench.test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "Do it" });
  assertEquals([answer.status, answer.body.error], [503, "store_busy"]);
  assertMatch(answer.body.message, /Try again/);
  const tasks = await bench.test.admin.call(`GET /api/projects/${project.id}/tasks`);
  assertEquals(tasks.body.items, []);
});

Deno.test("T031-6 a manual workspace survives that its session could not be made", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  const failing = failCommits(bench.edge.store, (key) => key[0] === "session");
  const opened = await bench.test.admin.call("POST /api/workspaces", { projectId: project.id });
  failing[Symbol.dispose]();
  assertEquals([opened.status, opened.body.sessionId], [201, null]);
  assert(bench.test.log.some((line) => line.event === "session_not_made"));
  const agent = await bench.agentOf(opened.body.nodeId);
  assertEquals((await agent.begin()).workspaceId, opened.body.id);
});

Deno.test("a workspace opened by hand that is gone before its session is made gets none", async () => {
  await using bench = await startBench({ still: true });
  const { edge } = bench;
  const projectId = (await bench.test.addProject()).id;
  const project = await readProject(edge.store, projectId);
  const release = async () => {
    for await (const id of listLiveWorkspaces(edge.store)) await releaseWorkspace(edge, id);
  };
  const store = overtakeRead(edge.store, (key) => key[0] === "workspace", release);
  const opening = { userId: bench.test.admin.user.id, project, body: { projectId }, idempotency: null };
  const workspace = await openWorkspace({ ...edge, store }, opening);
  assertEquals([workspace.status, workspace.sessionId], ["stopped", null]);
  const sessions = await bench.test.admin.call(`GET /api/projects/${projectId}/sessions`);
  assertEquals(sessions.body.items, []);
});

Deno.test("a workspace opened by hand that is closed before its node is told ends, and its node is not told to begin", async () => {
  await using bench = await startBench({ still: true });
  // An agent that is quick would have taken the command before it is looked at.
  bench.boots = false;
  const { edge } = bench;
  const close = async () => {
    for await (const id of listLiveWorkspaces(edge.store)) await discardWorkspace(edge, id);
  };
  const store = overtakeRead(edge.store, (key) => key[0] === "workspace", close);
  const body = { repositoryUrl: "https://git.example.org/team/app.git" };
  const opening = { userId: bench.test.admin.user.id, project: null, body, idempotency: null };
  const { id, nodeId, status } = await openWorkspace({ ...edge, store }, opening);
  assertEquals(status, "stopping");
  assertEquals((await listCommands(edge.store, nodeId, 0)).map(({ kind }) => kind), ["workspace.stop"]);
  await bench.settle();
  await bench.pass(edge.config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  assertEquals((await bench.workspace(id)).status, "stopped", "also when the node never confirms it");
});

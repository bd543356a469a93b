/** Chat sessions and their place in lists, over the real store: T009. */
import { assertEquals } from "@std/assert";
import { sessionKey } from "../../../lib/store/keys.ts";
import { startTestEdge, type TestEdge } from "../../edge.ts";
import { FakeAgent, newMessage } from "../../fakes/agent.ts";
import { watchReads } from "../../fakes/faulty_kv.ts";
import { startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "../live/follower.ts";

async function addTask(test: TestEdge, projectId: string, description: string) {
  return (await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description })).body;
}

/** A manual workspace, whose session has no task. */
async function openWorkspace(test: TestEdge, projectId: string) {
  test.provider.onCreate = () => {};
  return (await test.admin.call("POST /api/workspaces", { projectId })).body;
}

Deno.test("T009-1 a session made with a task keeps the task's id", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const task = await addTask(test, id, "Write it down");
  const session = (await test.admin.call(`GET /api/projects/${id}/sessions/${task.sessionId}`)).body;
  assertEquals([session.taskId, session.status, session.topic], [task.id, "pending", "Write it down"]);
  assertEquals(session.task, { id: task.id, title: "Write it down", status: "draft", priority: 0 });
});

Deno.test("T009-2 a session made without a task has null as its task", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const { sessionId } = await openWorkspace(test, id);
  const session = (await test.admin.call(`GET /api/projects/${id}/sessions/${sessionId}`)).body;
  assertEquals([session.taskId, session.task, session.status], [null, null, "active"]);
});

Deno.test("T009-3 sessions filtered by task are those of that task and no others", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const tasks = [await addTask(test, id, "a"), await addTask(test, id, "b"), await addTask(test, id, "c")];
  await openWorkspace(test, id);
  const list = (await test.admin.call(`GET /api/projects/${id}/sessions?taskId=${tasks[1].id}`)).body;
  assertEquals(list.items.map((session: { id: string }) => session.id), [tasks[1].sessionId]);
  const all = (await test.admin.call(`GET /api/projects/${id}/sessions`)).body;
  assertEquals(all.items.length, 4);
  const none = (await test.admin.call(`GET /api/projects/${id}/sessions?taskId=${crypto.randomUUID()}`)).body;
  assertEquals(none, { items: [], nextCursor: null });
});

Deno.test("T009-4 the frame of a new session carries its task", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const path = `/api/projects/${id}/ws`;
  await using first = SocketFollower.on(test, path, test.admin);
  const { cursor } = await first.first("hello");
  await using follower = SocketFollower.on(test, `${path}?after=${cursor}`, test.admin);
  await follower.first("hello");
  await openWorkspace(test, id);
  const task = await addTask(test, id, "Tell everybody");
  const { session } = await follower.first("session.created", (frame) => frame.session.id === task.sessionId);
  assertEquals([session.taskId, session.task?.title], [task.id, "Tell everybody"]);
  assertEquals(follower.ofType("session.created").map((frame) => frame.session.taskId), [null, task.id]);
});

Deno.test("T009-5 the end of a session is told with its time", async () => {
  await using running = await startRunningTask();
  const path = `/api/projects/${running.projectId}/ws`;
  await using first = SocketFollower.on(running.test, path, running.test.admin);
  const { cursor } = await first.first("hello");
  await using follower = SocketFollower.on(running.test, `${path}?after=${cursor}`, running.test.admin);
  const stopped = await running.test.admin.call(`POST ${running.session}/stop`);
  assertEquals(stopped.status, 202);
  const frame = await follower.first("session.stopped");
  const { endedAt, status } = await running.readSession();
  assertEquals([frame.sessionId, frame.endedAt, status], [running.sessionId, endedAt, "stopped"]);
});

Deno.test("T009-6 the session of a task is found without looking at the others", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const oldest = await addTask(test, id, "the one");
  for (let i = 0; i < 5; i++) await addTask(test, id, `other ${i}`);
  const read: string[] = [];
  test.edge.store.kv = watchReads(test.edge.store.kv, (key) => read.push(JSON.stringify(key)));
  const list = (await test.admin.call(`GET /api/projects/${id}/sessions?taskId=${oldest.id}`)).body;
  assertEquals(list.items.map((each: { id: string }) => each.id), [oldest.sessionId]);
  const sessions = read.filter((key) => key.startsWith('["session'));
  assertEquals(sessions, [JSON.stringify(sessionKey(id, oldest.sessionId))]);
});

Deno.test("sessions are listed by their last activity, page by page, each once", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const tasks = [];
  for (let i = 0; i < 7; i++) {
    test.skewMs += 1_000;
    tasks.push(await addTask(test, id, `task ${i}`));
  }
  const seen: string[] = [];
  let query = "limit=3";
  for (let pages = 0; query; pages++) {
    const page = (await test.admin.call(`GET /api/projects/${id}/sessions?${query}`)).body;
    seen.push(...page.items.map((session: { taskId: string }) => session.taskId));
    query = page.nextCursor ? `limit=3&cursor=${encodeURIComponent(page.nextCursor)}` : "";
  }
  assertEquals(seen, tasks.map((task) => task.id).reverse());
});

Deno.test("sessions are found by words of their topic and their task's title, and by status", async () => {
  await using test = await startTestEdge();
  const booted = Promise.withResolvers<FakeAgent>();
  test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
  const { id } = await test.addProject();
  await addTask(test, id, "Paint the FENCE");
  const { id: workspaceId, sessionId } = (await test.admin.call("POST /api/workspaces", { projectId: id })).body;
  await using agent = await booted.promise;
  await agent.messages(workspaceId, [newMessage(sessionId, "Mend the roof", { role: "user" })]);
  const topics = async (query: string) => {
    const { items } = (await test.admin.call(`GET /api/projects/${id}/sessions?${query}`)).body;
    return items.map((session: { topic: string }) => session.topic);
  };
  assertEquals(await topics("q=fence"), ["Paint the FENCE"]);
  assertEquals(await topics("q=roof"), ["Mend the roof"]);
  assertEquals(await topics("status=active"), ["Mend the roof"]);
  assertEquals(await topics("q=null"), []);
});

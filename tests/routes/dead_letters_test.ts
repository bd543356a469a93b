/** Dead letters at the edge: taken over from a node, shown to its owner, and what a machine is spared for. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { deadLetter } from "../../lib/wire/dead_letter.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";

function letter(running: RunningTask, content: string, more: Record<string, unknown> = {}) {
  return {
    messageId: crypto.randomUUID(),
    workspaceId: running.workspaceId,
    sessionId: running.sessionId,
    role: "assistant",
    content,
    timestamp: new Date().toISOString(),
    status: 400,
    reason: "invalid_request",
    deadAt: new Date().toISOString(),
    ...more,
  };
}

function handOver(running: RunningTask, deadLetters: unknown[]) {
  return running.agent.asNode(`POST /api/nodes/${running.agent.nodeId}/dead-letters`, { deadLetters });
}

Deno.test("dead letters are kept once each, cut in the list and whole on their own", async () => {
  await using running = await startRunningTask();
  const long = "€".repeat(60_000);
  const letters = [letter(running, "", { role: "not a role", status: null }), letter(running, long)];
  assertEquals((await handOver(running, letters)).body, { persisted: 2, duplicates: 0 });
  assertEquals((await handOver(running, [...letters, letters[0]])).body, { persisted: 0, duplicates: 3 });
  const path = `/api/nodes/${running.agent.nodeId}/dead-letters` as const;
  const { items } = (await running.test.admin.call(`GET ${path}`)).body;
  assertEquals(items.length, 2);
  const cut = items.find((item: { truncated?: boolean }) => item.truncated);
  assertEquals([cut.content.length, cut.contentBytes], [1_365, 180_000]);
  const whole = (await running.test.admin.call(`GET ${path}/${cut.messageId}`)).body;
  assertEquals(whole.content === long, true);
  assertEquals(deadLetter.parse(whole), letters[1]);
  running.test.skewMs += 31 * 24 * 3_600_000;
  assertEquals((await running.test.admin.call(`GET ${path}`)).body.items, []);
  assertEquals((await running.test.admin.call(`GET ${path}/${cut.messageId}`)).status, 404);
});

Deno.test("a node says how many it handed over, and those of one session can be asked for, also as a page", async () => {
  await using running = await startRunningTask();
  const { test, agent, sessionId } = running;
  const other = crypto.randomUUID();
  const letters = [letter(running, "<b>mine</b>"), letter(running, "theirs", { sessionId: other })];
  await handOver(running, letters);
  await handOver(running, letters);
  await agent.heartbeat({ deadLetters: 4, dropped: 3, heldLines: 2 });
  const node = (await test.admin.call(`GET /api/nodes/${agent.nodeId}`)).body;
  assertEquals([node.deadLettersKept, node.heartbeat.dropped, node.heartbeat.heldLines], [2, 3, 2]);
  const path = `/nodes/${agent.nodeId}/dead-letters`;
  const { items } = (await test.admin.call(`GET /api${path}?sessionId=${other}`)).body;
  assertEquals(items.map((item: { content: string }) => item.content), ["theirs"]);

  const open = async (query: string, key = test.admin.key) => {
    const headers = { authorization: `Bearer ${key}`, accept: "text/html" };
    const response = await fetch(`${test.url}${path}${query}`, { headers, redirect: "manual" });
    return { status: response.status, html: await response.text() };
  };
  const { html } = await open(`?sessionId=${sessionId}`);
  assertStringIncludes(html, "4 messages on the machine itself");
  assertStringIncludes(html, "&lt;b>mine&lt;/b>");
  assertEquals([html.includes("theirs"), (await open("")).html.includes("theirs")], [false, true]);
  const stranger = await test.addUser("other");
  assertEquals((await open("", stranger.key)).status, 404);
  assertEquals((await open("?sessionId=no")).status, 400);
});

Deno.test("only the node hands over, and only its owner reads", async () => {
  await using running = await startRunningTask();
  const path = `/api/nodes/${running.agent.nodeId}/dead-letters` as const;
  await handOver(running, [letter(running, "mine")]);
  const other = await running.test.addUser("other");
  const admin = await running.test.addUser("boss", "admin");
  assertEquals((await other.call(`GET ${path}`)).status, 404);
  assertEquals((await admin.call(`GET ${path}`)).status, 404, "admins read no chats");
  assertEquals((await running.test.admin.call(`POST ${path}`, { deadLetters: [] })).status, 401);
  assertEquals((await handOver(running, [])).status, 400);
});

/** Ends the run and the node, whose last heartbeat told of `held`. */
async function retire(running: RunningTask, held: Record<string, unknown>): Promise<void> {
  await running.agent.heartbeat(held);
  await running.test.admin.call(`DELETE /api/nodes/${running.agent.nodeId}?force=true`);
  await running.test.loop.settled();
}

async function statusOf(test: TestEdge, nodeId: string): Promise<string> {
  return (await test.admin.call(`GET /api/nodes/${nodeId}`)).body.status;
}

Deno.test("a machine lives until its messages came and its dead letters were handed over", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  await retire(running, { outboxDepth: 1, deadLetters: 1 });
  assertEquals(await statusOf(test, agent.nodeId), "destroying");
  assertEquals(test.provider.destroyed, []);

  assertEquals((await running.post(running.batch("late"))).status, 200, "a fenced node still delivers");
  await agent.heartbeat({ deadLetters: 1 });
  await test.loop.settled();
  assertEquals(await statusOf(test, agent.nodeId), "destroying");
  assertEquals((await handOver(running, [letter(running, "dead")])).status, 200);
  const answer = await agent.heartbeat();
  assertEquals([answer.body.fenced, answer.body.wanted], [true, []]);
  await test.loop.settled();
  assertEquals(await statusOf(test, agent.nodeId), "destroyed");
  const { items } = (await test.admin.call(`GET /api/nodes/${agent.nodeId}/dead-letters`)).body;
  assertEquals(items.map((item: { content: string }) => item.content), ["dead"]);
});

Deno.test("after the time to rescue it goes, and what may be lost is told in the session, on the task and the node", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  const workspaces = [{ id: running.workspaceId, status: "running", turn: "running", pendingRows: 3 }];
  await retire(running, { outboxDepth: 3, deadLetters: 2, workspaces });
  assertEquals(await statusOf(test, agent.nodeId), "destroying");
  test.skewMs += test.edge.config.NODE_RESCUE_MS + 60_000;
  test.loop.ring();
  await test.loop.settled();
  assertEquals(await statusOf(test, agent.nodeId), "destroyed");
  const last = (await running.messages()).at(-1)!;
  assertEquals(last.role, "system");
  assertStringIncludes(last.content, "3 messages may be missing");
  const task = (await test.admin.call(`GET /api/projects/${running.projectId}/tasks/${running.taskId}`)).body;
  assertStringIncludes(task.warning, "3 messages may be missing");
  const node = (await test.admin.call(`GET /api/nodes/${agent.nodeId}`)).body;
  assertStringIncludes(node.errorMessage, "2 dead letter(s)");
});

Deno.test("nothing done to a node on its way out gives it more time", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  await retire(running, { outboxDepth: 1 });
  for (const share of [0.6, 0.6]) {
    assertEquals(await statusOf(test, agent.nodeId), "destroying");
    test.skewMs += test.edge.config.NODE_RESCUE_MS * share;
    await agent.heartbeat({ outboxDepth: 1 });
    await retire(running, { outboxDepth: 1 });
    await test.admin.call(`POST /api/nodes/${agent.nodeId}/drain`);
  }
  test.loop.ring();
  await test.loop.settled();
  assertEquals(await statusOf(test, agent.nodeId), "destroyed");
});

Deno.test("at its hard lifetime a machine goes whatever it still holds", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  test.skewMs += test.edge.config.NODE_HARD_LIFETIME_MS - test.edge.config.NODE_RESCUE_MS / 2;
  await agent.heartbeat();
  await retire(running, { outboxDepth: 1 });
  assertEquals(await statusOf(test, agent.nodeId), "destroying");
  test.skewMs += test.edge.config.NODE_RESCUE_MS / 2 + 60_000;
  await agent.heartbeat({ outboxDepth: 1 });
  test.loop.ring();
  await test.loop.settled();
  assertEquals(await statusOf(test, agent.nodeId), "destroyed");
});

Deno.test("messages that come after their session stopped are stored, with those of a node that was given up", async () => {
  await using running = await startRunningTask();
  await running.test.admin.call(`POST ${running.session}/stop`);
  assertEquals((await running.readSession()).status, "stopped");
  const late = running.batch("late one", "late two");
  assertEquals((await running.post(late)).body.persisted, 2);
  assertEquals((await running.post(late)).body, { persisted: 0, duplicates: 2, lastSeq: 3 });
  assertEquals((await running.messages()).map((message) => message.content).slice(-2), ["late one", "late two"]);
  assertEquals((await running.readSession()).status, "stopped", "late messages wake nothing");
});

Deno.test("the edge without a node of that id takes nothing over", async () => {
  await using test = await startTestEdge();
  const path = `/api/nodes/${crypto.randomUUID()}/dead-letters` as const;
  assertEquals((await test.admin.call(`GET ${path}`)).status, 404);
});

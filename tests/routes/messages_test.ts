/** `POST /api/workspaces/:id/messages` as a node meets it: T015, the order of its checks, and its limits. */
import { assert, assertEquals } from "@std/assert";
import { signWorkspaceToken } from "../../lib/auth/tokens.ts";
import { byteLength } from "../../lib/bytes.ts";
import { FakeAgent, newMessage } from "../fakes/agent.ts";
import { dumpStore } from "../fakes/faulty_kv.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";
import { startTestEdge } from "../edge.ts";

/** Posts with the given token, or none. */
async function postAs(running: RunningTask, token: string | null, body: unknown, workspaceId = running.workspaceId) {
  const response = await fetch(`${running.test.url}/api/workspaces/${workspaceId}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...token ? { authorization: `Bearer ${token}` } : {} },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

/** Runs `work` and says whether it left anything but the trace of an attempt in the store. */
async function changesNothing(running: RunningTask, work: () => Promise<void>): Promise<void> {
  const { kv } = running.test.edge.store;
  const before = await dumpStore(kv, ["window"]);
  await work();
  assertEquals(await dumpStore(kv, ["window"]), before);
}

Deno.test("T015-1 a valid batch of 2 messages is answered with 200 and the count", async () => {
  await using running = await startRunningTask();
  const answer = await running.post([
    newMessage(running.sessionId, "I will look.", { role: "thinking" }),
    newMessage(running.sessionId, "ls", {
      role: "tool",
      toolMetadata: { tool: "shell", status: "completed", toolCallId: "1", durationMs: 4, input: { a: [1, null] } },
      flags: { interrupted: true },
      timestamp: "2024-05-06T07:08:09.123+02:00",
    }),
  ]);
  assertEquals([answer.status, answer.body], [200, { persisted: 2, duplicates: 0, lastSeq: 3 }]);
  const [, thought, tool] = await running.messages();
  assertEquals([thought!.role, thought!.run, thought!.toolMetadata], ["thinking", 1, null]);
  assertEquals(tool!.toolMetadata, {
    tool: "shell",
    status: "completed",
    toolCallId: "1",
    durationMs: 4,
    input: { a: [1, null] },
  });
  assertEquals([tool!.flags, tool!.createdAt], [{ interrupted: true }, "2024-05-06T05:08:09.123Z"]);
});

Deno.test("T015-2 an empty list of messages is 400", async () => {
  await using running = await startRunningTask();
  const answer = await running.post([]);
  assertEquals([answer.status, answer.body.error], [400, "invalid_request"]);
  assertEquals(answer.body.issues[0].field, "messages");
});

Deno.test("T015-3 more than 100 messages are 400, and 100 are taken", async () => {
  await using running = await startRunningTask();
  const messages = running.batch(...Array<string>(101).fill("x"));
  const answer = await running.post(messages);
  assertEquals([answer.status, answer.body.error, answer.body.issues[0].field], [400, "invalid_request", "messages"]);
  assertEquals((await running.post(messages.slice(1))).body.persisted, 100);
});

Deno.test("T015-4 a role that is none is 400 and names the message and the field", async () => {
  await using running = await startRunningTask();
  const answer = await running.post([
    ...running.batch("a", "b"),
    newMessage(running.sessionId, "c", { role: "robot" }),
  ]);
  assertEquals([answer.status, answer.body.error, answer.body.index], [400, "invalid_request", 2]);
  assertEquals(answer.body.issues[0].field, "messages.2.role");
  assertEquals((await running.messages()).length, 1);
});

Deno.test("T015-5 empty content is 400 and names the message and the field", async () => {
  await using running = await startRunningTask();
  const answer = await running.post(running.batch("a", ""));
  assertEquals([answer.status, answer.body.error, answer.body.index], [400, "invalid_request", 1]);
  assertEquals(answer.body.issues[0].field, "messages.1.content");
});

Deno.test("every other field of a message is checked and named too", async () => {
  await using running = await startRunningTask();
  const meta = { tool: "t", status: "completed", toolCallId: "c" };
  const wrong: [string, Record<string, unknown>][] = [
    ["messageId", { messageId: "not-a-uuid" }],
    ["messageId", { messageId: undefined }],
    ["sessionId", { sessionId: 7 }],
    ["content", { content: { text: "x" } }],
    ["timestamp", { timestamp: "yesterday" }],
    ["timestamp", { timestamp: "2024-02-30T00:00:00Z" }],
    ["timestamp", { timestamp: "2024-01-01T00:00:00" }],
    ["timestamp", { timestamp: 1_700_000_000 }],
    ["toolMetadata.status", { toolMetadata: { ...meta, status: "fine" } }],
    ["toolMetadata.durationMs", { toolMetadata: { ...meta, durationMs: -1 } }],
    ["toolMetadata", { toolMetadata: { ...meta, diff: "x".repeat(17_000) } }],
    ["flags.truncatedBytes", { flags: { truncatedBytes: 0.5 } }],
  ];
  await changesNothing(running, async () => {
    for (const [field, change] of wrong) {
      const answer = await running.post([...running.batch("fine"), newMessage(running.sessionId, "x", change)]);
      assertEquals([answer.status, answer.body.index], [400, 1], field);
      assertEquals(answer.body.issues[0].field, `messages.1.${field}`);
    }
  });
});

Deno.test("T015-6 a call without a token, or with one that is none, is 401", async () => {
  await using running = await startRunningTask();
  const body = { messages: running.batch("x") };
  await changesNothing(running, async () => {
    for (const token of [null, "garbage", running.test.admin.key, running.agent.registered!.callbackToken]) {
      const answer = await postAs(running, token, body);
      assertEquals([answer.status, answer.body.error], [401, "unauthorized"]);
    }
  });
});

Deno.test("T015-7 a token of another workspace is 403", async () => {
  await using running = await startRunningTask();
  const other = (await running.test.admin.call("POST /api/workspaces", { projectId: running.projectId })).body;
  const token = await running.agent.workspaceToken(other.id);
  const answer = await postAs(running, token, { messages: running.batch("x") });
  assertEquals([answer.status, answer.body.error], [403, "forbidden"]);
  assertEquals((await running.messages()).length, 1);
});

Deno.test("T015-8 a session that does not exist is 404", async () => {
  await using running = await startRunningTask();
  const answer = await running.post([newMessage(crypto.randomUUID(), "x")]);
  assertEquals([answer.status, answer.body.error], [404, "session_not_found"]);
  const { kv } = running.test.edge.store;
  await kv.delete(["session", running.projectId, running.sessionId]);
  const gone = await running.post(running.batch("x"));
  assertEquals([gone.status, gone.body.error], [404, "session_not_found"]);
});

Deno.test("T015-9 a body over 256 KB is 413, measured on the bytes that came", async () => {
  await using running = await startRunningTask();
  const frame = byteLength(JSON.stringify({ messages: running.batch("") }));
  const fitting = JSON.stringify({ messages: running.batch("é".repeat((262_144 - frame) / 2)) });
  const [message] = running.batch("é".repeat((262_144 - frame) / 2) + "ab");
  const tooLarge = JSON.stringify({ messages: [message] });
  assert(tooLarge.length < 262_144, "in characters it would fit");
  await changesNothing(running, async () => {
    const answer = await running.postRaw(tooLarge);
    assertEquals([answer.status, answer.body.error, answer.body.maxBytes], [413, "payload_too_large", 262_144]);
    // A stream has no Content-Length: what counts is what arrives.
    const bytes = new TextEncoder().encode(tooLarge);
    const chunked = await running.postRaw(ReadableStream.from([bytes.slice(0, 100_000), bytes.slice(100_000)]));
    assertEquals(chunked.status, 413);
    assertEquals((await running.postRaw("x".repeat(3_000_000))).status, 413);
  });
  assertEquals((await running.postRaw(fitting)).status, 200);
});

Deno.test("T015-10 a batch that was stored before is 200 with its duplicates, also twice at once", async () => {
  await using running = await startRunningTask();
  const messages = running.batch("a", "b", "c");
  const both = await Promise.all([running.post(messages), running.post(messages)]);
  assertEquals(both.map((answer) => answer.status), [200, 200]);
  assertEquals(both.map((answer) => [answer.body.persisted, answer.body.duplicates]).toSorted(), [[0, 3], [3, 0]]);
  assertEquals((await running.post(messages)).body, { persisted: 0, duplicates: 3, lastSeq: 4 });
});

Deno.test("T015-11 a workspace without a project has no conversation: 409", async () => {
  await using test = await startTestEdge();
  const booted = Promise.withResolvers<FakeAgent>();
  test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
  const repositoryUrl = "https://git.example.org/team/app.git";
  const { id, sessionId } = (await test.admin.call("POST /api/workspaces", { repositoryUrl })).body;
  assertEquals(sessionId, null);
  await using agent = await booted.promise;
  const answer = await agent.messages(id, [newMessage(crypto.randomUUID(), "x")]);
  assertEquals([answer.status, answer.body.error], [409, "workspace_without_project"]);
});

Deno.test("who calls is settled before the workspace, the workspace before the body, the body before the session", async () => {
  await using running = await startRunningTask();
  const { test, workspaceId } = running;
  const other =
    (await test.admin.call("POST /api/workspaces", { repositoryUrl: "https://git.example.org/a.git" })).body;
  const gone = crypto.randomUUID();
  const claims = { node: running.agent.nodeId, generation: 1, workspace: gone, run: 1 };
  const tokenOfGone = await signWorkspaceToken(test.edge.keyring, claims, Date.now());
  const mine = await running.agent.workspaceToken(workspaceId);
  const theirs = await running.agent.workspaceToken(other.id);
  const bad = { messages: "none" };
  const foreign = { messages: [newMessage(crypto.randomUUID(), "x")] };
  const codes = [
    await postAs(running, null, bad, gone),
    await postAs(running, mine, bad, gone),
    await postAs(running, tokenOfGone, bad, gone),
    await postAs(running, theirs, bad, other.id),
    await postAs(running, theirs, foreign, other.id),
    await postAs(running, mine, foreign),
  ].map((answer) => answer.body.error);
  const expected = ["unauthorized", "forbidden", "not_found", "invalid_request", "workspace_without_project"];
  assertEquals(codes, [...expected, "session_not_found"]);
});

Deno.test("an installation may take fewer messages and smaller bodies at once", async () => {
  const env = { MAX_MESSAGES_PER_BATCH: "2", MAX_MESSAGES_PAYLOAD_BYTES: "2048" };
  await using running = await startRunningTask({ env });
  assertEquals(running.agent.registered!.limits, { maxMessagesPerBatch: 2, maxBatchBytes: 2_048 });
  assertEquals((await running.post(running.batch("1", "2"))).status, 200);
  assertEquals((await running.post(running.batch("1", "2", "3"))).body.error, "invalid_request");
  assertEquals((await running.post(running.batch("x".repeat(2_048)))).body.error, "payload_too_large");
});

Deno.test("a run that is over still delivers what it has, and it is shown under that run", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  await test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/cancel`);
  assertEquals((await running.post(running.batch("after the end"))).body.persisted, 1);
  await running.agent.report(running.workspaceId, { status: "stopped" });
  await test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/run`);
  assertEquals((await running.post(running.batch("even later"))).body.persisted, 1);
  const runs = (await running.messages()).map((message) => [message.run, message.content]);
  assertEquals(runs, [[1, "Do it"], [1, "after the end"], [2, "Run 2 was started."], [2, "Do it"], [1, "even later"]]);
});

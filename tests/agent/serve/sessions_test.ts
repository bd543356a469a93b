/** Sessions from beginning to end: capacity, interrupts, crashes, restarts, limits, over real processes and a real database. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { isAlive, listProcesses, selectMarked } from "../../../lib/processes.ts";
import { said, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

async function markedBy(server: TestServer): Promise<number> {
  const instance = (await Deno.readTextFile(`${server.folder}/sessions.db.state/instance-id`)).trim();
  return (await selectMarked(await listProcesses(), `${instance}/`)).length;
}

function pidOf(server: TestServer, id: string): number {
  const line = server.lines.findLast((text) => text.includes("session_opened") && text.includes(id));
  return JSON.parse(line!).pid;
}

Deno.test("TASK-010-AC1, TASK-010-AC2, TASK-007-AC3 a session comes from the warm pool", async () => {
  await using server = await TestServer.start();
  const { status, body } = await server.rest("POST /api/v1/sessions");
  assertEquals([status, body.status, body.source], [201, "active", "pre-warmed"]);
  assertMatch(body.session_id, /^[0-9a-f-]{36}$/);
  assert(await isAlive(await processOf(server, body.session_id)));
});

async function processOf(server: TestServer, id: string) {
  const pid = pidOf(server, id);
  return (await listProcesses()).find((process) => process.pid === pid)!;
}

Deno.test("TASK-028-AC2, TASK-014-AC2, TASK-014-AC3, TASK-010-AC4 a session is listed until it is ended, and nothing of it is left", async () => {
  await using server = await TestServer.start();
  const { body: { session_id: id } } = await server.rest("POST /api/v1/sessions");
  const process = await processOf(server, id);
  const listed = (await server.rest("GET /api/v1/sessions")).body.sessions;
  assertEquals(listed.map((session: { session_id: string }) => session.session_id), [id]);
  assertEquals((await server.rest(`DELETE /api/v1/sessions/${id}`)).body, {
    session_id: id,
    status: "terminated",
    reason: "user_requested",
  });
  assertEquals((await server.rest("GET /api/v1/sessions")).body.sessions, []);
  assertEquals(await isAlive(process), false);
  assertEquals((await server.rest(`DELETE /api/v1/sessions/${id}`)).status, 404);
  assertEquals((await server.rest(`DELETE /api/v1/sessions/${crypto.randomUUID()}`)).status, 404);
  assertEquals(
    (await server.rest(`POST /api/v1/sessions/${id}/resume`)).body.message,
    "Session not found or not resumable",
  );
});

Deno.test("TASK-010-AC5 a hundred creates at once never exceed the limit", async () => {
  await using server = await TestServer.start({ env: { MAX_SESSIONS: "3" } });
  const answers = await Promise.all(Array.from({ length: 100 }, () => server.rest("POST /api/v1/sessions")));
  assertEquals(answers.filter(({ status }) => status === 201).length, 3);
  const refused = answers.filter(({ status }) => status === 503);
  assertEquals(refused.length, 97);
  assert(refused.every(({ body }) => body.error === "capacity_exceeded"));
  assertEquals((await server.rest("GET /api/v1/health/ready")).body.active_sessions, 3);
});

Deno.test("TASK-013-AC3, TASK-013-AC5 a second message is refused during a turn; an interrupt ends the turn, at any time", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const id = await client.create();
  client.say(id, "stream 5000 5");
  await client.next("stream_delta");
  client.say(id, "say too early");
  assertEquals((await client.next("error")).code, "query_in_progress");
  client.send({ type: "interrupt", session_id: id });
  client.send({ type: "interrupt", session_id: id });
  await client.next("stream_interrupted");
  client.send({ type: "interrupt", session_id: id });
  const from = client.frames.length;
  client.say(id, "stream 500 5");
  client.send({ type: "interrupt", session_id: id });
  assertEquals((await client.end(id, from)).type, "stream_interrupted");
  assertEquals(said(await client.turn(id, "say still here")), "still here");
  assertEquals(client.frames.filter(({ type }) => type === "stream_interrupted").length, 2);
});

Deno.test("a crash keeps what was said, tells to resume, and the next message goes on", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const id = await client.create();
  const frames = await client.turn(id, "say the beginning\ncrash");
  const error = frames.find((frame) => frame.type === "stream_error");
  assert(error?.type === "stream_error");
  assertEquals([error.suggested_action, error.partial_preserved], ["resume", true]);
  const after = await client.turn(id, "say and on");
  assert(after.some((frame) => frame.type === "session_ready" && frame.status === "resumed"));
  assertEquals(said(after), "and on");
  const { body } = await server.rest(`GET /api/v1/sessions/${id}/messages`);
  const texts = body.messages.map((message: { content: string }) => message.content);
  assertEquals(texts, ["say the beginning\ncrash", "the beginning", "say and on", "and on"]);
});

Deno.test("TASK-012-AC1, TASK-015-AC3 a restart of the server lets the turn end, leaves no process, and the conversation goes on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let id = "";
    {
      await using server = await TestServer.start({ folder });
      await using client = await server.connect();
      id = await client.create();
      client.say(id, "say first\nstream 40 10");
      await client.next("stream_delta");
      await server.stop();
      assertEquals((await client.closed.promise).code, 1012);
      assertEquals(client.frames.at(-1)?.type, "error");
      assertEquals(await markedBy(server), 0);
    }
    await using server = await TestServer.start({ folder });
    await using client = await server.connect();
    const [session] = (await client.next("session_list")).sessions;
    assertEquals([session?.session_id, session?.status, session?.is_resumable], [id, "idle", true]);
    client.send({ type: "switch_session", session_id: id });
    const { messages } = await client.next("session_history");
    assertEquals(messages.map(({ role }) => role), ["user", "assistant", "assistant"]);
    assert(messages.at(-1)!.content.endsWith("word40 "));
    const frames = await client.turn(id, "say again");
    assert(frames.some((frame) => frame.type === "session_ready" && frame.status === "resumed"));
    assertEquals(said(frames), "again");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("TASK-012-AC2 an unknown or ended session is not resumed", async () => {
  await using server = await TestServer.start();
  const unknown = await server.rest(`POST /api/v1/sessions/${crypto.randomUUID()}/resume`);
  assertEquals(unknown.status, 404);
  const { body: { session_id: id } } = await server.rest("POST /api/v1/sessions");
  await server.rest(`DELETE /api/v1/sessions/${id}`);
  const { status, body } = await server.rest(`POST /api/v1/sessions/${id}/resume`);
  assertEquals([status, body.error, body.message], [409, "not_resumable", "Session not found or not resumable"]);
});

Deno.test("TASK-012-AC3 a conversation that the coding agent lost becomes a fresh one, with a notice", async () => {
  await using server = await TestServer.start();
  // There the demo keeps what it remembers.
  await Deno.mkdir(`${server.folder}/.git/hearth-demo`, { recursive: true });
  await using client = await server.connect();
  await server.rest("POST /api/v1/sessions");
  const id = await client.create();
  await client.turn(id, "say hello");
  await client.turn(id, "crash");
  for await (const { name } of Deno.readDir(`${server.folder}/.git/hearth-demo`)) {
    await Deno.writeTextFile(`${server.folder}/.git/hearth-demo/${name}`, "{ no memory");
  }
  const frames = await client.turn(id, "say fresh");
  const ready = frames.find((frame) => frame.type === "session_ready");
  assert(ready?.type === "session_ready");
  assertEquals([ready.status, ready.message], ["new", "Previous session could not be restored"]);
  assertEquals(said(frames), "fresh");
});

Deno.test("destroying a session while it is made leaves nothing behind", async () => {
  const folder = await Deno.makeTempDir();
  const command = await shellAgent(folder, { onStart: `[ -e ${folder}/hang ] && sleep 1000`, onPrompt: ":" });
  {
    await using server = await TestServer.start({
      folder,
      env: { MAX_SESSIONS: "2", CODING_AGENT_COMMAND: command },
    });
    await using client = await server.connect();
    await Deno.writeTextFile(`${folder}/hang`, "");
    // The first takes the one warm process, so the second is started cold, and not ready before it is ended.
    client.send({ type: "create_session" });
    client.send({ type: "create_session" });
    await client.next("session_creating");
    const { sessions } = (await server.rest("GET /api/v1/sessions")).body;
    const making = sessions.find((session: { status: string }) => session.status === "creating");
    client.send({ type: "destroy_session", session_id: making.session_id });
    await client.next("session_terminated");
    assertEquals((await server.rest("GET /api/v1/health/ready")).body.active_sessions, 1);
    assertEquals((await server.rest("GET /api/v1/sessions")).body.sessions.length, 1);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("TASK-018-AC1, TASK-018-AC2, TASK-018-AC4 failures are told in our words, with what to do", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const id = await client.create();
  const failure = async (text: string) => {
    const frames = await client.turn(id, `fail ${text}`);
    const frame = frames.find((each) => each.type === "stream_error");
    assert(frame?.type === "stream_error");
    return frame;
  };
  const late = await failure("Request timed out after 600000ms at internal_host_7");
  assertEquals([late.error, late.suggested_action, late.partial_preserved], [
    "Response interrupted. You can retry.",
    "retry",
    true,
  ]);
  assertMatch((await failure("429 rate_limit_error from upstream xyz")).error, /temporarily busy/);
  assertEquals((await failure("401 invalid x-api-key sk-ant-abcdefghijklmnop")).suggested_action, "check_key");
  await failure("Traceback: KeyError in frobnicate()");
  const all = JSON.stringify(client.frames);
  for (const raw of ["internal_host_7", "xyz", "frobnicate", "KeyError", "sk-ant"]) assert(!all.includes(raw), raw);
});

Deno.test("reconnecting in the middle of a turn shows everything, once", async () => {
  await using server = await TestServer.start();
  const first = await server.connect();
  const id = await first.create();
  first.say(id, "stream 600 10");
  await first.next("stream_delta");
  await first.close();
  await using second = await server.connect();
  second.send({ type: "switch_session", session_id: id });
  const history = await second.next("session_history");
  await second.next("response_complete");
  const begun = history.messages.find(({ role }) => role === "assistant");
  const later = second.frames.flatMap((frame) => frame.type === "stream_delta" ? [frame] : []);
  assert(later.every(({ seq }) => seq > history.seq));
  const whole = (begun?.content ?? "") + later.map(({ delta }) => delta).join("");
  assertEquals(whole, Array.from({ length: 600 }, (_, i) => `word${i + 1} `).join(""));
});

Deno.test("TASK-013-AC4 a session that is opened elsewhere closes the older connection", async () => {
  await using server = await TestServer.start();
  const first = await server.connect();
  const id = await first.create();
  await using second = await server.connect();
  second.send({ type: "switch_session", session_id: id });
  await second.next("session_history");
  assertEquals((await first.closed.promise).code, 4001);
  const last = first.frames.at(-1);
  assert(last?.type === "error" && last.code === "session_opened_elsewhere");
  assertEquals(said(await second.turn(id, "say here now")), "here now");
});

/** Duration, memory and idleness, with short limits, over real processes. */
import { assert, assertEquals } from "@std/assert";
import { isAlive, listProcesses } from "../../../lib/processes.ts";
import { setClock } from "../../set_clock.ts";
import { eventually } from "../node/node_harness.ts";
import { said, TestServer } from "./server.ts";

const OFTEN = { memoryEveryMs: 100, durationEveryMs: 100 };
const MIB = 1024 * 1024;

async function processOf(server: TestServer, id: string) {
  const line = server.lines.findLast((text) => text.includes("session_opened") && text.includes(id));
  const { pid } = JSON.parse(line!);
  return (await listProcesses()).find((process) => process.pid === pid)!;
}

Deno.test("TASK-011-AC1, TASK-011-AC2 a session is warned of its end, its turn may end, and it can be resumed", async () => {
  await using server = await TestServer.start({
    config: { maxSessionDurationMs: 8_000, durationWarningPercent: 50 },
    options: { monitor: OFTEN, turnGraceMs: 20_000 },
  });
  await using client = await server.connect();
  const id = await client.create();
  // Longer than the session may last.
  client.say(id, "stream 300 30");
  const warning = await client.next("session_warning");
  assertEquals(warning.reason, "duration");
  assert(warning.remaining_seconds >= 1 && warning.remaining_seconds <= 4, `${warning.remaining_seconds}`);
  const ended = await client.next("session_terminated");
  assertEquals([ended.reason, ended.resume_url], ["duration", `/chat?resume=${id}`]);
  const order = client.frames.map(({ type }) => type);
  assert(
    order.indexOf("response_complete") > 0 && order.indexOf("response_complete") < order.indexOf("session_terminated"),
  );
  assertEquals(order.filter((type) => type === "session_warning").length, 1);
  assert(said(client.frames).endsWith("word300 "));
  const { body } = await server.rest(`GET /api/v1/sessions/${id}`);
  assertEquals([body.status, body.is_resumable], ["terminated", true]);
  assertEquals((await server.rest(`POST /api/v1/sessions/${id}/resume`)).status, 200);
});

Deno.test("TASK-011-AC2 a turn that does not end in its grace is interrupted", async () => {
  await using server = await TestServer.start({
    config: { maxSessionDurationMs: 5_000 },
    options: { monitor: OFTEN, turnGraceMs: 300 },
  });
  await using client = await server.connect();
  const id = await client.create();
  client.say(id, "wait 60000");
  await client.next("session_terminated");
  const order = client.frames.map(({ type }) => type);
  assert(order.indexOf("stream_interrupted") > 0);
  assertEquals(order.at(-1), "session_terminated");
});

Deno.test("TASK-011-AC3, TASK-018-AC3 a coding agent that takes too much memory is started anew with its conversation", async () => {
  await using server = await TestServer.start({
    config: { maxSessionRssBytes: 400 * MIB },
    options: { monitor: OFTEN, turnGraceMs: 500 },
  });
  await using client = await server.connect();
  const id = await client.create();
  await client.turn(id, "say before");
  const before = await processOf(server, id);
  // A tool of the session that holds memory: the whole tree counts.
  client.say(id, "run head -c 350000000 /dev/zero | tail -c 350000000 | (sleep 20; wc -c)");
  const { message } = await client.next("session_restarting");
  assertEquals(message, "Session restarted for performance. Conversation preserved.");
  const ready = await client.next("session_ready", { where: (frame) => frame.status === "resumed" });
  assertEquals(ready.session_id, id);
  assertEquals(await isAlive(before), false);
  assertEquals(said(await client.turn(id, "say after")), "after");
});

Deno.test("a coding agent over twice its memory is ended at once, and can be resumed", async () => {
  await using server = await TestServer.start({
    config: { maxSessionRssBytes: 10 * MIB },
    options: { monitor: OFTEN },
  });
  await using client = await server.connect();
  client.send({ type: "create_session" });
  const ended = await client.next("session_terminated");
  assertEquals(ended.reason, "memory_limit");
  const { body } = await server.rest(`GET /api/v1/sessions/${ended.session_id}`);
  assertEquals([body.status, body.is_resumable], ["terminated", true]);
});

Deno.test("TASK-019-AC1, TASK-019-AC2 an idle session loses its process, stays, and comes back", async () => {
  await using server = await TestServer.start({
    config: { sessionIdleTimeoutMs: 3_000, sessionIdleGraceMs: 3_000 },
    options: { monitor: OFTEN },
  });
  await using client = await server.connect();
  const id = await client.create();
  const statuses = new Set<string>();
  const process = await processOf(server, id);
  client.say(id, "wait 4000");
  await client.next("response_complete");
  assertEquals((await server.rest(`GET /api/v1/sessions/${id}`)).body.status, "active");
  await eventually(async () => {
    const { body } = await server.rest(`GET /api/v1/sessions/${id}`);
    statuses.add(`${body.status} ${await isAlive(process)}`);
    return client.frames.some(({ type }) => type === "session_terminated");
  });
  assert(statuses.has("idle true"), [...statuses].join());
  assertEquals(await isAlive(process), false);
  const { body } = await server.rest(`GET /api/v1/sessions/${id}`);
  assertEquals([body.status, body.is_resumable], ["idle", true]);
  assertEquals((await server.rest("GET /api/v1/health/ready")).body.active_sessions, 0);
  assertEquals(said(await client.turn(id, "say back")), "back");
});

Deno.test("a machine's clock that is set forward ends no session", async () => {
  await using server = await TestServer.start({ options: { monitor: OFTEN } });
  await using client = await server.connect();
  const id = await client.create();
  using _tomorrow = setClock(86_400_000);
  // Long enough for several looks at the time; what they began would end before the second turn.
  await client.turn(id, "wait 1000");
  assertEquals(said(await client.turn(id, "say still today")), "still today");
  assertEquals(client.frames.filter(({ type }) => type === "session_warning" || type === "session_terminated"), []);
});

Deno.test("TASK-011-AC4 a marked process that belongs to no session is ended, one that ignores SIGTERM too", async () => {
  await using server = await TestServer.start({ options: { monitor: OFTEN } });
  const instance = (await Deno.readTextFile(`${server.folder}/sessions.db.state/instance-id`)).trim();
  const orphan = new Deno.Command("sh", {
    args: ["-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"],
    env: { HEARTH_SESSION: `${instance}/gone` },
    stdout: "piped",
    detached: true,
  }).spawn();
  const reader = orphan.stdout.getReader();
  await reader.read();
  assertEquals((await orphan.status).signal, "SIGKILL");
  await reader.cancel();
  assert(server.lines.some((line) => line.includes("zombie_cleaned") && line.includes(`${orphan.pid}`)));
});

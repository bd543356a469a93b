/** A coding agent that hangs before it is ready, a service that refuses starts, a disk that fills. */
import { assert, assertEquals } from "@std/assert";
import { eventually } from "../node/node_harness.ts";
import { said, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

const ANSWER = `update '{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"yes"}}'
  answer '{"stopReason":"end_turn"}'`;

Deno.test("a coding agent that hangs in its handshake fails its own session in time, and no other", async () => {
  const folder = await Deno.makeTempDir();
  const onStart = `[ -e ${folder}/hang ] && sleep 1000`;
  const command = await shellAgent(folder, { onStart, onPrompt: ANSWER });
  try {
    await using server = await TestServer.start({
      folder,
      env: { CODING_AGENT_COMMAND: command },
      config: { prewarmTimeoutMs: 5_000 },
    });
    await using client = await server.connect();
    const first = await client.create();
    const pool = () => server.rest("GET /api/v1/health/ready").then(({ body }) => body.pool_depth);
    await eventually(async () => await pool() === 1);
    await Deno.writeTextFile(`${folder}/hang`, "");
    // The warm one is taken; the next is started cold, and hangs, as does the one that is to be warm.
    await client.create();
    const from = client.frames.length;
    client.send({ type: "create_session" });
    await client.next("session_creating", { from });
    assertEquals(said(await client.turn(first, "are you there?")), "yes");
    assertEquals((await client.next("error", { from })).code, "internal_error");
    assertEquals((await server.rest("GET /api/v1/health/ready")).body.active_sessions, 2);
    assertEquals((await server.rest("GET /api/v1/sessions")).body.sessions.length, 2);
    await Deno.remove(`${folder}/hang`);
    assertEquals((await server.rest("POST /api/v1/sessions")).status, 201);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a server whose every coding agent hangs gives up in time", async () => {
  const folder = await Deno.makeTempDir();
  const command = await shellAgent(folder, { onStart: "sleep 1000", onPrompt: ":" });
  const started = TestServer.start({
    folder,
    env: { CODING_AGENT_COMMAND: command },
    config: { prewarmTimeoutMs: 300 },
  });
  const failure = await started.then(() => null, (error: Error) => error);
  assert(failure?.message.includes("no_coding_agent"), `${failure}`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a start that the model's service refuses is tried again after the back-off, not before", async () => {
  const folder = await Deno.makeTempDir();
  const refuse = `echo "$EPOCHREALTIME" >> ${folder}/refused
    echo '{"jsonrpc":"2.0","id":'"$(sed -n 's/.*"id":\\([0-9]*\\).*/\\1/p' <<< "$line")"',"error":{"code":-32603,"message":"429 rate_limit_error"}}'
    continue`;
  const command = await shellAgent(folder, {
    onStart: `if [ -e ${folder}/limited ]; then ${refuse}; fi`,
    onPrompt: ANSWER,
  });
  try {
    await using server = await TestServer.start({
      folder,
      env: { CODING_AGENT_COMMAND: command },
      config: { prewarmBackoffMs: 1_500 },
    });
    const pool = () => server.rest("GET /api/v1/health/ready").then(({ body }) => body.pool_depth);
    await Deno.writeTextFile(`${folder}/limited`, "");
    await server.rest("POST /api/v1/sessions");
    const times = async () =>
      (await Deno.readTextFile(`${folder}/refused`).catch(() => "")).trim().split("\n").filter(Boolean).map(Number);
    await eventually(async () => (await times()).length >= 2);
    const [first = 0, second = 0] = await times();
    assert(second - first >= 1.4, `${second - first} s`);
    await Deno.remove(`${folder}/limited`);
    await eventually(async () => await pool() === 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("below a fifth of free disk there is a warning, below a twentieth no new session", async () => {
  let free = 4;
  const readDisk = () => Promise.resolve({ bavail: free, blocks: 100 });
  await using server = await TestServer.start({ options: { monitor: { diskEveryMs: 20, readDisk } } });
  const create = () => server.rest("POST /api/v1/sessions");
  await eventually(async () => (await create()).status === 503);
  assertEquals((await create()).body.error, "capacity_exceeded");
  assert(server.lines.some((line) => line.includes("disk_low") && line.includes('"freePercent":4')));
  free = 5;
  await eventually(async () => (await create()).status === 201);
  const warned = () => server.lines.filter((line) => line.includes("disk_low")).length;
  free = 20;
  let before = -1;
  await eventually(async () => {
    const [last, now] = [before, before = warned()];
    await new Promise((resolve) => setTimeout(resolve, 100));
    return last === now;
  });
});

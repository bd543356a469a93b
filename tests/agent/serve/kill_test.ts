/** The server killed outright, and coding agents that misbehave: nothing is left, and nobody else is harmed. */
import { assert, assertEquals } from "@std/assert";
import { listProcesses, selectMarked } from "../../../lib/processes.ts";
import { Client, KEY, said, TestServer } from "./server.ts";
import { spawnServer } from "./server_process.ts";
import { shellAgent } from "./shell_agent.ts";

async function marked(folder: string): Promise<number> {
  const instance = (await Deno.readTextFile(`${folder}/s.db.state/instance-id`)).trim();
  return (await selectMarked(await listProcesses(), `${instance}/`)).length;
}

Deno.test("kill -9 of the server leaves no process after the next start, and the conversation can be gone on with", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const first = await spawnServer(folder);
    const client = await Client.open(first.socketUrl);
    const id = await client.create();
    client.say(id, "run trap '' TERM; sleep 1000");
    await client.next("tool_use");
    await first.end("SIGKILL");
    await client.closed.promise;
    assert(await marked(folder) > 0);
    const second = await spawnServer(folder);
    const [session] = await (await fetch(`${second.url}/api/v1/sessions`, { headers: { "x-api-key": KEY } })).json()
      .then((body) => body.sessions);
    assertEquals([session.session_id, session.status], [id, "idle"]);
    const again = await Client.open(second.socketUrl);
    again.send({ type: "switch_session", session_id: id });
    const { messages } = await again.next("session_history");
    // Nothing will end the tool that ran, so it is not shown as running.
    assertEquals(messages.map(({ tool, partial }) => [tool?.status, partial]), [[undefined, undefined], [
      "error",
      true,
    ]]);
    assertEquals(said(await again.turn(id, "say on we go")), "on we go");
    await again.close();
    await second.end("SIGTERM");
    assertEquals(await marked(folder), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What says nothing that could be a message is silence. */
const SOON = { TURN_STALL_TIMEOUT_MS: "4000" };
const MISDEEDS: Record<string, string> = {
  "writes garbage and ends": "head -c 100000 /dev/urandom; exit 3",
  "closes its pipes": "exec 1>&- 0<&-; sleep 1000",
  "writes one line without end": "head -c 50000000 /dev/zero | tr '\\0' x; sleep 1000",
  "writes one message without end": "echo -n '{'; head -c 50000000 /dev/zero | tr '\\0' x; sleep 1000",
  "forks and ignores SIGTERM": "trap '' TERM; (trap '' TERM; sleep 1000) & kill -9 $$",
};

for (const [name, misdeed] of Object.entries(MISDEEDS)) {
  Deno.test(`a coding agent that ${name} ends its turn with an error, and the server goes on`, async () => {
    const folder = await Deno.makeTempDir();
    const command = await shellAgent(folder, { onPrompt: misdeed });
    {
      await using server = await TestServer.start({ folder, env: { CODING_AGENT_COMMAND: command, ...SOON } });
      await using client = await server.connect();
      const id = await client.create();
      const frames = await client.turn(id, "do it");
      const last = frames.find(({ type }) => type === "stream_error");
      assert(last?.type === "stream_error", JSON.stringify(frames));
      assertEquals((await server.rest("GET /api/v1/health/live")).status, 200);
      await client.create();
    }
    const instance = (await Deno.readTextFile(`${folder}/sessions.db.state/instance-id`)).trim();
    assertEquals(await selectMarked(await listProcesses(), `${instance}/`), []);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("a flood of output is cut off, and another session streams on", async () => {
  await using server = await TestServer.start({ env: { PREWARM_POOL_SIZE: "2" } });
  await using client = await server.connect();
  await using other = await server.connect();
  const [flooded, quiet] = [await client.create(), await other.create()];
  client.say(flooded, "run head -c 100000000 /dev/zero | tr '\\0' 'x'\nsay over");
  assertEquals(said(await other.turn(quiet, "say not disturbed")), "not disturbed");
  await client.end(flooded);
  const result = await client.next("tool_result");
  assert(result.result.length <= 40_000, `${result.result.length}`);
});

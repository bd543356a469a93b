/** Who comes back to a session: after a drop in a silent turn, after it was let go, after nobody watched it. */
import { assert, assertEquals } from "@std/assert";
import { listProcesses, selectMarked } from "../../../lib/processes.ts";
import { eventually } from "../node/node_harness.ts";
import type { Client } from "./server.ts";
import { said, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

const OFTEN = { memoryEveryMs: 100, durationEveryMs: 50 };
const numbers = (client: Client) =>
  client.frames.flatMap((frame) => "seq" in frame && "session_id" in frame && frame.seq > 0 ? [frame.seq] : []);

Deno.test("who comes back while a tool runs in silence is told that a turn is under way, and sees the tool once", async () => {
  await using server = await TestServer.start();
  const first = await server.connect();
  const id = await first.create();
  first.say(id, `run until [ -e ${server.folder}/go ]; do sleep 0.05; done`);
  const begun = await first.next("tool_use");
  await first.close();
  await using second = await server.connect();
  second.send({ type: "switch_session", session_id: id });
  const history = await second.next("session_history");
  const shown = await second.next("stream_delta");
  assertEquals([shown.delta, shown.seq > history.seq], ["", true]);
  const tool = history.messages.find(({ role }) => role === "tool")?.tool;
  assertEquals([tool?.tool_use_id, tool?.status], [begun.tool_use_id, "executing"]);
  await Deno.writeTextFile(`${server.folder}/go`, "");
  assertEquals((await second.next("tool_result")).tool_use_id, begun.tool_use_id);
  assertEquals((await second.end(id)).type, "response_complete");
  // Nothing is said of a turn where none is.
  await using third = await server.connect();
  third.send({ type: "switch_session", session_id: id });
  await third.next("session_history");
  third.send({ type: "switch_session", session_id: crypto.randomUUID() });
  await third.next("error");
  assertEquals(third.frames.filter(({ type }) => type === "stream_delta"), []);
});

Deno.test("an interrupt while a lost coding agent is started again ends the turn, and nothing is asked of it", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const id = await client.create();
  await client.turn(id, "crash");
  const from = client.frames.length;
  client.say(id, `run touch ${server.folder}/asked`);
  client.send({ type: "interrupt", session_id: id });
  assertEquals((await client.end(id, from)).type, "stream_interrupted");
  assertEquals(said(await client.turn(id, "say here")), "here");
  assertEquals(await Deno.stat(`${server.folder}/asked`).catch(() => null), null);
});

Deno.test("a session that another window ends is told to both, and takes neither from its other sessions", async () => {
  await using server = await TestServer.start({ env: { PREWARM_POOL_SIZE: "2" } });
  await using first = await server.connect();
  const [ended, kept] = [await first.create(), await first.create()];
  await using second = await server.connect();
  second.send({ type: "destroy_session", session_id: ended });
  const told = [await second.next("session_terminated"), await first.next("session_terminated")];
  assertEquals(told.map(({ session_id, reason }) => [session_id, reason]), [
    [ended, "user_requested"],
    [ended, "user_requested"],
  ]);
  assertEquals(said(await first.turn(kept, "say still mine")), "still mine");
});

Deno.test("a session that was let go keeps its numbers, its turns and its conversation for who stayed", async () => {
  await using server = await TestServer.start({
    config: { sessionIdleTimeoutMs: 200, sessionIdleGraceMs: 200 },
    options: { monitor: OFTEN },
  });
  await using client = await server.connect();
  const id = await client.create();
  await client.turn(id, "say one");
  await client.next("session_terminated", { where: ({ reason }) => reason === "idle" });
  const frames = await client.turn(id, "say two");
  assertEquals(said(frames), "two");
  const done = frames.findLast((frame) => frame.type === "response_complete");
  assert(done?.type === "response_complete");
  assertEquals(done.turn_count, 2);
  const seen = numbers(client);
  assertEquals(seen, seen.toSorted((a, b) => a - b));
  assertEquals(new Set(seen).size, seen.length);
  await using again = await server.connect();
  again.send({ type: "switch_session", session_id: id });
  assertEquals((await again.next("session_history")).messages.map(({ content }) => content), [
    "say one",
    "one",
    "say two",
    "two",
  ]);
});

Deno.test("a turn that nobody watches any more is interrupted where that is asked for, and not before", async () => {
  await using server = await TestServer.start({ config: { orphanTurnTimeoutMs: 500 } });
  const client = await server.connect();
  const id = await client.create();
  const instance = (await Deno.readTextFile(`${server.folder}/sessions.db.state/instance-id`)).trim();
  const sleepers = async () => {
    const found = await selectMarked(await listProcesses(), `${instance}/`);
    const lines = found.map(({ pid }) => Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => ""));
    return (await Promise.all(lines)).filter((line) => line.startsWith("sleep\x004321")).length;
  };
  client.say(id, "run sleep 4321");
  await client.next("tool_use");
  await eventually(async () => await sleepers() === 1);
  // It is watched for longer than the limit.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assertEquals(await sleepers(), 1);
  await client.close();
  await eventually(async () => await sleepers() === 0);
  await using back = await server.connect();
  // The command's process is gone a moment before the coding agent tells of it.
  await eventually(async () => {
    back.send({ type: "switch_session", session_id: id });
    const { messages } = await back.next("session_history");
    return messages.at(-1)?.tool?.status === "error";
  });
  assertEquals(said(await back.turn(id, "say here again")), "here again");
});

Deno.test("a coding agent that cannot reopen conversations is given a summary, and the client is told", async () => {
  const folder = await Deno.makeTempDir();
  const piece = '{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"It is 42."}}';
  const onPrompt = `echo "$line" >> ${folder}/asked; update '${piece}'; answer '{"stopReason":"end_turn"}'`;
  const command = await shellAgent(folder, { onPrompt });
  try {
    let id = "";
    {
      await using server = await TestServer.start({ folder, env: { CODING_AGENT_COMMAND: command } });
      await using client = await server.connect();
      id = await client.create();
      await client.turn(id, "What is the answer?");
    }
    await using server = await TestServer.start({ folder, env: { CODING_AGENT_COMMAND: command } });
    await using client = await server.connect();
    const frames = await client.turn(id, "Why?");
    const ready = frames.find((frame) => frame.type === "session_ready");
    assert(ready?.type === "session_ready" && ready.status === "resumed");
    assert(ready.message?.includes("summary"), ready.message);
    const asked = (await Deno.readTextFile(`${folder}/asked`)).trim().split("\n").at(-1) ?? "";
    for (const part of ["What is the answer?", "It is 42.", "Why?"]) assert(asked.includes(part), asked);
    // Once is enough.
    await client.turn(id, "And then?");
    const last = (await Deno.readTextFile(`${folder}/asked`)).trim().split("\n").at(-1) ?? "";
    assert(last.includes("And then?") && !last.includes("42"), last);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

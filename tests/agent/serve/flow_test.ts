/** The chat engine's main way, over real processes, a real database and real sockets. */
import { assert, assertEquals } from "@std/assert";
import { said, TestServer } from "./server.ts";

Deno.test("TASK-028-AC1, TASK-013-AC2, TASK-010-AC3 connect, create, ask, and the answer streams in order", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  assertEquals((await client.next("session_list")).sessions, []);
  const id = await client.create();
  const frames = await client.turn(id, "say hello world, this is a longer answer\nrun echo out");
  const types = frames.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
  assertEquals(types, ["message_received", "stream_delta", "tool_use", "tool_result", "response_complete"]);
  assertEquals(said(frames), "hello world, this is a longer answer");
  const seqs = frames.flatMap((frame) => frame.type !== "message_received" && "seq" in frame ? [frame.seq] : []);
  assertEquals(seqs, seqs.map((_, i) => seqs[0]! + i));
  const result = frames.find((frame) => frame.type === "tool_result");
  assert(result?.type === "tool_result" && result.result.includes("out") && result.status === "success");
});

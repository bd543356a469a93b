/** Readers that do not read: they lose live text first, then the socket, and cost nobody else anything. */
import { assert, assertEquals } from "@std/assert";
import { startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "./follower.ts";
import { RawSocket } from "./raw_socket.ts";

const MIB = 1024 * 1024;
/** More than the edge and both ends' kernels hold back. */
const MUCH = 40 * MIB;

Deno.test("a reader that does not read is closed with 1013 after 8 MiB, while others get everything", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const path = `/api/projects/${running.projectId}/ws?session=${running.sessionId}`;
  const headers = { authorization: `Bearer ${test.admin.key}` };
  using slow = await RawSocket.open(test.url, path, headers);
  assert((await slow.read())!.payload.length > 0, "the greeting");
  await using quick = SocketFollower.on(test, path, test.admin);
  await quick.first("hello");

  const large = "x".repeat(32 * 1024);
  const batches = MUCH / (7 * large.length);
  for (let i = 0; i < batches; i++) {
    assertEquals((await running.post(running.batch(...Array<string>(7).fill(large)))).status, 200);
  }
  const last = (await running.readSession()).lastSeq;
  await quick.first("session.updated", (frame) => frame.session.lastSeq === last);
  assertEquals(quick.ofType("message.new").at(-1)!.message.seq, last);

  const { bytes, code } = await slow.drain();
  assertEquals(code, 1013);
  assert(bytes > 8 * MIB && bytes < MUCH, `${bytes} bytes came before the end`);
});

Deno.test("live text is dropped for a reader that does not read, but not its socket nor what is stored", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const path = `/api/projects/${running.projectId}/ws?session=${running.sessionId}`;
  using slow = await RawSocket.open(test.url, path, { authorization: `Bearer ${test.admin.key}` });
  await slow.read();
  await using quick = SocketFollower.on(test, path, test.admin);
  await quick.first("hello");

  const text = "y".repeat(60 * 1024);
  const frames = Math.ceil(MUCH / text.length);
  for (let rev = 1; rev <= frames; rev++) {
    running.agent.sendFrame({
      type: "live",
      workspaceId: running.workspaceId,
      messageId: "01970000-0000-7000-8000-0000000000aa",
      role: "assistant",
      rev,
      at: 0,
      text,
    });
    if (rev % 10 === 0 || rev === frames) await quick.first("message.live", (frame) => frame.rev === rev);
  }
  await running.post(running.batch("stored"));
  await quick.first("message.new");

  let bytes = 0;
  for (let stored = false; !stored;) {
    const frame = await slow.read();
    assertEquals(frame?.opcode, 1, "still open");
    bytes += frame!.payload.length;
    stored = new TextDecoder().decode(frame!.payload).includes('"message.new"');
  }
  assert(bytes < MUCH / 2, `${bytes} bytes of live text were not dropped`);
});

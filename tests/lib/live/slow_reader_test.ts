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
  // The session comes in its newest state with every commit, so it may be ahead of the messages.
  await quick.first("message.new", (frame) => frame.message.seq === last);
  assertEquals(quick.ofType("message.new").length, last - 1);

  const { bytes, code } = await slow.drain();
  assertEquals(code, 1013);
  assert(bytes > 8 * MIB && bytes < MUCH, `${bytes} bytes came before the end`);
});

Deno.test("live text is dropped for a reader that does not read, but not its socket nor what is stored", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const base = `/api/projects/${running.projectId}/ws?session=${running.sessionId}`;
  await using greeter = SocketFollower.on(test, base, test.admin);
  const path = `${base}&after=${(await greeter.first("hello")).cursor}`;
  using slow = await RawSocket.open(test.url, path, { authorization: `Bearer ${test.admin.key}` });
  await using quick = SocketFollower.on(test, path, test.admin);
  // Both follow when they have this.
  await running.post(running.batch("first"));
  await readMessage(slow, "first");
  await quick.first("message.new");

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

  const bytes = await readMessage(slow, "stored");
  assert(bytes < MUCH / 2, `${bytes} bytes of live text were not dropped`);
});

/** Reads on until a stored message has come; returns the bytes that were read. */
async function readMessage(socket: RawSocket, content: string): Promise<number> {
  for (let bytes = 0;;) {
    const frame = await socket.read();
    assertEquals(frame?.opcode, 1, "still open");
    bytes += frame!.payload.length;
    const text = new TextDecoder().decode(frame!.payload);
    if (text.includes('"message.new"') && text.includes(`"${content}"`)) return bytes;
  }
}

/** Clients that read slowly or not at all: others are not held up, and memory does not grow with what they leave. */
import { assert, assertEquals } from "@std/assert";
import { FrameQueue, type Sink } from "../../../agent/serve/frame_queue.ts";
import { makeFrame, type ServerFrame } from "../../../lib/wire/chat_engine.ts";
import { eventually } from "../node/node_harness.ts";
import { KEY, said, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

const SESSION = "0190b0a0-0000-7000-8000-000000000001";
const delta = (text: string, seq: number) => makeFrame("stream_delta", { session_id: SESSION, delta: text, seq });

/** A socket whose reader takes what it is allowed to. */
function slowSocket() {
  const sent: ServerFrame[] = [];
  const closes: number[] = [];
  const sink: Sink & { bufferedAmount: number } = {
    bufferedAmount: 0,
    readyState: WebSocket.OPEN,
    send: (text) => void sent.push(JSON.parse(String(text))),
    close: (code) => void closes.push(code ?? 0),
  };
  return { sink, sent, closes };
}

Deno.test("above 1 MB unread the deltas of one answer are joined, and what is between keeps its place", async () => {
  const { sink, sent } = slowSocket();
  const queue = new FrameQueue(sink, () => {});
  queue.send(delta("first ", 1));
  sink.bufferedAmount = 1_000_001;
  for (let n = 2; n <= 5; n++) queue.send(delta(`${n} `, n));
  queue.send(makeFrame("stream_interrupted", { session_id: SESSION, seq: 6 }));
  queue.send(delta("next", 7));
  assertEquals(sent.length, 1);
  sink.bufferedAmount = 0;
  await eventually(() => sent.length >= 4);
  assertEquals(sent.map((frame) => [frame.type, "seq" in frame && frame.seq]), [
    ["stream_delta", 1],
    ["stream_delta", 5],
    ["stream_interrupted", 6],
    ["stream_delta", 7],
  ]);
  assertEquals(said(sent), "first 2 3 4 5 next");
  queue.stop();
});

Deno.test("a client that reads slowly but all the time is not closed for what it has read", async () => {
  const { sink, sent, closes } = slowSocket();
  const { send } = sink;
  sink.send = (text) => {
    sink.bufferedAmount += String(text).length;
    send(text);
  };
  const queue = new FrameQueue(sink, () => {});
  const piece = "x".repeat(500_000);
  // Of two sessions in turn, so that none can be joined to the one before; some always wait.
  const push = (n: number) => queue.send({ ...delta(piece, n), session_id: n % 2 ? SESSION : crypto.randomUUID() });
  let pushed = 0;
  for (; pushed < 8; pushed++) push(pushed);
  for (let round = 0; round < 10; round++) {
    sink.bufferedAmount = 0;
    const before = sent.length;
    await eventually(() => sent.length > before);
    for (const until = pushed + sent.length - before; pushed < until; pushed++) push(pushed);
  }
  assertEquals(closes, []);
  assert(sent.length > 20, `${sent.length} were read`);
  queue.stop();
});

Deno.test("above 8 MB unread the client is closed with 1013, and nothing is kept for it", () => {
  const { sink, sent, closes } = slowSocket();
  let told = 0;
  const queue = new FrameQueue(sink, () => told++);
  sink.bufferedAmount = 1_000_001;
  for (let n = 1; n <= 60; n++) queue.send(delta("x".repeat(100_000), n));
  assertEquals([closes, told], [[], 0]);
  queue.send(delta("x".repeat(1_100_000), 61));
  assertEquals([closes, told, sent.length], [[1013], 1, 0]);
});

/** A socket that shakes hands and then reads nothing until it is asked to. */
async function openDeaf(url: string) {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const head = [
    `GET /ws/v1/chat?api_key=${KEY} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa("0123456789abcdef")}`,
  ].join("\r\n");
  await connection.write(new TextEncoder().encode(`${head}\r\n\r\n`));
  await connection.read(new Uint8Array(1024));
  return {
    async say(text: string, seq: number, id: string) {
      const frame = JSON.stringify({ type: "user_message", session_id: id, text, seq });
      const bytes = new TextEncoder().encode(frame);
      // Masked with zeros, as a client has to; the length stands in one byte.
      assert(bytes.length < 126);
      await connection.write(new Uint8Array([0x81, 0x80 | bytes.length, 0, 0, 0, 0]));
      await connection.write(bytes);
    },
    /** Reads until the frame that closes. Answers how much came, and its code. */
    async readAll(): Promise<{ length: number; code: number }> {
      let [length, tail] = [0, new Uint8Array()];
      const buffer = new Uint8Array(1024 * 1024);
      for (let count = await connection.read(buffer); count; count = await connection.read(buffer)) {
        length += count;
        tail = new Uint8Array([...tail, ...buffer.slice(Math.max(0, count - 200), count)].slice(-200));
        const at = tail.lastIndexOf(0x88);
        if (at !== -1 && tail[at + 1] === tail.length - at - 2) {
          return { length, code: tail[at + 2]! << 8 | tail[at + 3]! };
        }
      }
      return { length, code: 0 };
    },
    close: () => connection.close(),
  };
}

Deno.test("a client that reads nothing is closed, and a session beside it streams on", async () => {
  const folder = await Deno.makeTempDir();
  // 12 MB an answer, in pieces that are written as fast as they are taken.
  const flood = 'for i in $(seq 120); do echo "$chunk"; done; answer \'{"stopReason":"end_turn"}\'';
  const piece =
    '{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"\'"$text"\'"}}';
  const onStart = `text=$(head -c 100000 /dev/zero | tr '\\0' x); chunk=$(update '${piece}')`;
  const command = await shellAgent(folder, { onStart, onPrompt: flood });
  {
    await using server = await TestServer.start({ folder, env: { CODING_AGENT_COMMAND: command } });
    const { body: { session_id: id } } = await server.rest("POST /api/v1/sessions");
    const deaf = await openDeaf(server.url);
    await using other = await server.connect();
    const own = await other.create();
    const isClosed = () => server.lines.some((line) => line.includes("reader_too_slow"));
    for (let turn = 1; turn <= 8 && !isClosed(); turn++) {
      await deaf.say("more", turn, id);
      for (const deadline = performance.now() + 20_000; performance.now() < deadline && !isClosed();) {
        const { body } = await server.rest(`GET /api/v1/sessions/${id}`);
        if (body.message_count >= turn * 2) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    assert(isClosed(), "what was not read was kept");
    assertEquals(said(await other.turn(own, "and me")).length, 12_000_000);
    const { length, code } = await deaf.readAll();
    assertEquals(code, 1013);
    assert(length > 1_000_000);
    deaf.close();
  }
  await Deno.remove(folder, { recursive: true });
});

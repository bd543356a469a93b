/**
 * The chat engine: how long a session takes from the warm pool and without it, to its first words; and how late text
 * is between the coding agent's pipe and a client's frame, alone and with twenty sessions at once.
 */
import { type Client, said, TestServer } from "../agent/serve/server.ts";
import { type Bench, type Figure, median, percentile, timed } from "./figure.ts";

const RUNS = 5;
const SESSIONS = 20;
const DELTAS = 100;
const APART_MS = 20;

async function measure(): Promise<Figure[]> {
  await using server = await TestServer.start({ env: { MAX_SESSIONS: "40", PREWARM_POOL_SIZE: "1" } });
  await using client = await server.connect();
  const [warm, cold, warmFirst, coldFirst]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let run = 0; run < RUNS; run++) {
    await untilWarm(server);
    warm.push(await createMs(client, warmFirst));
    cold.push(await createMs(client, coldFirst));
  }
  const alone = await lateness(client, 1);
  const together = await lateness(client, SESSIONS - 2 * RUNS);
  return [
    { name: "session from the warm pool, median", value: median(warm), unit: "ms", goal: { atMost: 100 } },
    { name: "session without the pool, median", value: median(cold), unit: "ms" },
    {
      name: "first words, warm against cold",
      value: median(warmFirst) / median(coldFirst),
      unit: "ratio",
      goal: { atMost: 0.25 },
    },
    { name: "pipe → frame at 50 a second, p99", value: percentile(alone, 0.99), unit: "ms", goal: { atMost: 20 } },
    { name: "the same with twenty sessions, p99", value: percentile(together, 0.99), unit: "ms" },
  ];
}

async function untilWarm(server: TestServer): Promise<void> {
  for (;;) {
    const { body } = await server.rest("GET /api/v1/health/ready");
    if (body.pool_depth > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Milliseconds to a session; adds those to its first words to `first`. */
async function createMs(client: Client, first: number[]): Promise<number> {
  const started = performance.now();
  let id = "";
  const ms = await timed(async () => {
    id = await client.create();
  });
  const from = client.frames.length;
  client.say(id, "say hello");
  await client.next("stream_delta", { from, where: (frame) => frame.session_id === id });
  first.push(performance.now() - started);
  await client.end(id, from);
  return ms;
}

/** Each tool prints the time as its last act: what its result's frame comes later by lies between. */
async function lateness(client: Client, count: number): Promise<number[]> {
  const ids = new Set(client.frames.flatMap((frame) => frame.type === "session_ready" ? [frame.session_id] : []));
  while (ids.size < count) ids.add(await client.create());
  const late: number[] = [];
  const onMessage = ({ data }: MessageEvent) => {
    const frame = JSON.parse(String(data));
    const at = frame.type === "tool_result" ? Number(frame.result.match(/\d{13}/)?.[0]) : NaN;
    if (at > 0) late.push(Date.now() - at);
  };
  client.socket.addEventListener("message", onMessage);
  const text = [`stream ${DELTAS} ${APART_MS}`, ...Array.from({ length: 10 }, () => "run date +%s%3N")].join("\n");
  const from = client.frames.length;
  const chosen = [...ids].slice(0, count);
  for (const id of chosen) client.say(id, text);
  await Promise.all(chosen.map((id) => client.end(id, from)));
  client.socket.removeEventListener("message", onMessage);
  if (!said(client.frames.slice(from)).includes("word1 ")) throw new Error("nothing was streamed");
  return late;
}

export const bench: Bench = { title: "The chat engine: sessions and streaming", measure };

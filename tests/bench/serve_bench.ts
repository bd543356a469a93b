/**
 * The chat engine, as a process of its own: how long a session takes from the warm pool and without it, to its first
 * words; how late text is between the coding agent's pipe and a client's frame, alone and with twenty sessions at
 * once; and what an idle session costs the server in memory.
 */
import { readRss } from "../../agent/coding/memory.ts";
import { Client, KEY } from "../agent/serve/server.ts";
import { type ServerProcess, spawnServer } from "../agent/serve/server_process.ts";
import { type Bench, type Figure, median, percentile } from "./figure.ts";

const RUNS = 7;
const SESSIONS = 20;
const IDLE_SESSIONS = 100;
const DELTAS = 250;
const APART_MS = 20;
const CLOCK = new URL("clock_agent.ts", import.meta.url).pathname;
const ROOM = { MAX_SESSIONS: "200" };

async function measure(): Promise<Figure[]> {
  return [
    ...await withServer(ROOM, measureStarts),
    ...await withServer({ ...ROOM, CODING_AGENT_COMMAND: `${Deno.execPath()} run -A ${CLOCK}` }, measureDeltas),
    ...await withServer({ ...ROOM, CODING_AGENT_COMMAND: await sleeper() }, measureMemory),
  ];
}

async function withServer(
  env: Record<string, string>,
  work: (server: ServerProcess) => Promise<Figure[]>,
): Promise<Figure[]> {
  const folder = await Deno.makeTempDir();
  const server = await spawnServer(folder, env);
  try {
    return await work(server);
  } finally {
    await server.end("SIGTERM");
    await Deno.remove(folder, { recursive: true });
  }
}

/** With the demo: a real process that has to start, to shake hands and to open a session. */
async function measureStarts(server: ServerProcess): Promise<Figure[]> {
  await using client = await Client.open(server.socketUrl);
  const warm: Start[] = [];
  const cold: Start[] = [];
  for (let run = 0; run < RUNS; run++) {
    await untilWarm(server);
    warm.push(await start(client, "pre-warmed"));
    cold.push(await start(client, "cold-start"));
  }
  const [warmMs, coldMs] = [median(warm.map(({ readyMs }) => readyMs)), median(cold.map(({ readyMs }) => readyMs))];
  const words = median(warm.map(({ wordsMs }) => wordsMs)) / median(cold.map(({ wordsMs }) => wordsMs));
  return [
    { name: "a ready session from the warm pool, median", value: warmMs, unit: "ms", goal: { atMost: 100 } },
    { name: "a ready session without it, median", value: coldMs, unit: "ms" },
    { name: "first words, from the pool against without", value: words, unit: "ratio", goal: { atMost: 0.25 } },
  ];
}

async function untilWarm(server: ServerProcess): Promise<void> {
  for (;;) {
    const answer = await fetch(`${server.url}/api/v1/health/ready`, { headers: { "x-api-key": KEY } });
    if ((await answer.json()).pool_depth > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Start {
  /** To the ready session, and to its first words. */
  readyMs: number;
  wordsMs: number;
}

async function start(client: Client, source: "pre-warmed" | "cold-start"): Promise<Start> {
  const started = performance.now();
  const from = client.frames.length;
  client.send({ type: "create_session" });
  const ready = await client.next("session_ready", { from });
  const readyMs = performance.now() - started;
  if (ready.source !== source) throw new Error(`the session came from ${ready.source}, not ${source}`);
  client.say(ready.session_id, "say hello");
  await client.next("stream_delta", { from, where: (frame) => frame.session_id === ready.session_id });
  const wordsMs = performance.now() - started;
  await client.end(ready.session_id, from);
  // The next cold start is not to be shared with the one that fills the pool.
  return { readyMs, wordsMs };
}

async function measureDeltas(server: ServerProcess): Promise<Figure[]> {
  const clients: Client[] = [];
  const ids: string[] = [];
  for (let n = 0; n < SESSIONS; n++) {
    const client = await Client.open(server.socketUrl);
    clients.push(client);
    ids.push(await client.create());
  }
  await untilWarm(server);
  const alone = await lateness(clients.slice(0, 1), ids);
  const together = await lateness(clients, ids);
  for (const client of clients) await client.close();
  const note = `${APART_MS} ms apart`;
  return [
    { name: "pipe → frame, one session, median", value: median(alone), unit: "ms", note },
    { name: "pipe → frame, one session, p99", value: percentile(alone, 0.99), unit: "ms", goal: { atMost: 20 } },
    { name: "pipe → frame, twenty sessions, median", value: median(together), unit: "ms", note },
    { name: "pipe → frame, twenty sessions, p99", value: percentile(together, 0.99), unit: "ms", goal: { atMost: 20 } },
  ];
}

/** How many milliseconds after its writing each chunk was in the client's hands. */
async function lateness(clients: Client[], ids: string[]): Promise<number[]> {
  const late: number[] = [];
  const stop = new AbortController();
  for (const { socket } of clients) {
    socket.addEventListener("message", ({ data }) => {
      const now = performance.timeOrigin + performance.now();
      if (!String(data).includes('"stream_delta"')) return;
      for (const [, at] of String(data).matchAll(/(\d{13}\.\d{3});/g)) late.push(now - Number(at));
    }, { signal: stop.signal });
  }
  await Promise.all(clients.map(async (client, n) => await client.turn(ids[n] ?? "", `${DELTAS} ${APART_MS}`)));
  stop.abort();
  if (late.length !== clients.length * DELTAS) throw new Error(`${late.length} chunks came`);
  return late;
}

/** A coding agent of which a hundred fit on a small machine: only the server's own memory is asked for. */
async function sleeper(): Promise<string> {
  const { shellAgent } = await import("../agent/serve/shell_agent.ts");
  return await shellAgent(await Deno.makeTempDir(), { onPrompt: `answer '{"stopReason":"end_turn"}'` });
}

async function measureMemory(server: ServerProcess): Promise<Figure[]> {
  await using client = await Client.open(server.socketUrl);
  await client.turn(await client.create(), "hello");
  const before = await readRss(server.child.pid) ?? NaN;
  for (let n = 0; n < IDLE_SESSIONS; n++) await client.turn(await client.create(), "hello");
  const after = await readRss(server.child.pid) ?? NaN;
  return [
    { name: "memory of the server with one session", value: before / 1e6, unit: "MB" },
    { name: "more of it for each idle session", value: (after - before) / 1e6 / IDLE_SESSIONS, unit: "MB" },
  ];
}

export const bench: Bench = { title: "The chat engine: sessions, streaming, memory", measure };

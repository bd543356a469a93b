/**
 * The chat engine, as a process of its own: how long a session takes from the warm pool and without it, to its first
 * words; how late text is between the coding agent's pipe and a client's frame, alone and with twenty sessions at
 * once; and what an idle session and ten thousand connections that came and went cost the server in memory.
 */
import { readRss } from "../../agent/coding/memory.ts";
import { Client, KEY } from "../agent/serve/server.ts";
import { type ServerProcess, spawnServer } from "../agent/serve/server_process.ts";
import { type Bench, type Figure, median, percentile } from "./figure.ts";

const RUNS = 7;
const SESSIONS = 20;
const IDLE_SESSIONS = 50;
const CONNECTS = 10_000;
const CONNECTS_AT_ONCE = 50;
const DELTAS = 250;
const APART_MS = 20;
/** What Linux counts processor time in. */
const TICK_MS = 10;
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
  const bare = (await Promise.all(ids.map(bareLateness))).flat();
  const alone = await lateness(clients.slice(0, 1), ids);
  const before = await processorMs(server);
  const together = await lateness(clients, ids);
  const spentMs = (await processorMs(server) - before) / together.length;
  for (const client of clients) await client.close();
  const note = `${APART_MS} ms apart`;
  return [
    { name: "bare pipes, twenty at once, p99", value: percentile(bare, 0.99), unit: "ms", note: "no server between" },
    { name: "pipe → frame, one session, median", value: median(alone), unit: "ms", note },
    { name: "pipe → frame, one session, p99", value: percentile(alone, 0.99), unit: "ms", goal: { atMost: 20 } },
    { name: "pipe → frame, twenty sessions, median", value: median(together), unit: "ms", note },
    { name: "pipe → frame, twenty sessions, p99", value: percentile(together, 0.99), unit: "ms", goal: { atMost: 20 } },
    { name: "processor time of the server for a delta", value: spentMs, unit: "ms", note: "at 1,000 a second" },
  ];
}

/** What the server has used of the processors; unlike time on the clock it does not depend on who else works. */
async function processorMs({ child }: ServerProcess): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${child.pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The same from the coding agent's pipe alone: what the machine itself adds now. */
async function bareLateness(): Promise<number[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLOCK],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const prompt = { id: 1, method: "session/prompt", params: { prompt: [{ text: `${DELTAS} ${APART_MS}` }] } };
  await writer.write(new TextEncoder().encode(`${JSON.stringify(prompt)}\n`));
  const late: number[] = [];
  for await (const bytes of child.stdout) {
    const now = performance.timeOrigin + performance.now();
    const text = new TextDecoder().decode(bytes);
    for (const [, at] of text.matchAll(/(\d{13}\.\d{3});/g)) late.push(now - Number(at));
    if (text.includes("stopReason")) break;
  }
  await writer.close();
  await child.status;
  return late;
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
  const connects = await measureConnects(server);
  return [
    ...connects,
    { name: "memory of the server with one session", value: before / 1e6, unit: "MB" },
    { name: "more of it for each idle session", value: (after - before) / 1e6 / IDLE_SESSIONS, unit: "MB" },
  ];
}

/** Connections that come and go by the ten thousand: were anything kept of each, the second time would need more. */
async function measureConnects(server: ServerProcess): Promise<Figure[]> {
  const round = async () => {
    const sizes: number[] = [];
    for (let n = 0; n < CONNECTS; n += CONNECTS_AT_ONCE) {
      const clients = await Promise.all(Array.from({ length: CONNECTS_AT_ONCE }, () => Client.open(server.socketUrl)));
      await Promise.all(clients.map((client) => client.close()));
      sizes.push(await readRss(server.child.pid) ?? NaN);
    }
    return sizes;
  };
  const [first, files] = [await round(), await openFiles(server)];
  const grown = Math.min(...await round()) / Math.max(...first);
  const note = "what is garbage goes now and then";
  return [
    {
      name: "memory: least in a second 10,000 connects, to most in a first",
      value: grown,
      unit: "ratio",
      goal: { atMost: 1 },
      note,
    },
    {
      name: "files open after them, more than before",
      value: await openFiles(server) - files,
      unit: "count",
      goal: { atMost: 0 },
    },
  ];
}

async function openFiles({ child }: ServerProcess): Promise<number> {
  return (await Array.fromAsync(Deno.readDir(`/proc/${child.pid}/fd`))).length;
}

export const bench: Bench = { title: "The chat engine: sessions, streaming, memory", measure };

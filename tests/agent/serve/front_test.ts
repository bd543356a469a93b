/** The front: who is let in, what is answered while it starts and when it is full, what a socket may carry. */
import { assert, assertEquals } from "@std/assert";
// @ts-types="../../../agent/node/ws.d.ts"
import Ws from "ws";
import { comeAndVanish } from "../../fakes/vanishing_peers.ts";
import { Gate } from "../../gate.ts";
import { within } from "../../lib/live/within.ts";
import { eventually } from "../node/node_harness.ts";
import { Client, configOf, KEY, said, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

const REST = [
  "GET /api/v1/sessions",
  "POST /api/v1/sessions",
  `GET /api/v1/sessions/${crypto.randomUUID()}`,
  `DELETE /api/v1/sessions/${crypto.randomUUID()}`,
  `POST /api/v1/sessions/${crypto.randomUUID()}/resume`,
  `GET /api/v1/sessions/${crypto.randomUUID()}/messages`,
  "GET /api/v1/extensions",
  "POST /api/v1/ws-ticket",
];

Deno.test("TASK-005-AC1, TASK-005-AC2, TASK-005-AC3, TASK-014-AC5 the key opens, and shows nowhere", async () => {
  await using server = await TestServer.start();
  assertEquals((await server.rest("GET /api/v1/sessions")).status, 200);
  for (const call of REST) {
    for (
      const headers of [{}, { "x-api-key": "wrong-key-here" }, { "x-api-key": `${KEY}x` }] as Record<string, string>[]
    ) {
      const { status, body } = await server.rest(call, undefined, headers);
      assertEquals([status, body], [401, { error: "unauthorized", message: "Invalid API key" }], call);
    }
  }
  const refused = await server.connect("?api_key=wrong-key-here");
  assertEquals((await refused.closed.promise).code, 1008);
  const all = server.lines.join("\n");
  assert(!all.includes(KEY) && !all.includes("wrong-key-here"));
});

Deno.test("TASK-013-AC1 sockets open by ticket, once, by key, and not from a foreign page", async () => {
  await using server = await TestServer.start();
  const { body } = await server.rest("POST /api/v1/ws-ticket");
  await using first = await server.connect(`?ticket=${body.ticket}`);
  await first.next("session_list");
  assertEquals((await (await server.connect(`?ticket=${body.ticket}`)).closed.promise).code, 1008);
  assertEquals((await (await server.connect("")).closed.promise).code, 1008);
  const open = (origin?: string) =>
    new Promise<string>((resolve) => {
      const headers = { "x-api-key": KEY, ...(origin && { origin }) };
      const socket = new Ws(`${server.url.replace("http", "ws")}/ws/v1/chat`, { headers });
      socket.on("message", () => socket.close(1000));
      socket.on("close", (code: number) => resolve(String(code)));
    });
  assertEquals([await open(), await open(server.url), await open("https://evil.example")], ["1000", "1000", "1008"]);
});

Deno.test("TASK-014-AC1, TASK-014-AC4, TASK-028-AC4 health: alive at once, ready when warm, not when full", async () => {
  await using gate = await Gate.make();
  const folder = await Deno.makeTempDir();
  await using _folder = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const command = await shellAgent(folder, { onStart: gate.wait, onPrompt: ":" });
  const seen: [number, string][] = [];
  const probes: Promise<void>[] = [];
  const probe = async (url: string) => {
    const live = await fetch(`${url}/api/v1/health/live`);
    const ready = await fetch(`${url}/api/v1/health/ready`);
    const other = await fetch(`${url}/api/v1/sessions`, { headers: { "x-api-key": KEY } });
    seen.push([live.status, (await live.json()).status], [ready.status, (await ready.json()).reason]);
    seen.push([other.status, (await other.json()).error]);
    await gate.open();
  };
  await using server = await TestServer.start({
    folder,
    env: { MAX_SESSIONS: "1", CODING_AGENT_COMMAND: command },
    options: { onListening: (url) => void probes.push(probe(url)) },
  });
  await Promise.all(probes);
  assertEquals(seen, [[200, "ok"], [503, "pool_empty"], [503, "starting"]]);
  const { status, body } = await server.rest("GET /api/v1/health/ready", undefined, {});
  assertEquals([status, body], [200, { status: "ready", pool_depth: 1, active_sessions: 0, max_sessions: 1 }]);
  await server.rest("POST /api/v1/sessions");
  const full = await server.rest("GET /api/v1/health/ready", undefined, {});
  assertEquals([full.status, full.body.reason], [503, "at_capacity"]);
  const [session] = (await server.rest("GET /api/v1/sessions")).body.sessions;
  assertEquals(Object.keys(session), [
    "session_id",
    "status",
    "created_at",
    "last_active_at",
    "message_count",
    "total_cost_usd",
    "is_resumable",
  ]);
});

Deno.test("TASK-015-AC2, TASK-007-AC2 without any coding agent that starts the server gives up", async () => {
  const folder = await Deno.makeTempDir();
  const { HEARTH_API_KEY, ...rest } = { HEARTH_API_KEY: KEY, CODING_AGENT_COMMAND: "sh -c 'exit 3'" };
  const main = new URL("../../../agent/main.ts", import.meta.url).pathname;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, "serve"],
    env: { ...rest, HEARTH_API_KEY, DATABASE_URL: `file:${folder}/s.db`, PROJECT_DIR: folder, PORT: "0" },
  }).output();
  await Deno.remove(folder, { recursive: true });
  assertEquals(code, 1);
  const lines = new TextDecoder().decode(stderr);
  assert(lines.includes('"level":"critical"') && !lines.includes(KEY), lines);
});

Deno.test("TASK-016-AC1, TASK-016-AC2, TASK-016-AC3 log lines are JSON with session ids, and keys in them are hidden", async () => {
  const folder = await Deno.makeTempDir();
  const main = new URL("../../../agent/main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, "serve"],
    env: {
      HEARTH_API_KEY: KEY,
      ANTHROPIC_API_KEY: "model-key-of-no-known-shape",
      // A coding agent whose name is the key: an injected one.
      CODING_AGENT_COMMAND: configOf(folder).profile.command + " " + configOf(folder).profile.args.join(" "),
      DATABASE_URL: `file:${folder}/s.db`,
      PROJECT_DIR: folder,
      PORT: "0",
      LOG_LEVEL: "DEBUG",
    },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [first] = await readSome(child.stdout);
  const url = first!.match(/http:\S+/)![0];
  const client = await Client.open(`${url.replace("http", "ws")}/ws/v1/chat?api_key=${KEY}`);
  const id = await client.create();
  await client.turn(id, `fail this holds ${KEY} and model-key-of-no-known-shape and sk-ant-abcdefghijklmnop`);
  await client.close();
  child.kill("SIGTERM");
  const text = await new Response(child.stderr).text();
  assertEquals((await child.status).code, 0);
  await Deno.remove(folder, { recursive: true });
  const lines = text.trim().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  assert(lines.length > 3);
  for (const line of lines) assert(line.timestamp && line.level && line.event, JSON.stringify(line));
  const failed = lines.find((line) => line.event === "turn_ended_with_error");
  assertEquals(failed.session_id, id);
  assert(failed.reason.includes("[secret]"));
  for (const key of [KEY, "model-key-of-no-known-shape", "sk-ant-abcdef"]) assert(!text.includes(key), key);
});

async function readSome(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  const reader = stream.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return [new TextDecoder().decode(value)];
}

Deno.test("a socket takes JSON text of 1 MiB and rising numbers, and nothing else", async () => {
  await using server = await TestServer.start();
  const binary = await server.connect();
  binary.socket.send(new Uint8Array([1, 2, 3]));
  assertEquals((await binary.closed.promise).code, 1003);
  const large = await server.connect();
  large.send("x".repeat(1024 * 1024 + 1));
  assertEquals((await large.closed.promise).code, 1009);
  await using client = await server.connect();
  const id = await client.create();
  const refused = async (frame: unknown) => {
    const from = client.frames.length;
    client.send(frame);
    return (await client.next("error", { from })).code;
  };
  assertEquals(await refused("{"), "invalid_json");
  assertEquals(await refused({ type: "dance" }), "unknown_type");
  assertEquals(await refused({ type: "user_message", session_id: id, text: " ", seq: 1 }), "invalid_message");
  assertEquals(await refused({ type: "switch_session", session_id: crypto.randomUUID() }), "session_not_found");
  assertEquals(await refused({ type: "interrupt", session_id: crypto.randomUUID() }), "session_not_found");
  await client.turn(id, "say one");
  assertEquals(await refused({ type: "user_message", session_id: id, text: "again", seq: 1 }), "invalid_message");
  assertEquals(said(await client.turn(id, "say two")), "two");
});

// The platform never ends its own wait for a peer that vanished before its socket was open: that is what is tested.
Deno.test("a server ends although peers vanished while sockets were being opened", { sanitizeOps: false }, async () => {
  const server = await TestServer.start();
  await comeAndVanish(`${server.url}/ws/v1/chat?api_key=${KEY}`);
  await within("the end of the server", server[Symbol.asyncDispose]());
});

Deno.test("ten thousand connects and drops leave nothing behind", async () => {
  await using server = await TestServer.start();
  const connectAndDrop = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => server.connect()));
      await Promise.all(clients.map((client) => client.close()));
    }
  };
  const files = async () => (await Array.fromAsync(Deno.readDir("/proc/self/fd"))).length;
  await connectAndDrop(10);
  const early = await files();
  await connectAndDrop(190);
  // A socket that was kept would be a file; those on their way out go by themselves.
  await eventually(async () => await files() - early < 100);
  await using client = await server.connect();
  assertEquals(said(await client.turn(await client.create(), "say alive")), "alive");
});

/**
 * Terminals with nothing replaced: the composed edge, a real agent and a real shell behind a real terminal device, and
 * what git says of the workspace over the same way.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { findProcesses } from "../../lib/end_processes.ts";
import { listProcesses } from "../../lib/processes.ts";
import { TERMINAL_WINDOW_BYTES, TERMINALS_PER_WORKSPACE } from "../../lib/wire/relay.ts";
import { Hono } from "hono";
import { sweep } from "../../lib/scheduler/sweep.ts";
import type { App } from "../../routes/_context.ts";
import { listen, type Listening } from "../../routes/_listen.ts";
import { createApp } from "../../routes/mod.ts";
import { NO_PAGE, startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { TerminalClient } from "../terminal_client.ts";

interface Place extends AsyncDisposable {
  test: TestEdge;
  projectId: string;
  workspaceId: string;
  live: LiveClient;
}

/** A workspace by hand on a real agent, its checkout made. */
async function openPlace(
  env: Record<string, string> = {},
  prepare: (test: TestEdge) => void = () => {},
): Promise<Place> {
  const repository = await TestRepository.make();
  const test = await startTestEdge({ agents: true, env });
  prepare(test);
  const project = await test.addProject({ repositoryUrl: repository.path });
  const live = await LiveClient.open(test, project.id);
  const opened = await test.admin.call("POST /api/workspaces", { projectId: project.id });
  assertEquals(opened.status, 201, JSON.stringify(opened.body));
  const workspaceId = opened.body.id as string;
  await live.workspace("ready", (workspace) => workspace.id === workspaceId);
  return {
    ...{ test, live, workspaceId, projectId: project.id },
    async [Symbol.asyncDispose]() {
      await live[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
      await repository[Symbol.asyncDispose]();
    },
  };
}

function openTerminal({ test, workspaceId }: Place, size: { cols?: number; rows?: number } = {}): TerminalClient {
  return new TerminalClient(test.url, test.admin, { workspaceId, ...size });
}

/** A time to sleep, or a word, that nothing else on this machine has, nor any that begins like it. */
function secondsOfOurOwn(): string {
  return `1${String(crypto.getRandomValues(new Uint32Array(1))[0]).padStart(10, "0")}`;
}

/** Processes whose command line holds this text. */
async function running(text: string): Promise<number> {
  const lines = await Promise.all(
    (await listProcesses()).map(({ pid }) => Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")),
  );
  return lines.filter((line) => line.replaceAll("\0", " ").includes(text)).length;
}

Deno.test("a command typed into a terminal runs in the workspace's folder, and its size follows the window", async () => {
  await using place = await openPlace();
  await using terminal = openTerminal(place, { cols: 91, rows: 17 });
  await terminal.ready();
  terminal.type("echo in:$PWD; echo $((40 + 2)) tty:$(tty)\r");
  const [, path] = await terminal.shows(/in:(\S+)\s+42 tty:\/dev\/pts\/\d+/);
  assertMatch(path!, new RegExp(`/workspaces/${place.workspaceId}/checkout$`));
  terminal.type("echo size:$(stty size):\r");
  await terminal.shows(/size:17 91:/);
  terminal.send({ type: "resize", cols: 133, rows: 44 });
  // The new size comes by its own way: a program that waits for it hears of it.
  terminal.type("until [ \"$(stty size)\" = '44 133' ]; do sleep 0.05; done; echo changed:$(stty size):\r");
  await terminal.shows(/changed:44 133:/);
  terminal.type("echo asl''eep; sleep 1000\r");
  await terminal.shows(/asleep/);
  // What is typed together with an interrupt is thrown away with it.
  terminal.type("\x03");
  await terminal.shows(/\^C/);
  terminal.type("echo inter''rupted\r");
  await terminal.shows(/interrupted/);
  terminal.type("exit 7\r");
  assertEquals(await terminal.closed, 1000);
  assertEquals(terminal.frames.at(-1), { type: "exit", code: 7 });
});

Deno.test("a terminal has no secret of the edge, of the agent or of a model in its environment", async () => {
  await using place = await openPlace();
  await place.test.admin.call("PUT /api/credentials/anthropic", { secret: "sk-ant-very-secret-value" });
  await using terminal = openTerminal(place);
  await terminal.ready();
  terminal.type("env | sed 's/=.*//' | sort | tr '\\n' ' '; echo :end''ed\r");
  await terminal.shows(/:ended/);
  const names: string[] = terminal.text.match(/\b[A-Z_]{3,}\b/g) ?? [];
  assert(names.includes("PATH") && names.includes("TERM"));
  const secret = names.filter((name) => /TOKEN|SECRET|KEY|ANTHROPIC|CONTROL_PLANE|NODE_ID|BOOTSTRAP/.test(name));
  assertEquals(secret, []);
});

Deno.test("a flood waits in the program that makes it, and ends with an interrupt", async () => {
  await using place = await openPlace();
  await using terminal = openTerminal(place);
  await terminal.ready();
  const word = secondsOfOurOwn();
  terminal.type(`echo go; yes 'nobody reads ${word}'\r`);
  await terminal.shows(/nobody reads/);
  terminal.taking = false;
  const before = terminal.bytes;
  await terminal.until("the window to be full", () => terminal.bytes - before >= TERMINAL_WINDOW_BYTES / 2);
  // Whatever was on its way is here when the machine has answered twice to something else.
  for (let i = 0; i < 2; i++) await place.test.admin.call(`GET /api/workspaces/${place.workspaceId}/git`);
  assert(terminal.bytes - before <= TERMINAL_WINDOW_BYTES + 64 * 1024, `${terminal.bytes - before} bytes came`);
  assertEquals(await running(`yes nobody reads ${word}`), 1);
  terminal.taking = true;
  terminal.send({ type: "ack", bytes: terminal.bytes });
  await terminal.until("more of it", () => terminal.bytes - before > 4 * TERMINAL_WINDOW_BYTES);
  terminal.type("\x03");
  await terminal.shows(/\^C/);
  terminal.type("echo and''calm\r");
  await terminal.shows(/andcalm/);
  assertEquals(await running(`yes nobody reads ${word}`), 0);
});

Deno.test("what a person leaves running ends with the terminal, also when the browser just goes", async () => {
  await using place = await openPlace();
  const terminal = openTerminal(place);
  await terminal.ready();
  const mark = secondsOfOurOwn();
  terminal.type(`(setsid sleep ${mark} &); nohup sleep ${mark} & sleep ${mark} & jobs; echo star''ted\r`);
  await terminal.shows(/started/);
  // A shell that has forked may not have become the program yet.
  await untilRunning(`sleep ${mark}`, 3);
  terminal.drop();
  await untilRunning(`sleep ${mark}`, 0);
});

Deno.test("the end of the workspace ends its terminals, leaves no process and no file", async () => {
  await using place = await openPlace();
  await using terminal = openTerminal(place);
  await terminal.ready();
  const mark = secondsOfOurOwn();
  terminal.type(`nohup sleep ${mark} & echo star''ted\r`);
  await terminal.shows(/started/);
  const gone = await place.test.admin.call(`DELETE /api/workspaces/${place.workspaceId}`);
  assertEquals(gone.status, 202, JSON.stringify(gone.body));
  assertEquals(await terminal.closed, 4410);
  await place.live.workspace("stopped", (workspace) => workspace.id === place.workspaceId);
  assertEquals(await running(`sleep ${mark}`), 0);
  assertEquals(await findProcesses(place.workspaceId, undefined), []);
  await using late = openTerminal(place);
  assertEquals(await late.closed, 4410);
  const git = await place.test.admin.call(`GET /api/workspaces/${place.workspaceId}/git`);
  assertEquals([git.status, git.body.error], [409, "session_not_live"]);
});

Deno.test("a node that is given up takes its terminals along", async () => {
  await using place = await openPlace();
  await using terminal = openTerminal(place);
  await terminal.ready();
  const { body } = await place.test.admin.call(`GET /api/workspaces/${place.workspaceId}`);
  await place.test.admin.call(`DELETE /api/nodes/${body.nodeId}?force=true`);
  assertEquals(await terminal.closed, 4410);
});

Deno.test("only the owner of the machine gets a terminal; a member sees live messages and git; a stranger nothing", async () => {
  await using place = await openPlace({ LIVE_RECHECK_MS: "100" });
  const { test, projectId, workspaceId } = place;
  const [member, stranger] = [await test.addUser("member"), await test.addUser("stranger")];
  await test.admin.call(`POST /api/projects/${projectId}/members`, { login: "member" });
  for (const [who, status] of [[member, 403], [stranger, 404], [{ key: "hk_nobody" }, 401]] as const) {
    await using terminal = new TerminalClient(test.url, who, { workspaceId });
    assertEquals(await terminal.closed, status);
  }
  const git = `GET /api/workspaces/${workspaceId}/git` as const;
  assertEquals((await member.call(git)).status, 200);
  assertEquals((await stranger.call(git)).status, 404);
  const following = await LiveClient.openAt(test.url, member, { path: `/api/workspaces/${workspaceId}/ws` });
  await test.admin.call(`DELETE /api/projects/${projectId}/members/${member.user.id}`);
  assertEquals(await following.closed, 4403);
  assertEquals((await member.call(git)).status, 404);
});

Deno.test("who leaves a project sees its code no more, not even on a machine of their own", async () => {
  await using place = await openPlace({ LIVE_RECHECK_MS: "100" });
  const { test, live, projectId } = place;
  const member = await test.addUser("member");
  await test.admin.call(`POST /api/projects/${projectId}/members`, { login: "member" });
  const workspaceId = (await member.call("POST /api/workspaces", { projectId })).body.id as string;
  await live.workspace("ready", (workspace) => workspace.id === workspaceId);
  await using terminal = new TerminalClient(test.url, member, { workspaceId });
  await terminal.ready();
  await test.admin.call(`DELETE /api/projects/${projectId}/members/${member.user.id}`);
  assertEquals(await terminal.closed, 4403);
  assertEquals((await member.call(`GET /api/workspaces/${workspaceId}/git`)).status, 404);
});

Deno.test("the page is for whoever may see the workspace, and offers a terminal to the owner of its machine alone", async () => {
  await using place = await openPlace();
  const { test, projectId, workspaceId } = place;
  const member = await test.addUser("member");
  await test.admin.call(`POST /api/projects/${projectId}/members`, { login: "member" });
  const read = async (key: string) => {
    const headers = { authorization: `Bearer ${key}`, accept: "text/html" };
    const response = await fetch(`${test.url}/workspaces/${workspaceId}`, { headers });
    return { status: response.status, text: await response.text() };
  };
  const [own, seen] = [await read(test.admin.key), await read(member.key)];
  assertEquals([own.status, seen.status], [200, 200]);
  const sentence = "Only the owner of the machine gets a terminal in it.";
  assertEquals([own.text.includes(sentence), seen.text.includes(sentence)], [false, true]);
  assertEquals((await read((await test.addUser("stranger")).key)).status, 404);
});

Deno.test("a workspace without a project has its page, its changes and a terminal, and no conversation", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const opened = await test.admin.call("POST /api/workspaces", { repositoryUrl: repository.path });
  assertEquals([opened.status, opened.body.sessionId], [201, null], JSON.stringify(opened.body));
  const workspaceId = opened.body.id as string;
  await using live = await LiveClient.openAt(test.url, test.admin, { path: `/api/workspaces/${workspaceId}/ws` });
  for (const deadline = Date.now() + 60_000;;) {
    const { body } = await test.admin.call(`GET /api/workspaces/${workspaceId}`);
    if (body.status === "ready") break;
    assert(Date.now() < deadline, body.status);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await using terminal = new TerminalClient(test.url, test.admin, { workspaceId });
  await terminal.ready();
  terminal.type("cat README.md\r");
  await terminal.shows(/# Test/);
  assertEquals((await test.admin.call(`GET /api/workspaces/${workspaceId}/git`)).body.branch, "main");
  const headers = { authorization: `Bearer ${test.admin.key}`, accept: "text/html" };
  const page = await fetch(`${test.url}/workspaces/${workspaceId}`, { headers });
  const text = await page.text();
  assertEquals([page.status, text.includes("Back to the projects"), text.includes('role="log"')], [200, true, false]);
  assert(live.frames.length > 0);
});

Deno.test("an agent whose call came to another instance finds the one that holds the relay", async () => {
  let astray = 0;
  const front = Promise.withResolvers<Listening>();
  await using place = await openPlace({}, (test) => {
    // The same store, and a memory of its own: a second instance.
    const parts = { manifest: () => NO_PAGE, serveStatic: () => Promise.resolve(null), sweep: () => sweep(test.edge) };
    const first = createApp({ edge: test.edge, ...parts });
    const second = createApp({ edge: { ...test.edge }, ...parts });
    const app: App = new Hono();
    app.all("*", (c) => {
      const isAstray = c.req.path.includes("/relay/") && astray < 3;
      if (isAstray) astray++;
      return (isAstray ? second : first).fetch(c.req.raw, c.env);
    });
    const listening = listen(app, { port: 0, hostname: "127.0.0.1" });
    test.edge.config.publicUrl = `http://127.0.0.1:${listening.addr.port}`;
    front.resolve(listening);
  });
  await using listening = await front.promise;
  await using terminal = new TerminalClient(`http://127.0.0.1:${listening.addr.port}`, place.test.admin, place);
  await terminal.ready();
  terminal.type("echo fou''nd\r");
  await terminal.shows(/found/);
  assertEquals(astray, 3);
});

Deno.test("a terminal closes when its person's key is revoked", async () => {
  await using place = await openPlace({ LIVE_RECHECK_MS: "100" });
  const { test, workspaceId } = place;
  const made = (await test.admin.call("POST /api/keys", { name: "for a while" })).body;
  await using terminal = new TerminalClient(test.url, made, { workspaceId });
  await terminal.ready();
  await test.admin.call(`DELETE /api/keys/${made.id}`);
  assertEquals(await terminal.closed, 4401);
});

Deno.test("a workspace has at most so many terminals, and one more when another was closed", async () => {
  await using place = await openPlace();
  const open = Array.from({ length: TERMINALS_PER_WORKSPACE }, () => openTerminal(place));
  for (const terminal of open) await terminal.ready();
  await using tooMuch = openTerminal(place);
  await tooMuch.closed;
  const [said] = tooMuch.frames;
  assert(said?.type === "refused");
  assertStringIncludes(said.message, `at most ${TERMINALS_PER_WORKSPACE} terminals`);
  open[0]!.type("exit\r");
  await open[0]!.closed;
  // The shell has ended; what it left behind is being looked for.
  for (let tries = 0;; tries++) {
    await using again = openTerminal(place);
    const came = await Promise.race([again.ready().then(() => true, () => false), again.closed.then(() => false)]);
    if (came) break;
    assert(tries < 50, "no room was made");
  }
  for (const terminal of open) await terminal[Symbol.asyncDispose]();
});

Deno.test("git says what was changed, committed or not, by whomever, and keeps to itself while it looks", async () => {
  await using place = await openPlace();
  const { test, workspaceId } = place;
  const path = join(await checkoutOf(place));
  await Deno.writeTextFile(join(path, "README.md"), "# Test\nmore\n");
  await Deno.writeTextFile(join(path, "a new file.txt"), "fresh\n");
  const first = await test.admin.call(`GET /api/workspaces/${workspaceId}/git`);
  assertEquals(first.status, 200, JSON.stringify(first.body));
  assertEquals([first.body.branch, first.body.ahead, first.body.truncated], ["main", 0, false]);
  assertEquals(first.body.files, [
    { path: "README.md", from: null, status: "modified" },
    { path: "a new file.txt", from: null, status: "untracked" },
  ]);
  assertStringIncludes(first.body.diff, "+more");
  assertStringIncludes(first.body.diff, "+fresh");
  await using terminal = openTerminal(place);
  await terminal.ready();
  terminal.type(
    "git add README.md && git -c user.name=a -c user.email=a@b commit -qm More; git -c color.ui=never status --short; echo do''ne\r",
  );
  await terminal.shows(/\?\? "a new file\.txt"\s+done/);
  const second = await readGitAfter(place, first.body.at);
  assertEquals([second.ahead, second.files.length], [1, 1]);
  assertStringIncludes(second.diff, "+more");
  assertMatch(second.head, /^[0-9a-f]{40}$/);
});

async function checkoutOf({ test, workspaceId }: Place): Promise<string> {
  const { body } = await test.admin.call(`GET /api/workspaces/${workspaceId}`);
  return join(test.edge.config.HEARTH_DATA_DIR, "nodes", body.nodeId, "agent", "workspaces", workspaceId, "checkout");
}

/** An answer that is newer than the one before. */
async function readGitAfter({ test, workspaceId }: Place, at: string) {
  for (const deadline = Date.now() + 60_000;;) {
    const { body } = await test.admin.call(`GET /api/workspaces/${workspaceId}/git`);
    if (body.at > at && body.ahead > 0) return body;
    assert(Date.now() < deadline, JSON.stringify(body));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilRunning(text: string, count: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (let seen = await running(text); seen !== count; seen = await running(text)) {
    assert(performance.now() < deadline, `${seen} run instead of ${count}: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

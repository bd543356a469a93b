import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { AGENT_VERSION, readAgentConfig } from "../../agent/config.ts";
import { DeadLetters } from "../../agent/store/dead_letters.ts";
import { findProgram } from "../../agent/process/find_program.ts";
import { openDatabase } from "../../agent/store/database.ts";
import { nodeTokenBody } from "../../lib/wire/node.ts";
import { FakeEdge, NODE } from "../fakes/edge_server.ts";
import {
  deadLetters,
  makeOutbox,
  makeRow,
  makeRows,
  waitingMessages,
  withDataDir,
  WORKSPACE,
} from "./store/fixture.ts";

const BOOTSTRAP = "bootstrap-token-of-one-node";
/** An agent that should have ended by itself is ended. */
const START_MAX_MS = 60_000;

/** The agent as its own process, from another directory and with nothing but its own environment. */
function spawnAgent(args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
  const { selfCommand } = readAgentConfig({ NODE_ID: NODE, CONTROL_PLANE_URL: "http://127.0.0.1:1" });
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => ["PATH", "HOME", "DENO_DIR"].includes(name));
  return new Deno.Command(selfCommand[0]!, {
    args: [...selfCommand.slice(1), ...args],
    cwd: "/",
    clearEnv: true,
    env: { ...Object.fromEntries(kept), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function runAgent(args: string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await spawnAgent(args, env).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

function nodeEnvironment(edge: FakeEdge, dataDir: string): Record<string, string> {
  return {
    NODE_ID: NODE,
    CONTROL_PLANE_URL: edge.url,
    AGENT_DATA_DIR: dataDir,
    BOOTSTRAP_TOKEN: BOOTSTRAP,
    PREWARM_POOL_SIZE: "0",
    MSG_RETRY_INITIAL_INTERVAL_MS: "20",
    MSG_RETRY_MAX_INTERVAL_MS: "100",
  };
}

const isLinked = (edge: FakeEdge) => edge.frames.some((frame) => frame.type === "hello");

function withEdge(work: (edge: FakeEdge, dataDir: string) => Promise<void>): Promise<void> {
  return withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    await work(edge, dataDir);
  });
}

Deno.test("version, help, and what to do when the call is wrong", async () => {
  const [version, help, wrong, none] = await Promise.all(
    [["version"], ["help"], ["dance"], []].map((args) => runAgent(args)),
  );
  assertEquals([version!.code, version!.out], [0, `${AGENT_VERSION}\n`]);
  assertEquals(help!.code, 0);
  for (const command of ["serve", "node", "doctor", "outbox", "demo", "version"]) {
    assertStringIncludes(help!.out, command);
  }
  assertEquals([wrong!.code, wrong!.out, wrong!.err], [2, "", help!.out]);
  assertEquals([none!.code, none!.err], [2, help!.out]);
});

Deno.test("a wrong configuration ends with 78 and names every bad variable", async () => {
  const { code, err } = await runAgent(["node"], {
    CONTROL_PLANE_URL: "http://example.org",
    BOOTSTRAP_TOKEN: BOOTSTRAP,
  });
  assertEquals(code, 78);
  assertStringIncludes(err, "NODE_ID");
  assertStringIncludes(err, "CONTROL_PLANE_URL");
  assert(!err.includes(BOOTSTRAP));
});

Deno.test("a node registers, delivers what waits from before, links, and ends with 0 on SIGTERM", () =>
  withEdge(async (edge, dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      await makeOutbox(db).enqueue(makeRows(5));
    }
    const agent = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() =>
      isLinked(edge) && edge.seen("/heartbeat").length > 0 && edge.contents(WORKSPACE).length === 5
    );
    agent.kill("SIGTERM");
    const { code, stderr } = await agent.output();
    const log = new TextDecoder().decode(stderr);
    assertEquals(code, 0, log);
    assertStringIncludes(log, '"event":"agent_ended"');
    assert(!log.includes(BOOTSTRAP) && !log.includes("token-"), "no token in the log");
    assertEquals(edge.contents(WORKSPACE), makeRows(5).map((row) => row.content));
  }));

Deno.test("a second agent on the same directory ends with 75 and names the first; a SIGKILL frees it", () =>
  withEdge(async (edge, dataDir) => {
    const first = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() => isLinked(edge));
    const second = await runAgent(["node"], nodeEnvironment(edge, dataDir));
    assertEquals(second.code, 75);
    assertMatch(second.err, new RegExp(`process id ${first.pid}\\b`));

    first.kill("SIGKILL");
    await first.output();
    const hellos = edge.frames.length;
    const third = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() => edge.frames.length > hellos);
    third.kill("SIGTERM");
    assertEquals((await third.output()).code, 0);
    assertEquals(edge.seen("/register").length, 1);
  }));

Deno.test("a drained node without work ends by itself", () =>
  withEdge(async (edge, dataDir) => {
    const agent = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() => isLinked(edge));
    edge.command({ kind: "node.drain", commandId: crypto.randomUUID() });
    const { code, stderr } = await agent.output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertEquals(edge.acked, 1);
  }));

Deno.test("a node that was given up delivers what it has, enrols again by itself and is of use", () =>
  withEdge(async (edge, dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      await makeOutbox(db).enqueue(makeRows(5));
    }
    edge.fenced = true;
    edge.heartbeatMs = 200;
    const stored: number[] = [];
    edge.script = ({ path, body }) => {
      if (!path.endsWith("/token")) return undefined;
      const { workspaceIds } = nodeTokenBody.parse(body);
      // Tokens of workspaces are asked for to deliver; those of the node alone to begin anew.
      if (workspaceIds.length === 0) stored.push(edge.contents(WORKSPACE).length);
      edge.fenced = workspaceIds.length > 0;
      return undefined;
    };
    const agent = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() => stored.length > 0);
    edge.command({ kind: "node.drain", commandId: crypto.randomUUID() });
    assertEquals((await agent.output()).code, 0);
    assertEquals(stored, [5]);
  }));

Deno.test("a node that the edge refuses ends with 77 and says so", () =>
  withEdge(async (edge, dataDir) => {
    edge.nonce = "the nonce of somebody else";
    const { code, err } = await runAgent(["node"], nodeEnvironment(edge, dataDir));
    assertEquals(code, 77);
    assertStringIncludes(err, "refused to register");
  }));

Deno.test("SIGTERM ends an agent that cannot reach its edge yet", () =>
  withEdge(async (edge, dataDir) => {
    edge.script = () => new Response(null, { status: 503 });
    const agent = spawnAgent(["node"], nodeEnvironment(edge, dataDir));
    await edge.until(() => edge.seen("/register").length > 0);
    agent.kill("SIGTERM");
    assertEquals((await agent.output()).code, 0);
  }));

Deno.test("outbox lists what waits and what was refused, shows a message, and sends a refused one again", () =>
  withDataDir(async (dataDir) => {
    const env = { AGENT_DATA_DIR: dataDir };
    const none = await runAgent(["outbox", "list"], env);
    assertEquals(none.code, 1);
    assertStringIncludes(none.err, "no agent's database");

    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = makeOutbox(db);
    const [refused, waiting] = [makeRow("refused \x1b[31m one"), makeRow("still waiting")];
    await outbox.enqueue([refused, waiting]);
    const [stored] = await outbox.oldest(WORKSPACE, { maxRows: 1, maxBytes: 1e6 });
    await outbox.deadLetter([stored!.id], { status: 403, reason: "forbidden" });

    const list = await runAgent(["outbox", "list"], env);
    assertStringIncludes(list.out, "1 waiting");
    assertStringIncludes(list.out, "1 dead letters");
    assertStringIncludes(list.out, "forbidden (403)");
    assert(!list.out.includes("\x1b"), "control characters stay out of the terminal");
    const [letter] = await new DeadLetters(db).oldest({ after: 0, maxRows: 10, maxBytes: 1e6 });
    await new DeadLetters(db).markHanded([letter!.id]);
    assertStringIncludes((await runAgent(["outbox", "list"], env)).out, "forbidden (403), the edge has it too");
    const show = await runAgent(["outbox", "show", refused.messageId], env);
    assertEquals(JSON.parse(show.out).content, refused.content);

    assertEquals((await runAgent(["outbox", "retry", refused.messageId], env)).code, 0);
    assertStringIncludes(
      (await runAgent(["outbox", "list"], env)).out,
      "forbidden (403), the edge has it too, will be",
    );
    // The agent that runs meanwhile takes it back at its next look, behind what waits.
    await outbox.takeBack();
    assertEquals(await deadLetters(db), []);
    const rows = await waitingMessages(outbox);
    assertEquals(rows.map((row) => row.content), ["still waiting", refused.content]);
    const empty = outbox.whenEmpty(WORKSPACE);
    await outbox.deleteSent(rows.map((row) => row.id));
    await empty;

    const missing = await runAgent(["outbox", "show", refused.messageId], env);
    const unknown = await runAgent(["outbox", "retry", refused.messageId], env);
    assertEquals([missing.code, unknown.code, (await runAgent(["outbox"], env)).code], [1, 1, 2]);
  }));

Deno.test("doctor says of each thing whether it is in order, and what to do where it is not", () =>
  withEdge(async (edge, dataDir) => {
    const good = await runAgent(["doctor"], nodeEnvironment(edge, dataDir));
    for (const what of ["node", "git", "coding agents", "disk", "edge", "clock"]) {
      assertMatch(good.out, new RegExp(`^(ok   |FAULT)  ${what}: `, "m"));
    }
    assertStringIncludes(good.out, "answers 200");

    const env = { ...nodeEnvironment(edge, dataDir), CONTROL_PLANE_URL: "http://127.0.0.1:1", PATH: "/nowhere" };
    const bad = await runAgent(["doctor"], env);
    assertEquals(bad.code, 1);
    assertMatch(bad.out, /FAULT {2}git: not found\. Install it/);
    assertMatch(bad.out, /FAULT {2}edge: .*Check CONTROL_PLANE_URL/);
    assertMatch(
      bad.out,
      /ok {5}Claude Code: not installed\..* npm install -g @agentclientprotocol\/claude-agent-acp@\d/,
    );
    assert(!bad.out.includes(BOOTSTRAP));
  }));

Deno.test({
  name: `without the program that changes users an isolated node does no work, and says why${
    Deno.uid() === 0 ? "" : " [skipped: only root isolates workspaces]"
  }`,
  ignore: Deno.uid() !== 0,
  fn: () =>
    withEdge(async (edge, dataDir) => {
      const bin = await Deno.makeTempDir();
      try {
        await Deno.symlink((await findProgram("git", Deno.env.get("PATH")))!, `${bin}/git`);
        const env = { ...nodeEnvironment(edge, dataDir), ISOLATE_WORKSPACES: "1", PATH: bin };
        const agent = spawnAgent(["node"], env);
        const timer = setTimeout(() => agent.kill("SIGKILL"), START_MAX_MS);
        const { code, stderr } = await agent.output().finally(() => clearTimeout(timer));
        const err = new TextDecoder().decode(stderr);
        assertEquals(code, 1, err);
        assertStringIncludes(
          err,
          "the program `setpriv` is missing. Install it (on Debian: apt-get install util-linux)",
        );
        assertEquals([isLinked(edge), edge.seen("/heartbeat").length], [false, 0]);
        const { code: found, out } = await runAgent(["doctor"], env);
        assertEquals(found, 1);
        assertStringIncludes(
          out,
          "FAULT  isolation: the program setpriv is missing. Install it: apt-get install util-linux",
        );
      } finally {
        await Deno.remove(bin, { recursive: true });
      }
    }),
});

Deno.test("doctor looks at a machine that belongs to no edge as well", async () => {
  const { code, out } = await runAgent(["doctor"]);
  assertEquals(code, 0, out);
  assertMatch(out, /^ok {5}git: /m);
  assertMatch(out, /^ok {5}OpenCode: /m);
  assertEquals(/edge|clock|node:/.test(out), false, out);
});

Deno.test("doctor says which version of a coding agent is there, and whether a person is signed in to it", () =>
  withEdge(async (edge, dataDir) => {
    const bin = `${dataDir}-bin`;
    try {
      await Deno.mkdir(`${bin}/.codex`, { recursive: true });
      await Deno.writeTextFile(`${bin}/.codex/auth.json`, "{}");
      for (const command of ["claude-agent-acp", "codex-acp"]) {
        await Deno.writeTextFile(`${bin}/${command}`, "#!/bin/sh\necho v0.1.2\n", { mode: 0o755 });
      }
      await Deno.writeTextFile(`${bin}/gemini`, "#!/bin/sh\necho 'no such module' >&2; exit 1\n", { mode: 0o755 });
      const env = { ...nodeEnvironment(edge, dataDir), PATH: `${bin}:${Deno.env.get("PATH")}`, HOME: bin };
      const { out, code } = await runAgent(["doctor"], env);
      assertMatch(
        out,
        /Claude Code: installed, version 0\.1\.2; 0\.100\.0 is known to work: npm install -g .*; no login found/,
      );
      assertMatch(out, /Codex: installed, version 0\.1\.2; .*; signed in$/m);
      const broken =
        "installed, and does not work: it ended with exit code 1: no such module. Install it anew: npm install";
      assertStringIncludes(out, `FAULT  Gemini CLI: ${broken}`);
      assertEquals(code, 1);
    } finally {
      await Deno.remove(bin, { recursive: true });
    }
  }));

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { AcpSession } from "../../../agent/coding/acp.ts";
import { readInstructions } from "../../../agent/coding/demo_language.ts";
import type { SessionUpdate } from "../../../agent/coding/updates.ts";
import { launchOf, NOTHING, openDemo, record, textOf } from "./harness.ts";
import { eventually } from "../node/node_harness.ts";
import { temporaryFolder } from "../node/repository.ts";

const tools = (updates: SessionUpdate[]) =>
  updates.flatMap((update) => update.sessionUpdate.startsWith("tool_call") && "toolCallId" in update ? [update] : []);

Deno.test("the demo language reads every instruction, and repeats what it does not know", () => {
  assertEquals(
    readInstructions(
      "say Hello\n\nthink Hm\nplan A; B ;\nwrite a/b.txt: x: y\nrun ls -l\nstream 3 5\nstream 2\nwait 10\nask rm x\nfail no\ncrash\nextensions",
    ),
    [
      { kind: "say", text: "Hello" },
      { kind: "think", text: "Hm" },
      { kind: "plan", entries: ["A", "B"] },
      { kind: "write", path: "a/b.txt", text: "x: y" },
      { kind: "run", text: "ls -l" },
      { kind: "stream", count: 3, pauseMs: 5 },
      { kind: "stream", count: 2, pauseMs: 20 },
      { kind: "wait", ms: 10 },
      { kind: "ask", text: "rm x" },
      { kind: "fail", text: "no" },
      { kind: "crash" },
      { kind: "extensions" },
    ],
  );
  for (const line of ["Fix the login page", "wait for me", "crash test", "write nothing", "stream", "say"]) {
    const [read] = readInstructions(line);
    assert(read?.kind === "say" && read.text.includes(`“${line}”`), line);
  }
});

Deno.test("one prompt thinks, plans, speaks in small deltas, writes with a diff and runs a command", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/notes.txt`, "old\n");
  const recorded = record();
  await using session = await openDemo(folder.path, recorded);
  const end = await session.prompt(
    "think Let me see\nplan A; B\nsay Hello, dear world\nwrite notes.txt: new\nrun echo out; echo err >&2\nHow are you?",
    NOTHING,
  );
  assert("stopReason" in end && end.stopReason === "end_turn");
  assertEquals(end.costUsd, 0);
  assert((end.tokens?.total ?? 0) > 0);
  assertEquals(textOf(recorded.updates, "agent_thought_chunk"), "Let me see");
  assertStringIncludes(textOf(recorded.updates), "Hello, dear world");
  assertStringIncludes(textOf(recorded.updates), "“How are you?”");
  const deltas = recorded.updates.filter((update) => update.sessionUpdate === "agent_message_chunk");
  assert(deltas.length > 4 && deltas.every((delta) => "messageId" in delta && delta.messageId));
  assertEquals(await Deno.readTextFile(`${folder.path}/notes.txt`), "new\n");
  const calls = tools(recorded.updates);
  assertEquals(calls[0]?.locations, [{ path: `${folder.path}/notes.txt` }]);
  assertEquals(calls.find((call) => call.content?.[0]?.type === "diff")?.content, [
    { type: "diff", path: `${folder.path}/notes.txt`, oldText: "old\n", newText: "new\n" },
  ]);
  const ran = calls.at(-1);
  assertEquals([ran?.status, ran?.rawOutput], ["completed", { output: "out\nerr", exitCode: 0 }]);
});

Deno.test("a command that fails and a path that leads out of the workspace are failed tool calls, not failed turns", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  await using session = await openDemo(folder.path, recorded);
  const end = await session.prompt("run exit 3\nwrite ../out.txt: x\nwrite .git/config: x", NOTHING);
  assert("stopReason" in end);
  assertEquals(tools(recorded.updates).filter((call) => call.status === "failed").length, 3);
  assertEquals([...Deno.readDirSync(folder.path)].map((entry) => entry.name), []);
});

Deno.test("a question is answered by the permission mode, and a refused command does not run", async () => {
  await using folder = await temporaryFolder();
  for (
    const [mode, outcome, status] of [["autonomous", "allow_once", "completed"], [
      "ask",
      "reject_once",
      "failed",
    ]] as const
  ) {
    const recorded = record(mode);
    await using session = await openDemo(folder.path, recorded);
    await session.prompt(`ask touch ${mode}`, NOTHING);
    assertEquals(recorded.permissions, [`touch ${mode}: ${outcome}`]);
    assertEquals(tools(recorded.updates).at(-1)?.status, status);
  }
  assertEquals([...Deno.readDirSync(folder.path)].map((entry) => entry.name), ["autonomous"]);
});

Deno.test("cancelling ends a running command with all it started, and answers cancelled", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  await using session = await openDemo(folder.path, recorded);
  const started = Promise.withResolvers<void>();
  recorded.onUpdate = (update) =>
    "content" in update && JSON.stringify(update.content).includes("up") && started.resolve();
  const turn = session.prompt("run (sleep 300 & echo $! > pid; echo up; wait); echo never\nsay never", NOTHING);
  await started.promise;
  session.cancel();
  const end = await turn;
  assert("stopReason" in end && end.stopReason === "cancelled");
  assertEquals(textOf(recorded.updates), "");
  const pid = (await Deno.readTextFile(`${folder.path}/pid`)).trim();
  await eventually(async () => {
    const state = await Deno.readTextFile(`/proc/${pid}/stat`).then((stat) => stat.split(") ")[1]?.[0], () => "gone");
    return state === "gone" || state === "Z";
  });
});

Deno.test("fail ends the prompt with its text, and the session goes on", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  await using session = await openDemo(folder.path, recorded);
  const end = await session.prompt("say first\nfail the model is away", NOTHING);
  assertEquals(end, { error: "Demo reported an error: the model is away", costUsd: null });
  assert("stopReason" in await session.prompt("say second", NOTHING));
  assertEquals(textOf(recorded.updates), "firstsecond");
});

Deno.test("crash kills the process; another one goes on with the conversation", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  const first = await openDemo(folder.path, recorded);
  const sessionId = first.sessionId;
  const end = await first.prompt("say half\ncrash\nsay never", NOTHING);
  assert("error" in end);
  assertStringIncludes(end.error, "ended unexpectedly (by SIGKILL)");
  assertEquals([first.isAlive, textOf(recorded.updates)], [false, "half"]);
  await first[Symbol.asyncDispose]();

  const again = record();
  await using second = await AcpSession.start(launchOf(folder.path));
  assertEquals(await second.open({ cwd: folder.path, resume: sessionId, events: again.events }), { resumed: true });
  assertEquals(second.sessionId, sessionId);
  await second.prompt("say on", NOTHING);
  assertEquals(textOf(again.updates), "on");
});

Deno.test("a conversation that is not known is begun anew", async () => {
  await using folder = await temporaryFolder();
  await using session = await AcpSession.start(launchOf(folder.path));
  const unknown = crypto.randomUUID();
  assertEquals(await session.open({ cwd: folder.path, resume: unknown, events: record().events }), { resumed: false });
  assert(session.sessionId !== null && session.sessionId !== unknown);
});

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";
import { AcpSession } from "../../../agent/coding/acp.ts";
import { Prewarm } from "../../../agent/coding/prewarm.ts";
import { listProcesses, selectMarked } from "../../../lib/processes.ts";
import { demoProfile, launchOf, NOTHING, openDemo, QUIET, record, textOf } from "./harness.ts";
import { temporaryFolder } from "../node/repository.ts";

async function countMarked(mark: string): Promise<number> {
  return (await selectMarked(await listProcesses(), mark)).length;
}

Deno.test("updates are handed on in order and before the end of their turn", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  await using session = await openDemo(folder.path, recorded);
  await session.prompt("stream 2000 0", NOTHING);
  assertEquals(textOf(recorded.updates), Array.from({ length: 2_000 }, (_, i) => `word${i + 1} `).join(""));
  assertEquals(recorded.updates.at(-1)?.sessionUpdate, "usage_update");
});

Deno.test("a prompt counts as accepted once: at the first update, or when a silent agent has taken it in", async () => {
  await using folder = await temporaryFolder();
  await using session = await openDemo(folder.path, record());
  const accepted: string[] = [];
  await session.prompt("say a\nsay b", { onAccepted: () => accepted.push("spoken") });
  await session.prompt("wait 400", { onAccepted: () => accepted.push("silent") });
  await session.prompt("fail at once", { onAccepted: () => accepted.push("failed") });
  assertEquals(accepted, ["spoken", "silent"]);
});

Deno.test("disposing ends every process of the session, in the middle of a turn and of a command", async () => {
  await using folder = await temporaryFolder();
  const recorded = record();
  const mark = `${crypto.randomUUID()}/dispose`;
  const session = await openDemo(folder.path, recorded, { mark });
  const running = Promise.withResolvers<void>();
  recorded.onUpdate = (update) =>
    "content" in update && JSON.stringify(update.content).includes("up") && running.resolve();
  const turn = session.prompt("run setsid sh -c 'trap \"\" TERM; echo up; sleep 300; sleep 300'", NOTHING);
  await running.promise;
  assert(await countMarked(mark) >= 2);
  await session[Symbol.asyncDispose]();
  assertEquals(await countMarked(mark), 0);
  assert("error" in await turn);
});

Deno.test("a silent turn is ended as stalled; a tool call that executes may be silent for longer", async () => {
  await using folder = await temporaryFolder();
  const limits = { turnStallTimeoutMs: 250, toolStallTimeoutMs: 30_000 };
  const session = await openDemo(folder.path, record(), { limits });
  const patient = await session.prompt("run sleep 0.6", NOTHING);
  assert("stopReason" in patient && patient.stopReason === "end_turn");
  const stalled = await session.prompt("wait 60000", NOTHING);
  assert("error" in stalled);
  assertStringIncludes(stalled.error, "stalled");
  assertEquals(session.isAlive, false);
  await session[Symbol.asyncDispose]();

  const impatient = { turnStallTimeoutMs: 30_000, toolStallTimeoutMs: 250 };
  await using other = await openDemo(folder.path, record(), { limits: impatient });
  assert("error" in await other.prompt("run sleep 60", NOTHING));
});

Deno.test("a coding agent that is not installed, and one that ends at once, are told in a sentence", async () => {
  await using folder = await temporaryFolder();
  const missing = demoProfile({ label: "Nobody", command: "hearth-no-such-program", args: [] });
  await assertRejects(
    () => AcpSession.start(launchOf(folder.path, { profile: missing })),
    Error,
    "Nobody could not be started on this node: its program is not installed.",
  );
  const script = "echo 'bad key sk-abcdefghijklmnop' >&2; exit 3";
  const broken = demoProfile({ label: "Broken", command: "sh", args: ["-c", script] });
  const error = await assertRejects(() => AcpSession.start(launchOf(folder.path, { profile: broken })));
  assertEquals(error.message, "Broken ended unexpectedly (with exit code 3). Its last words: bad key [secret]");
});

Deno.test("a warm process is used and replaced; a dead one, or one with another environment, is not", async () => {
  await using folder = await temporaryFolder();
  const instanceId = crypto.randomUUID();
  await using prewarm = new Prewarm({ size: 1, cwd: folder.path, instanceId, log: QUIET });
  const launch = launchOf(folder.path, { mark: `${instanceId}/cold` });
  await using cold = (await prewarm.take(launch)).session;
  assertEquals(await prewarm.whenReady(), 1);

  const taken = await prewarm.take(launch);
  await using warm = taken.session;
  assert(taken.warm);
  const recorded = record();
  await warm.open({ cwd: folder.path, resume: null, events: recorded.events });
  await warm.prompt("run pwd", NOTHING);
  assertStringIncludes(JSON.stringify(recorded.updates), folder.path);

  assertEquals(await prewarm.whenReady(), 1);
  for (const { pid } of await selectMarked(await listProcesses(), `${instanceId}/`)) {
    const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
    if (environment.includes(`${instanceId}/warm-`) && pid !== await pidOf(warm)) Deno.kill(pid, "SIGKILL");
  }
  while (await prewarm.whenReady() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const afterDeath = await prewarm.take(launch);
  await using fresh = afterDeath.session;
  assertEquals([afterDeath.warm, fresh.isAlive, cold.isAlive], [false, true, true]);

  assertEquals(await prewarm.whenReady(), 1);
  const other = await prewarm.take({ ...launch, env: { ...launch.env, MODEL_KEY: "another" } });
  await using different = other.session;
  assertEquals([other.warm, different.isAlive], [false, true]);
});

/** The process of a session, asked from itself: the parent of a shell that it runs. */
async function pidOf(session: AcpSession): Promise<number> {
  await using folder = await temporaryFolder();
  await session.prompt(`run echo $PPID > ${folder.path}/pid`, NOTHING);
  return Number(await Deno.readTextFile(`${folder.path}/pid`));
}

Deno.test("what is asked in a turn that is cancelled waits for no answer, and does not happen", async () => {
  await using folder = await temporaryFolder();
  const asked = Promise.withResolvers<void>();
  const recorded = record();
  recorded.events.onPermission = ({ signal }) => {
    const { promise, resolve } = Promise.withResolvers<RequestPermissionResponse>();
    signal.addEventListener("abort", () => resolve({ outcome: { outcome: "cancelled" } }));
    asked.resolve();
    return promise;
  };
  await using session = await openDemo(folder.path, recorded);
  const turn = session.prompt("ask touch never.txt", NOTHING);
  await asked.promise;
  session.cancel();
  const end = await turn;
  assert("stopReason" in end && end.stopReason === "cancelled", JSON.stringify(end));
  await assertRejects(() => Deno.stat(`${folder.path}/never.txt`), Deno.errors.NotFound);
});

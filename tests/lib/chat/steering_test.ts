/** A waiting prompt sent into the turn that runs: when it is taken, and that whatever comes between it runs exactly once. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type RunningTask, startRunningTask } from "./fixture.ts";

async function ask(running: RunningTask, text: string): Promise<string> {
  const messageId = crypto.randomUUID();
  const asked = await running.test.admin.call(`POST ${running.session}/prompts`, { messageId, text });
  assertEquals([asked.status, asked.body.state], [202, "queued"]);
  return messageId;
}

function steer(running: RunningTask, messageId: string) {
  return running.test.admin.call(`POST ${running.session}/prompts/${messageId}/steer`);
}

async function states(running: RunningTask): Promise<string[]> {
  const { items } = (await running.test.admin.call(`GET ${running.session}/prompts`)).body;
  return items.map(({ state }: { state: string }) => state);
}

function accept(running: RunningTask, promptId: string, steering = true) {
  return running.agent.turn(running.workspaceId, { promptId, event: "accepted", steering });
}

function end(running: RunningTask, promptId: string, more: Record<string, unknown> = {}) {
  return running.agent.turn(running.workspaceId, { promptId, event: "ended", stopReason: "end_turn", ...more });
}

function tell(running: RunningTask, promptId: string, more: { into: string; outcome: string; interrupted?: boolean }) {
  return running.agent.turn(running.workspaceId, { promptId, event: "steered", ...more });
}

/** A run whose second turn takes prompts in, and the prompt of that turn. */
async function startSteerable(): Promise<{ running: RunningTask; turn: string }> {
  const running = await startRunningTask();
  const turn = await ask(running, "go on");
  await end(running, running.runtime.prompt!.messageId);
  await accept(running, turn);
  return { running, turn };
}

/** Sends a prompt on its way into the turn that runs. */
async function send(running: RunningTask, messageId: string): Promise<void> {
  const pressed = await steer(running, messageId);
  assertEquals([pressed.status, pressed.body.state], [202, "sent"], JSON.stringify(pressed.body));
}

Deno.test("a prompt is sent into a turn only while one runs, and only where the coding agent offers it", async () => {
  await using running = await startRunningTask();
  const [first, second] = [await ask(running, "first"), await ask(running, "second")];
  const refused = await steer(running, second);
  assertEquals([refused.status, refused.body.error], [409, "conflict"]);
  assertStringIncludes(refused.body.message, "This coding agent takes nothing into a turn");
  assertEquals((await running.readSession()).steering, undefined);
  await end(running, running.runtime.prompt!.messageId);
  const early = await steer(running, second);
  assertEquals([early.status, early.body.error], [409, "conflict"]);
  assertStringIncludes(early.body.message, "No turn runs now");
  await accept(running, first);
  assertEquals((await running.readSession()).steering, true);
  assertEquals((await steer(running, crypto.randomUUID())).status, 404);
  assertEquals((await steer(running, first)).body.error, "prompt_not_queued", "the turn's own");
  assertEquals(await states(running), ["running", "queued"]);
  assertEquals(await end(running, first), { next: { messageId: second, text: "second" } });
  assertEquals((await running.readSession()).steering, undefined);
  await accept(running, second, false);
  assertEquals((await running.readSession()).steering, undefined);
});

Deno.test("of two devices one sends it; it is done with the turn, and never handed out", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  const [first, second] = [await ask(running, "first"), await ask(running, "hurry")];
  const pressed = await Promise.all([steer(running, second), steer(running, second)]);
  assertEquals(pressed.map(({ status }) => status).toSorted(), [202, 409]);
  const path = `${running.session}/prompts/${second}` as const;
  assertEquals((await running.test.admin.call(`PATCH ${path}`, { text: "x" })).body.error, "prompt_not_queued");
  assertEquals((await running.test.admin.call(`DELETE ${path}`)).body.error, "prompt_not_queued");
  const command = await running.agent.command("prompt.steer");
  assertEquals([command.messageId, command.into, command.text], [second, turn, "hurry"]);
  assertEquals(await tell(running, second, { into: turn, outcome: "injected" }), { ok: true });
  assertEquals(await tell(running, second, { into: turn, outcome: "injected" }), { ok: true }, "the same again");
  assertEquals(await states(running), ["running", "queued", "done"]);
  assertEquals(await end(running, turn), { next: { messageId: first, text: "first" } });
  assertEquals(await end(running, first), { finalize: true });
  assertEquals(running.agent.commands.filter(({ kind }) => kind === "prompt.steer").length, 1);
});

Deno.test("one that the coding agent did not take in waits as before, can be changed, and runs next", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  const messageId = await ask(running, "hurry");
  await send(running, messageId);
  await tell(running, messageId, { into: turn, outcome: "returned" });
  assertEquals(await states(running), ["running", "queued"]);
  assertEquals((await steer(running, messageId)).body.error, "conflict", "not twice into one turn");
  const path = `${running.session}/prompts/${messageId}` as const;
  assertEquals((await running.test.admin.call(`PATCH ${path}`, { text: "slowly" })).body.text, "slowly");
  assertEquals(await end(running, turn), { next: { messageId, text: "slowly" } });
});

Deno.test("a turn that ends first: the prompt is the next one, and what is told late of it changes nothing", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  const messageId = await ask(running, "hurry");
  await send(running, messageId);
  const next = { next: { messageId, text: "hurry" } };
  assertEquals(await end(running, turn), next);
  assertEquals(await end(running, turn), next, "the same report again");
  for (const outcome of ["returned", "injected"]) await tell(running, messageId, { into: turn, outcome });
  assertEquals(await states(running), ["done", "sent"]);
  await accept(running, messageId);
  assertEquals(await end(running, messageId), { finalize: true });
  assertEquals(await states(running), ["done", "done"]);
});

Deno.test("a report of an earlier turn says nothing of the turn that the prompt is sent into now", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  const [first, second] = [await ask(running, "first"), await ask(running, "second")];
  await send(running, second);
  assertEquals(await end(running, turn), { next: { messageId: first, text: "first" } });
  await accept(running, first);
  assertEquals((await steer(running, second)).status, 409, "on its way still");
  await tell(running, second, { into: turn, outcome: "returned" });
  await send(running, second);
  await tell(running, second, { into: turn, outcome: "returned" });
  assertEquals((await states(running)).at(-1), "sent");
  await tell(running, second, { into: first, outcome: "injected", interrupted: true });
  assertEquals((await states(running)).at(-1), "failed", "it may have come in, so it is not sent again");
  assertEquals(await end(running, first), { finalize: true });
});

Deno.test("sending it and the end of the turn at once: it is the next prompt, whichever was first", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  let current = turn;
  for (let round = 0; round < 12; round++) {
    const messageId = await ask(running, "hurry");
    const [answer, pressed] = await Promise.all([end(running, current), steer(running, messageId)]);
    assert(pressed.status === 202 || pressed.status === 409, JSON.stringify(pressed.body));
    assertEquals(answer, { next: { messageId, text: "hurry" } });
    await tell(running, messageId, { into: current, outcome: "returned" });
    assertEquals((await states(running)).at(-1), "sent");
    await accept(running, messageId);
    current = messageId;
  }
  assertEquals(await end(running, current), { finalize: true });
});

Deno.test("a task that is cancelled takes a prompt on its way with it", async () => {
  const { running, turn } = await startSteerable();
  await using _ = running;
  const messageId = await ask(running, "hurry");
  await running.agent.unlink();
  await send(running, messageId);
  await running.test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/cancel`);
  assertEquals(await states(running), ["cancelled", "cancelled"]);
  await running.agent.link();
  await running.agent.command("workspace.stop");
  assertEquals(running.agent.commands.filter(({ kind }) => kind === "prompt.steer"), []);
  await tell(running, messageId, { into: turn, outcome: "injected" });
  assertEquals(await states(running), ["cancelled", "cancelled"]);
});

/** Turns and prompts: the edge holds the line, the agent has at most one, nothing is run twice or forgotten. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { reportTurn } from "../../../lib/tasks/turn.ts";
import type { Bench, Run } from "./fixture.ts";
import { startBench } from "./fixture.ts";

/** Asks for one more prompt in the run's session. */
async function ask(bench: Bench, run: Run, text: string) {
  const messageId = crypto.randomUUID();
  const answer = await bench.test.admin.call(`POST ${sessionPath(run)}/prompts`, { messageId, text });
  return { messageId, ...answer };
}

function sessionPath(run: Run): `/${string}` {
  return `/api/projects/${run.projectId}/sessions/${run.sessionId}`;
}

async function promptStates(bench: Bench, run: Run): Promise<string[]> {
  const { items } = (await bench.test.admin.call(`GET ${sessionPath(run)}/prompts`)).body;
  return items.map((prompt: { state: string }) => prompt.state);
}

async function report(run: Run, promptId: string, more: Record<string, unknown> = {}) {
  return await run.agent.turn(run.runtime.workspaceId, { promptId, event: "ended", stopReason: "end_turn", ...more });
}

async function accept(run: Run, promptId: string) {
  return await run.agent.turn(run.runtime.workspaceId, { promptId, event: "accepted" });
}

Deno.test("the run is in progress when the coding agent took the prompt, and a repeated report changes nothing", async () => {
  await using bench = await startBench();
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  const { prompt } = await agent.runtime(workspaceId);
  assertEquals([(await bench.task(task)).status, (await bench.session(task)).turn], ["delegated", "idle"]);
  const accepted = { promptId: prompt!.messageId, event: "accepted" };
  assertEquals(await agent.turn(workspaceId, accepted), { ok: true });
  const [before, session] = [await bench.task(task), await bench.session(task)];
  assertEquals([before.status, before.executionStep, session.turn], ["in_progress", "running", "running"]);
  assert(before.startedAt !== null);
  assertEquals(await agent.turn(workspaceId, accepted), { ok: true });
  assertEquals([await bench.task(task), await bench.session(task)], [before, session]);
});

Deno.test("waiting prompts are handed out one by one, in order, and only then the work is closed", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const [first, second] = [await ask(bench, run, "one"), await ask(bench, run, "two")];
  assertEquals([first.status, first.body.state], [202, "queued"]);
  const next = { next: { messageId: first.messageId, text: "one" } };
  assertEquals(await bench.endTurn(run), next);
  assertEquals(await bench.endTurn(run), next, "the same report again");
  assertEquals(await promptStates(bench, run), ["sent", "queued"]);
  await accept(run, first.messageId);
  assertEquals(await promptStates(bench, run), ["running", "queued"]);
  assertEquals(await report(run, first.messageId), { next: { messageId: second.messageId, text: "two" } });
  await accept(run, second.messageId);
  assertEquals(await report(run, second.messageId), { finalize: true });
  assertEquals(await report(run, second.messageId), { finalize: true }, "the same report again");
  assertEquals(await promptStates(bench, run), ["done", "done"]);
  assertEquals([(await bench.session(run)).turn, (await bench.task(run)).executionStep], ["finalizing", "finalizing"]);
});

Deno.test("once the work is closed no prompt is taken that nobody would run", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run);
  const late = await ask(bench, run, "too late");
  assertEquals([late.status, late.body.error], [409, "session_closing"]);
  assertEquals((await bench.test.admin.call(`POST ${sessionPath(run)}/interrupt`)).body.error, "session_closing");
  assertEquals(await promptStates(bench, run), []);
});

Deno.test("a prompt and the end of the turn at once: it is handed out or refused, never left lying", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  for (let round = 0; round < 12; round++) {
    const run = await bench.run({}, project.id);
    const [answer, asked] = await Promise.all([bench.endTurn(run), ask(bench, run, "more")]);
    if (asked.status === 202) assertEquals(answer, { next: { messageId: asked.messageId, text: "more" } });
    else assertEquals([asked.body.error, answer], ["session_closing", { finalize: true }]);
    await bench.test.admin.call(`POST ${run.path}/cancel`);
    await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  }
});

Deno.test("a waiting prompt can be changed and taken back, one that is handed out cannot", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const [first, second] = [await ask(bench, run, "one"), await ask(bench, run, "two")];
  const path = (id: string) => `${sessionPath(run)}/prompts/${id}` as const;
  assertEquals((await bench.test.admin.call(`DELETE ${path(first.messageId)}`)).status, 204);
  assertEquals((await bench.test.admin.call(`PATCH ${path(second.messageId)}`, { text: "deux" })).body.text, "deux");
  assertEquals(await bench.endTurn(run), { next: { messageId: second.messageId, text: "deux" } });
  for (const { messageId } of [first, second]) {
    const late = await bench.test.admin.call(`PATCH ${path(messageId)}`, { text: "late" });
    assertEquals([late.status, late.body.error], [409, "prompt_not_queued"]);
  }
  assertEquals(await promptStates(bench, run), ["cancelled", "sent"]);
});

Deno.test("an interrupted turn waits for a prompt; the next one wakes the agent", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals((await bench.test.admin.call(`POST ${sessionPath(run)}/interrupt`)).body, { interrupted: true });
  assertEquals((await run.agent.command("prompt.cancel")).messageId, run.runtime.prompt!.messageId);
  assertEquals(await bench.endTurn(run, { stopReason: "cancelled" }), { wait: true });
  assertEquals(await bench.endTurn(run, { stopReason: "cancelled" }), { wait: true }, "the same report again");
  assertEquals((await bench.task(run)).executionStep, "awaiting_prompt");
  assertEquals((await bench.test.admin.call(`POST ${sessionPath(run)}/interrupt`)).body, { interrupted: false });

  const asked = await ask(bench, run, "go on like this");
  assertEquals(asked.body.state, "sent");
  const sent = await run.agent.command("prompt.send");
  assertEquals([sent.messageId, sent.text], [asked.messageId, "go on like this"]);
  await accept(run, asked.messageId);
  assertEquals((await bench.task(run)).executionStep, "running");
  assertEquals(await report(run, asked.messageId), { finalize: true });
});

Deno.test("interrupted with a prompt in line: that one comes next", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const asked = await ask(bench, run, "instead");
  assertEquals(await bench.endTurn(run, { stopReason: "cancelled" }), {
    next: { messageId: asked.messageId, text: "instead" },
  });
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("interrupted and no prompt for a quarter of an hour: cancelled, workspace kept", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  await bench.pass(bench.edge.config.PROMPT_WAIT_TIMEOUT_MS - 10_000);
  assertEquals((await bench.task(run)).status, "in_progress");
  await bench.pass(10_001);
  assertEquals(await bench.states(run), ["cancelled", "ready kept", "active 1", "stopped"]);
  const events = (await bench.test.admin.call(`GET ${run.path}/events`)).body.items;
  assertMatch(events.at(-1).reason, /no further prompt came within 15 minutes/);
});

Deno.test("a prompt at the last moment of the wait is given its time, and is not cancelled with the run", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  bench.test.skewMs += bench.edge.config.PROMPT_WAIT_TIMEOUT_MS - 100;
  const asked = await ask(bench, run, "wait for me");
  await bench.pass(101);
  assertEquals((await bench.task(run)).status, "in_progress");
  await accept(run, asked.messageId);
  await bench.pass(bench.edge.config.AGENT_START_TIMEOUT_MS + 1);
  assertEquals([(await bench.task(run)).status, (await bench.task(run)).executionStep], ["in_progress", "running"]);
});

Deno.test("a prompt that nobody takes fails the run, it does not wait for ever", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  bench.test.skewMs += bench.edge.config.PROMPT_WAIT_TIMEOUT_MS - 100;
  await ask(bench, run, "hello?");
  await bench.pass(101);
  for (let tries = 0; tries < 2; tries++) await bench.pass(bench.edge.config.AGENT_START_TIMEOUT_MS + 1);
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  assertMatch((await bench.task(run)).errorMessage!, /did not take the prompt/);
  assertEquals(await promptStates(bench, run), ["failed"]);
});

Deno.test("refused, too long, too many steps, failed: the run fails with the reason, the workspace is kept", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  const ends: [Record<string, unknown>, RegExp][] = [
    [{ stopReason: "refusal" }, /refused/],
    [{ stopReason: "max_tokens" }, /largest length/],
    [{ stopReason: "max_turn_requests" }, /limit of steps/],
    [{ stopReason: undefined, error: "The model is down." }, /The model is down/],
    [{ stopReason: undefined, interrupted: true, resumable: false }, /interrupted by a restart/],
  ];
  for (const [more, reason] of ends) {
    const run = await bench.run({}, project.id);
    assertEquals(await bench.endTurn(run, more), { stop: true });
    assertEquals(await bench.endTurn(run, more), { stop: true }, "the same report again");
    const [task, workspace, , session] = await bench.states(run);
    assertEquals([task, workspace, session], ["failed", "error kept", "error"]);
    assertMatch((await bench.task(run)).errorMessage!, reason);
    await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
    await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  }
});

Deno.test("cut by a restart, twice the conversation goes on with a visible word, the third time the run fails", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const waiting = await ask(bench, run, "later");
  const cut = { stopReason: undefined, interrupted: true, resumable: true };
  const first = await bench.endTurn(run, cut);
  assertEquals(await bench.endTurn(run, cut), first, "the same report again");
  assert("next" in first && first.next.messageId !== waiting.messageId);
  await accept(run, first.next.messageId);
  const second = await report(run, first.next.messageId, cut);
  assert("next" in second && second.next.messageId !== first.next.messageId);
  const messages = (await bench.test.admin.call(`GET ${sessionPath(run)}/messages`)).body.items;
  const said = messages.filter((message: { role: string }) => message.role === "system");
  assertEquals(said.length, 2);
  assertMatch(said[0].content, /interrupted by a restart/);
  await accept(run, second.next.messageId);
  assertEquals(await report(run, second.next.messageId, cut), { stop: true });
  assertEquals(await bench.states(run), ["failed", "error kept", "active 1", "error"]);
  assertMatch((await bench.task(run)).errorMessage!, /too often/);
  assertEquals(await promptStates(bench, run), ["cancelled"]);
});

Deno.test("after an interruption the waiting prompts come again in their order", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const waiting = await ask(bench, run, "later");
  const resumed = await bench.endTurn(run, { stopReason: undefined, interrupted: true, resumable: true });
  assert("next" in resumed);
  await accept(run, resumed.next.messageId);
  assertEquals(await report(run, resumed.next.messageId), { next: { messageId: waiting.messageId, text: "later" } });
});

Deno.test("a cancelled run answers stop, whatever it was answered before, and no prompt of it waits any more", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const [first, second] = [await ask(bench, run, "one"), await ask(bench, run, "two")];
  assertEquals(await bench.endTurn(run), { next: { messageId: first.messageId, text: "one" } });
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  assertEquals(await promptStates(bench, run), ["cancelled", "cancelled"]);
  assertEquals(await bench.endTurn(run), { stop: true });
  assertEquals(await accept(run, first.messageId), { stop: true });
  assertEquals(await report(run, second.messageId), { stop: true });
  assertEquals((await bench.session(run)).turn, "idle");
});

Deno.test("a prompt that was cancelled with its run is not sent any more", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  await run.agent.unlink();
  await ask(bench, run, "never mind");
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  await run.agent.link();
  await run.agent.command("workspace.stop");
  assertEquals(run.agent.commands.map(({ kind }) => kind), ["workspace.start", "noop", "workspace.stop"]);
});

Deno.test("a fenced run is told so, and changes nothing", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await bench.test.admin.call(`DELETE /api/nodes/${run.runtime.nodeId}?force=true`);
  const path = `POST /api/workspaces/${run.runtime.workspaceId}/turns` as const;
  const body = { promptId: run.runtime.prompt!.messageId, event: "ended", stopReason: "end_turn" };
  const answer = await run.agent.asWorkspace(run.runtime.workspaceId, path, body);
  assertEquals([answer.status, answer.body.error], [410, "node_fenced"]);
  // What slips past the fence sees that the run is over.
  const workspace = await bench.workspace(run.runtime.workspaceId);
  assertEquals(await reportTurn(bench.edge, workspace, { ...body, event: "ended", stopReason: "end_turn" }), {
    stop: true,
  });
});

Deno.test("a report of another prompt than the one handed out ends nothing", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals(await report(run, crypto.randomUUID()), { stop: true });
  assertEquals(await accept(run, crypto.randomUUID()), { ok: true });
  assertEquals((await bench.session(run)).turn, "running");
});

Deno.test("cost and tokens only grow within a run, and begin anew with the next", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  await run.agent.report(run.runtime.workspaceId, { costUsd: 0.5, tokens: { input: 10, output: 5 } });
  await run.agent.report(run.runtime.workspaceId, { costUsd: 0.2, tokens: { input: 3, total: 9 } });
  const task = await bench.task(run);
  assertEquals([task.costUsd, task.tokens], [0.5, { input: 10, output: 5, total: 9 }]);
  await bench.endTurn(run, { costUsd: 0.75 });
  assertEquals((await bench.task(run)).costUsd, 0.75);
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  const again = await bench.runAgain(run);
  assertEquals([(await bench.task(again)).costUsd, (await bench.task(again)).tokens], [null, null]);
  await run.agent.report(run.runtime.workspaceId, { costUsd: 9, branch: "old" });
  assertEquals([(await bench.task(again)).costUsd, (await bench.task(again)).outputBranch === "old"], [null, false]);
});

Deno.test("in a manual workspace prompts follow each other, and a failed turn ends only itself", async () => {
  await using bench = await startBench();
  const project = await bench.test.addProject();
  const opened = (await bench.test.admin.call("POST /api/workspaces", { projectId: project.id })).body;
  const agent = await bench.agentOf(opened.nodeId);
  await agent.begin();
  const { sessionId } = await bench.workspace(opened.id);
  const prompts = `/api/projects/${project.id}/sessions/${sessionId}/prompts` as const;
  const ids = [1, 2, 3].map(() => crypto.randomUUID());
  for (const messageId of ids) await bench.test.admin.call(`POST ${prompts}`, { messageId, text: messageId });
  assertEquals((await agent.command("prompt.send")).messageId, ids[0]);
  const end = (promptId: string, more: Record<string, unknown>) =>
    agent.turn(opened.id, { promptId, event: "ended", ...more });
  assertEquals(await end(ids[0]!, { error: "x" }), { next: { messageId: ids[1]!, text: ids[1]! } });
  assertEquals(await end(ids[1]!, { interrupted: true }), { next: { messageId: ids[2]!, text: ids[2]! } });
  assertEquals(await end(ids[2]!, { stopReason: "end_turn" }), { wait: true });
  const { items } = (await bench.test.admin.call(`GET ${prompts}`)).body;
  assertEquals(items.map((prompt: { state: string }) => prompt.state), ["failed", "failed", "done"]);
});

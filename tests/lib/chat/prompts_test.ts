/** Follow-up prompts: who gets them when, who may still change them, how many may wait. */
import { assert, assertEquals } from "@std/assert";
import { addPrompt } from "../../../lib/chat/prompts.ts";
import { overtakeRead } from "../../fakes/failing_store.ts";
import { type RunningTask, startRunningTask } from "./fixture.ts";

function ask(running: RunningTask, text: string, messageId: string = crypto.randomUUID()) {
  return running.test.admin.call(`POST ${running.session}/prompts`, { messageId, text });
}

async function list(running: RunningTask): Promise<{ text: string; state: string }[]> {
  const { items } = (await running.test.admin.call(`GET ${running.session}/prompts`)).body;
  return items.map(({ text, state }: { text: string; state: string }) => ({ text, state }));
}

/** The running turn ends well. */
function endTurn(running: RunningTask, promptId: string) {
  return running.agent.turn(running.workspaceId, { promptId, event: "ended", stopReason: "end_turn" });
}

Deno.test("prompts wait for the turn that runs and are handed out one by one, in order", async () => {
  await using running = await startRunningTask();
  const asked = [await ask(running, "one"), await ask(running, "two"), await ask(running, "three")];
  assertEquals(asked.map((answer) => [answer.status, answer.body.state]), Array(3).fill([202, "queued"]));
  let answer = await endTurn(running, running.runtime.prompt!.messageId);
  for (const [i, text] of ["one", "two", "three"].entries()) {
    assertEquals(answer, { next: { messageId: asked[i]!.body.messageId, text } });
    await running.agent.turn(running.workspaceId, { promptId: asked[i]!.body.messageId, event: "accepted" });
    assertEquals((await list(running))[i]!.state, "running");
    answer = await endTurn(running, asked[i]!.body.messageId);
  }
  assertEquals(answer, { finalize: true });
  assertEquals((await list(running)).map((prompt) => prompt.state), ["done", "done", "done"]);
  const late = await ask(running, "too late");
  assertEquals([late.status, late.body.error], [409, "session_closing"]);
});

Deno.test("the same messageId again is the same prompt, also at once", async () => {
  await using running = await startRunningTask();
  const messageId = crypto.randomUUID();
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(running, "one text", messageId)));
  assertEquals(answers.map((answer) => answer.status), Array(6).fill(202));
  assertEquals((await list(running)).length, 1);
  assertEquals((await ask(running, "one text", messageId.toUpperCase())).body.messageId, messageId);
  const other = await ask(running, "another text", messageId);
  assertEquals([other.status, other.body.error], [409, "conflict"]);
  // What was edited meanwhile is not another prompt: the call that made it may still be repeated.
  await running.test.admin.call(`PATCH ${running.session}/prompts/${messageId}`, { text: "edited" });
  assertEquals((await ask(running, "one text", messageId)).body.text, "edited");
});

Deno.test("the same messageId, stored between the look for it and the commit, is the same prompt", async () => {
  await using running = await startRunningTask();
  const { edge, admin } = running.test;
  const messageId = crypto.randomUUID();
  const isIt = (key: Deno.KvKey) => key[0] === "promptById";
  const store = overtakeRead(edge.store, isIt, () => ask(running, "one text", messageId));
  const ref = { projectId: running.projectId, id: running.sessionId };
  await addPrompt({ ...edge, store }, ref, { messageId, text: "one text", by: admin.user.id });
  assertEquals((await list(running)).length, 1);
});

Deno.test("a waiting prompt can be changed and taken back, one that was handed out cannot", async () => {
  await using running = await startRunningTask();
  const [first, second] = [(await ask(running, "first")).body, (await ask(running, "second")).body];
  const path = `${running.session}/prompts` as const;
  const edited = await running.test.admin.call(`PATCH ${path}/${first.messageId}`, { text: "better" });
  assertEquals([edited.status, edited.body.text], [200, "better"]);
  assertEquals((await running.test.admin.call(`DELETE ${path}/${second.messageId}`)).status, 204);
  const next = await endTurn(running, running.runtime.prompt!.messageId);
  assertEquals(next, { next: { messageId: first.messageId, text: "better" } });
  for (const id of [first.messageId, second.messageId]) {
    const patched = await running.test.admin.call(`PATCH ${path}/${id}`, { text: "late" });
    assertEquals([patched.status, patched.body.error], [409, "prompt_not_queued"]);
    assertEquals((await running.test.admin.call(`DELETE ${path}/${id}`)).body.error, "prompt_not_queued");
  }
  const unknown = await running.test.admin.call(`DELETE ${path}/${crypto.randomUUID()}`);
  assertEquals(unknown.status, 404);
  assertEquals(await endTurn(running, first.messageId), { finalize: true });
});

Deno.test("a prompt is either taken back or handed out, never both", async () => {
  await using running = await startRunningTask();
  let current = running.runtime.prompt!.messageId;
  for (let round = 0; round < 15; round++) {
    const [raced, spare] = [(await ask(running, "raced")).body.messageId, (await ask(running, "spare")).body.messageId];
    const [answer, removed] = await Promise.all([
      endTurn(running, current),
      running.test.admin.call(`DELETE ${running.session}/prompts/${raced}`),
    ]);
    assert("next" in answer);
    const { messageId } = answer.next;
    assertEquals(removed.status, messageId === raced ? 409 : 204);
    current = messageId;
    // Whoever still waits is taken, so that the next round begins with an empty line.
    if (messageId === raced) {
      const next = await endTurn(running, raced);
      assert("next" in next);
      current = next.next.messageId;
    }
    assertEquals(current, spare);
  }
});

Deno.test("at most twenty prompts wait; one that is taken back makes room", async () => {
  await using running = await startRunningTask();
  const prompts = [];
  for (let i = 0; i < 20; i++) prompts.push((await ask(running, `${i}`)).body);
  const refused = await ask(running, "one too many");
  assertEquals([refused.status, refused.body.error], [409, "too_many_prompts"]);
  await running.test.admin.call(`DELETE ${running.session}/prompts/${prompts[3]!.messageId}`);
  assertEquals((await ask(running, "fits")).status, 202);
  assertEquals((await ask(running, "does not")).body.error, "too_many_prompts");
});

Deno.test("twenty-five at once are twenty that wait", async () => {
  await using running = await startRunningTask();
  for (let i = 0; i < 17; i++) await ask(running, `${i}`);
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => ask(running, `at once ${i}`)));
  assertEquals(answers.filter((answer) => answer.status === 202).length, 3);
  assertEquals((await list(running)).filter((prompt) => prompt.state === "queued").length, 20);
});

Deno.test("the longest text of wide characters is kept whole, a longer one and an empty one are refused", async () => {
  await using running = await startRunningTask();
  const text = "語".repeat(32_000);
  assertEquals((await ask(running, text)).body.text, text);
  assertEquals([(await ask(running, `${text}語`)).status, (await ask(running, " \n\t ")).status], [400, 400]);
  const answer = await endTurn(running, running.runtime.prompt!.messageId);
  assert("next" in answer && answer.next.text === text);
});

Deno.test("only a session on which an agent works takes prompts and interruptions", async () => {
  await using running = await startRunningTask();
  const { test, projectId } = running;
  const draft = (await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description: "x" })).body;
  const path = `/api/projects/${projectId}/sessions/${draft.sessionId}` as const;
  const body = { messageId: crypto.randomUUID(), text: "hello" };
  assertEquals((await test.admin.call(`POST ${path}/prompts`, body)).body.error, "session_not_live");
  assertEquals((await test.admin.call(`POST ${path}/interrupt`)).body.error, "session_not_live");
  assertEquals((await test.admin.call(`POST ${running.session}/interrupt`)).body, { interrupted: true });
  const cancel = await running.agent.command("prompt.cancel");
  assertEquals(cancel.messageId, running.runtime.prompt!.messageId);
  await test.admin.call(`POST /api/projects/${projectId}/tasks/${running.taskId}/cancel`);
  assertEquals((await ask(running, "after the end")).body.error, "session_not_live");
  assertEquals((await test.admin.call(`POST ${running.session}/interrupt`)).body.error, "session_not_live");
});

Deno.test("an agent that waits gets a prompt at once, by command, with its text", async () => {
  await using running = await startRunningTask();
  const { test, projectId, agent } = running;
  const opened = (await test.admin.call("POST /api/workspaces", { projectId })).body;
  await agent.report(opened.id, { status: "ready" });
  const path = `/api/projects/${projectId}/sessions/${opened.sessionId}` as const;
  const messageId = crypto.randomUUID();
  const asked = await test.admin.call(`POST ${path}/prompts`, { messageId, text: "look around" });
  assertEquals(asked.body.state, "sent");
  const command = await agent.command("prompt.send");
  assertEquals([command.workspaceId, command.messageId, command.text], [opened.id, messageId, "look around"]);
  const answer = await agent.turn(opened.id, { promptId: messageId, event: "ended", stopReason: "end_turn" });
  assertEquals(answer, { wait: true });
});

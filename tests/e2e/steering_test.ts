/** A prompt sent into a running turn, with nothing replaced: one turn answers both, and the conversation says so. */
import { assertEquals } from "@std/assert";
import { Gate } from "../gate.ts";
import { openScene, submit } from "./scene.ts";

Deno.test("a waiting prompt is sent into the turn that runs, which answers it; the others run after it", async () => {
  await using scene = await openScene();
  const { test, live, projectId } = scene;
  await using gate = await Gate.make();
  const description = `say one\nrun ${gate.wait}\nsay three`;
  const { taskId, sessionId } = await submit(scene, description);
  live.subscribe(sessionId);
  await live.until(
    "a turn that takes prompts in",
    (frame) => frame.type === "session.updated" && frame.session.id === sessionId && frame.session.steering === true,
  );
  const path = `/api/projects/${projectId}/sessions/${sessionId}` as const;
  const [waits, hurries] = [crypto.randomUUID(), crypto.randomUUID()];
  await test.admin.call(`POST ${path}/prompts`, { messageId: waits, text: "say four" });
  await test.admin.call(`POST ${path}/prompts`, { messageId: hurries, text: "say two" });
  const pressed = await test.admin.call(`POST ${path}/prompts/${hurries}/steer`);
  assertEquals([pressed.status, pressed.body.state], [202, "sent"]);
  await live.until(
    "the prompt in the turn",
    (frame) => frame.type === "prompt.updated" && frame.prompt.messageId === hurries && frame.prompt.state === "done",
  );
  await gate.open();
  const task = await live.task(taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const { items } = (await test.admin.call(`GET ${path}/messages`)).body;
  const said = items.filter(({ role }: { role: string }) => role !== "tool" && role !== "system")
    .map(({ role, content }: { role: string; content: string }) => [role, content]);
  assertEquals(said, [
    ["user", description],
    ["assistant", "one"],
    ["user", "say two"],
    ["assistant", "two"],
    ["assistant", "three"],
    ["user", "say four"],
    ["assistant", "four"],
  ]);
  const prompts = (await test.admin.call(`GET ${path}/prompts`)).body.items;
  assertEquals(prompts.map(({ state }: { state: string }) => state), ["done", "done"]);
});

/** Asking a person, with nothing replaced: the demo coding agent waits, an answer from anywhere lets it go on. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import type { PermissionRequest } from "../../lib/wire/permission.ts";
import type { Task } from "../../lib/wire/task.ts";
import { openScene, type Scene, submit } from "./scene.ts";

const ASKING = { project: { permissionMode: "ask" } };

async function asked(scene: Scene, title: string, not: string[] = []): Promise<PermissionRequest> {
  const frame = await scene.live.until(
    `the request to ${title}`,
    (frame) =>
      frame.type === "permission.requested" && frame.request.title === title && !not.includes(frame.request.requestId),
  );
  return (frame as { request: PermissionRequest }).request;
}

const answer = (scene: Scene, request: PermissionRequest, optionId: string) =>
  scene.test.admin.call(
    `POST /api/projects/${scene.projectId}/sessions/${request.sessionId}/permissions/${request.requestId}`,
    { optionId },
  );

async function tools(scene: Scene, sessionId: string) {
  const path = `/api/projects/${scene.projectId}/sessions/${sessionId}/messages` as const;
  const { items } = (await scene.test.admin.call(`GET ${path}`)).body;
  return items.filter((message: { role: string }) => message.role === "tool");
}

const ended = (scene: Scene, taskId: string) => scene.live.task(taskId, "completed", "failed", "cancelled");

Deno.test("in ask mode a command waits for a person: allowed it runs, rejected it does not, and both are recorded", async () => {
  await using scene = await openScene(ASKING);
  const { taskId, sessionId } = await submit(
    scene,
    "ask write notes.txt: inside\nask echo one > one.txt\nask echo two > two.txt\nsay Done.",
  );
  const first = await asked(scene, "echo one > one.txt");
  assertEquals([first.toolMetadata?.tool, first.toolMetadata?.target], ["execute", "echo one > one.txt"]);
  assertEquals(first.options.map((option) => option.kind), ["allow_once", "allow_always", "reject_once"]);
  scene.live.subscribe(sessionId);
  assertEquals((await answer(scene, first, "yes")).status, 200);
  const second = await asked(scene, "echo two > two.txt");
  assertEquals((await answer(scene, second, "no")).status, 200);
  const task = await ended(scene, taskId);
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const [write, one, two] = await tools(scene, sessionId);
  assertEquals(write.toolMetadata.permission, { outcome: "allow_once", by: "policy" }, "edits inside are not asked");
  assertEquals([one.toolMetadata.status, one.toolMetadata.permission], ["completed", {
    outcome: "allow_once",
    by: "admin",
  }]);
  assertEquals([two.toolMetadata.status, two.toolMetadata.permission], ["failed", {
    outcome: "reject_once",
    by: "admin",
  }]);
  assertStringIncludes(two.content, "Rejected by admin.");
  assertEquals(await scene.repository.show(task.outputBranch!, "one.txt"), "one");
  const files = await scene.repository.git(["ls-tree", "--name-only", task.outputBranch!]);
  assert(!files.includes("two.txt") && files.includes("notes.txt"), files);
});

Deno.test("a project that asks before edits asks for those too, with the change that is meant", async () => {
  await using scene = await openScene({ project: { ...ASKING.project, settings: { askBeforeEdits: true } } });
  const { taskId } = await submit(scene, "ask write notes.txt: inside");
  const request = await asked(scene, "Write notes.txt");
  assertStringIncludes(request.toolMetadata?.diff ?? "", "+inside");
  await answer(scene, request, "yes");
  const task = await ended(scene, taskId);
  assertEquals(await scene.repository.show(task.outputBranch!, "notes.txt"), "inside");
});

Deno.test("unanswered at its expiry a request is refused, the conversation says why, and the turn goes on", async () => {
  await using scene = await openScene({ ...ASKING, env: { PERMISSION_TIMEOUT_MS: "1000" } });
  const { taskId, sessionId } = await submit(scene, "ask touch late.txt\nwrite after.txt: on");
  const task = await ended(scene, taskId);
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const [ask] = await tools(scene, sessionId);
  assertEquals(ask.toolMetadata.permission, { outcome: "reject_once", by: "timeout" });
  assertStringIncludes(ask.content, "Refused: nobody answered within 1 second.");
  assertEquals(await scene.repository.show(task.outputBranch!, "after.txt"), "on");
});

Deno.test("cancelling the run closes its request at once, and what was asked does not happen", async () => {
  await using scene = await openScene(ASKING);
  const { taskId } = await submit(scene, "ask touch never.txt");
  const request = await asked(scene, "touch never.txt");
  await scene.test.admin.call(`POST /api/projects/${scene.projectId}/tasks/${taskId}/cancel`);
  const frame = await scene.live.until(
    "its end",
    (frame) => frame.type === "permission.resolved" && frame.requestId === request.requestId,
  );
  assertEquals(frame.type === "permission.resolved" && frame.outcome, "cancelled");
  assertEquals((await answer(scene, request, "yes")).body.error, "already_answered");
  await scene.live.task(taskId, "cancelled");
});

Deno.test("an interrupt ends the turn that waits for an answer; the next prompt goes on", async () => {
  await using scene = await openScene(ASKING);
  const { taskId, sessionId } = await submit(scene, "ask touch never.txt\nwrite late.txt: late");
  const request = await asked(scene, "touch never.txt");
  const path = `/api/projects/${scene.projectId}/sessions/${sessionId}` as const;
  await scene.test.admin.call(`POST ${path}/interrupt`);
  await scene.live.until(
    "its end",
    (frame) => frame.type === "permission.resolved" && frame.requestId === request.requestId,
  );
  await scene.test.admin.call(`POST ${path}/prompts`, { messageId: crypto.randomUUID(), text: "write on.txt: on" });
  const task = await ended(scene, taskId);
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(await scene.repository.show(task.outputBranch!, "on.txt"), "on");
});

Deno.test("the agent killed while a request waits: the request is closed, the run goes on and may ask anew", async () => {
  await using scene = await openScene(ASKING);
  const { taskId, sessionId } = await submit(scene, "ask touch before.txt");
  const request = await asked(scene, "touch before.txt");
  const path = `/api/projects/${scene.projectId}/sessions/${sessionId}` as const;
  const text = "ask touch before.txt";
  await scene.test.admin.call(`POST ${path}/prompts`, { messageId: crypto.randomUUID(), text });
  const running: Task = (await scene.test.admin.call(`GET /api/projects/${scene.projectId}/tasks/${taskId}`)).body;
  Deno.kill(await agentPid(scene, running.nodeId!), "SIGKILL");
  const frame = await scene.live.until(
    "its end",
    (frame) => frame.type === "permission.resolved" && frame.requestId === request.requestId,
  );
  assertEquals(frame.type === "permission.resolved" && frame.outcome, "cancelled");
  const again = await asked(scene, "touch before.txt", [request.requestId]);
  assertEquals((await answer(scene, again, "yes")).status, 200);
  const task = await ended(scene, taskId);
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertStringIncludes(await scene.repository.git(["ls-tree", "--name-only", task.outputBranch!]), "before.txt");
  const [lost] = await tools(scene, sessionId);
  assertEquals([lost.toolMetadata.status, lost.flags.interrupted], ["failed", true]);
});

async function agentPid(scene: Scene, nodeId: string): Promise<number> {
  const directory = join(scene.test.edge.config.HEARTH_DATA_DIR, "nodes", nodeId);
  return JSON.parse(await Deno.readTextFile(join(directory, "pid.json"))).pid;
}

/**
 * The main job with nothing replaced: the composed edge, the local provider, the real agent process, the demo coding
 * agent, real Git. A task is submitted, works in a checkout, is pushed, and leaves a clean, warm node for the next.
 */
import { assert, assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { Gate } from "../gate.ts";
import { openScene, runToEnd, type Scene, submit } from "./scene.ts";

const WORK = [
  "think First I look around.",
  "write notes/hello.txt: Hello from the agent",
  "run cat notes/hello.txt",
  "say All done.",
];

Deno.test("a task runs from submit to a pushed branch, and the next one on the same warm node", async () => {
  await using scene = await openScene();
  const { live, repository } = scene;

  const first = await runToEnd(scene, WORK.join("\n"));
  assertEquals(first.status, "completed", first.errorMessage ?? "");
  assertEquals(first.outputBranch, `task/${first.id}`);
  assertEquals(await repository.show(first.outputBranch!, "notes/hello.txt"), "Hello from the agent");
  assertEquals(await repository.git(["rev-parse", first.outputBranch!]), first.outputCommit);
  assertEquals(await statuses(scene, first.id), [
    "draft",
    "ready",
    "queued",
    "delegated",
    "in_progress",
    "completed",
  ]);

  const messages = await transcript(scene, first.sessionId);
  assertEquals(messages.map((message) => message.role), ["user", "thinking", "tool", "tool", "assistant"]);
  assertEquals(messages.map((message) => message.seq), [1, 2, 3, 4, 5]);
  assertStringIncludes(messages[1]!.content, "First I look around.");
  const [write, command] = [messages[2]!.toolMetadata!, messages[3]!.toolMetadata!];
  assertEquals([write.status, write.target], ["completed", "notes/hello.txt"]);
  assertStringIncludes(write.diff ?? "", "+Hello from the agent");
  assertEquals(command.status, "completed");
  assertStringIncludes(messages[3]!.content, "Hello from the agent");
  assertStringIncludes(messages[4]!.content, "All done.");

  await live.workspace("stopped", (workspace) => workspace.id === first.workspaceId);
  const node = await warmNode(scene);
  assertEquals(await checkouts(scene, node.id), []);

  const second = await runToEnd(scene, "write second.txt: again");
  assertEquals([second.status, second.nodeId], ["completed", node.id]);
  assertEquals(await repository.show(second.outputBranch!, "second.txt"), "again");
  assert(!(await repository.git(["ls-tree", "--name-only", second.outputBranch!])).includes("notes"));
});

Deno.test("a follow-up prompt asked while a turn runs is run next, as a message of its own id", async () => {
  await using scene = await openScene();
  const { test, live, repository, projectId } = scene;
  await using gate = await Gate.make();
  const submitted = await submit(scene, `run ${gate.wait}\nsay first`);
  const running = await live.task(submitted.taskId, "in_progress");
  assertEquals(await checkouts(scene, running.nodeId!), [running.workspaceId]);
  const messageId = crypto.randomUUID();
  const path = `/api/projects/${projectId}/sessions/${submitted.sessionId}` as const;
  const prompt = await test.admin.call(`POST ${path}/prompts`, { messageId, text: "write follow.txt: up" });
  assertEquals([prompt.status, prompt.body.state], [202, "queued"]);
  await gate.open();
  const task = await live.task(submitted.taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(await repository.show(task.outputBranch!, "follow.txt"), "up");
  const messages = await transcript(scene, submitted.sessionId);
  assertEquals(messages.map((message) => message.role), ["user", "tool", "assistant", "user", "tool"]);
  assertEquals(messages[3]!.messageId, messageId);
  assertEquals((await test.admin.call(`GET ${path}/prompts`)).body.items[0].state, "done");
});

async function statuses({ test, projectId }: Scene, taskId: string): Promise<string[]> {
  const events = await test.admin.call(`GET /api/projects/${projectId}/tasks/${taskId}/events`);
  return events.body.items.map((event: { to: string }) => event.to);
}

interface Shown {
  seq: number;
  messageId: string;
  role: string;
  content: string;
  toolMetadata: { status: string; target?: string; diff?: string } | null;
}

async function transcript({ test, projectId }: Scene, sessionId: string): Promise<Shown[]> {
  return (await test.admin.call(`GET /api/projects/${projectId}/sessions/${sessionId}/messages`)).body.items;
}

async function warmNode({ test }: Scene): Promise<{ id: string; status: string }> {
  const { items } = (await test.admin.call("GET /api/nodes")).body;
  assertEquals(items.length, 1);
  assertEquals([items[0].status, items[0].claims], ["warm", []]);
  assertExists(items[0].warmUntil);
  return items[0];
}

/** The workspaces whose files are in the node's directory. */
async function checkouts({ test }: Scene, nodeId: string): Promise<string[]> {
  const directory = join(test.edge.config.HEARTH_DATA_DIR, "nodes", nodeId, "agent", "workspaces");
  const entries = await Array.fromAsync(Deno.readDir(directory));
  return entries.map((entry) => entry.name);
}

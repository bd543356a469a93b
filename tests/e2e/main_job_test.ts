/**
 * The main job with nothing replaced: the composed edge, the local provider, the real agent process, the demo coding
 * agent, real Git. A task is submitted, works in a checkout, is pushed, and leaves a clean, warm node for the next.
 */
import { assert, assertEquals, assertExists, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";

const WORK = [
  "think First I look around.",
  "write notes/hello.txt: Hello from the agent",
  "run cat notes/hello.txt",
  "say All done.",
];

Deno.test("a task runs from submit to a pushed branch, and the next one on the same warm node", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);

  const first = await run(test, live, { projectId: project.id, description: WORK.join("\n") });
  assertEquals(first.task.status, "completed", first.task.errorMessage ?? "");
  assertEquals(first.task.outputBranch, `task/${first.task.id}`);
  assertEquals(await repository.show(first.task.outputBranch!, "notes/hello.txt"), "Hello from the agent");
  assertEquals(await repository.git(["rev-parse", first.task.outputBranch!]), first.task.outputCommit);
  assertEquals(await statuses(test, project.id, first.task.id), [
    "draft",
    "ready",
    "queued",
    "delegated",
    "in_progress",
    "completed",
  ]);

  const messages = await transcript(test, project.id, first.sessionId);
  assertEquals(messages.map((message) => message.role), ["user", "thinking", "tool", "tool", "assistant"]);
  assertEquals(messages.map((message) => message.seq), [1, 2, 3, 4, 5]);
  assertStringIncludes(messages[1]!.content, "First I look around.");
  const [write, command] = [messages[2]!.toolMetadata!, messages[3]!.toolMetadata!];
  assertEquals([write.status, write.target], ["completed", "notes/hello.txt"]);
  assertStringIncludes(write.diff ?? "", "+Hello from the agent");
  assertEquals(command.status, "completed");
  assertStringIncludes(messages[3]!.content, "Hello from the agent");
  assertStringIncludes(messages[4]!.content, "All done.");

  await live.workspace("stopped", (workspace) => workspace.id === first.task.workspaceId);
  const node = await warmNode(test);
  assertEquals(await checkouts(test, node.id), []);

  const second = await run(test, live, { projectId: project.id, description: "write second.txt: again" });
  assertEquals([second.task.status, second.task.nodeId], ["completed", node.id]);
  assertEquals(await repository.show(second.task.outputBranch!, "second.txt"), "again");
  assert(!(await repository.git(["ls-tree", "--name-only", second.task.outputBranch!])).includes("notes"));
});

Deno.test("a follow-up prompt asked while a turn runs is run next, as a message of its own id", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);
  const submitted = await submit(test, project.id, "wait 1500\nsay first");
  const running = await live.task(submitted.taskId, "in_progress");
  assertEquals(await checkouts(test, running.nodeId!), [running.workspaceId]);
  const messageId = crypto.randomUUID();
  const path = `/api/projects/${project.id}/sessions/${submitted.sessionId}` as const;
  const prompt = await test.admin.call(`POST ${path}/prompts`, { messageId, text: "write follow.txt: up" });
  assertEquals([prompt.status, prompt.body.state], [202, "queued"]);
  const task = await live.task(submitted.taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(await repository.show(task.outputBranch!, "follow.txt"), "up");
  const messages = await transcript(test, project.id, submitted.sessionId);
  assertEquals(messages.map((message) => message.role), ["user", "assistant", "user", "tool"]);
  assertEquals(messages[2]!.messageId, messageId);
  assertEquals((await test.admin.call(`GET ${path}/prompts`)).body.items[0].state, "done");
});

async function submit(
  test: TestEdge,
  projectId: string,
  description: string,
): Promise<{ taskId: string; sessionId: string }> {
  const answer = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description });
  assertEquals(answer.status, 202, JSON.stringify(answer.body));
  return answer.body;
}

async function run(test: TestEdge, live: LiveClient, what: { projectId: string; description: string }) {
  const submitted = await submit(test, what.projectId, what.description);
  return { task: await live.task(submitted.taskId, "completed", "failed"), sessionId: submitted.sessionId };
}

async function statuses(test: TestEdge, projectId: string, taskId: string): Promise<string[]> {
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

async function transcript(test: TestEdge, projectId: string, sessionId: string): Promise<Shown[]> {
  return (await test.admin.call(`GET /api/projects/${projectId}/sessions/${sessionId}/messages`)).body.items;
}

async function warmNode(test: TestEdge): Promise<{ id: string; status: string }> {
  const { items } = (await test.admin.call("GET /api/nodes")).body;
  assertEquals(items.length, 1);
  assertEquals([items[0].status, items[0].claims], ["warm", []]);
  assertExists(items[0].warmUntil);
  return items[0];
}

/** The workspaces whose files are in the node's directory. */
async function checkouts(test: TestEdge, nodeId: string): Promise<string[]> {
  const directory = join(test.edge.config.HEARTH_DATA_DIR, "nodes", nodeId, "agent", "workspaces");
  const entries = await Array.fromAsync(Deno.readDir(directory));
  return entries.map((entry) => entry.name);
}

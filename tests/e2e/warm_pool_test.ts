/** The warm pool with real agents: used again and again, several runs at once, and gone at its expiry. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { isAlive, readProcess } from "../../lib/processes.ts";

Deno.test("one node is used ten times in a row", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);
  const nodes = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const task = await live.task(await submit(test, project.id, `write file.txt: run ${i}`), "completed", "failed");
    assertEquals(task.status, "completed", task.errorMessage ?? "");
    assertEquals(await repository.show(task.outputBranch!, "file.txt"), `run ${i}`);
    nodes.add(task.nodeId!);
    await live.workspace("stopped", (workspace) => workspace.id === task.workspaceId);
  }
  assertEquals(nodes.size, 1);
});

Deno.test("five runs of one owner at once all end, each with its own messages and branch", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);
  const names = ["a", "b", "c", "d", "e"];
  const tasks = await Promise.all(names.map(async (name) => {
    const lines = Array.from({ length: 10 }, (_, i) => `say ${name} ${i}`).join("\n");
    const id = await submit(test, project.id, `${lines}\nwrite ${name}.txt: ${name}`);
    return await live.task(id, "completed", "failed");
  }));
  assertEquals(
    tasks.map((task) => task.status),
    names.map(() => "completed"),
    JSON.stringify(tasks.map((t) => t.errorMessage)),
  );
  for (const [i, task] of tasks.entries()) {
    const name = names[i]!;
    assertEquals(await repository.show(task.outputBranch!, `${name}.txt`), name);
    const path = `/api/projects/${project.id}/sessions/${task.sessionId}/messages` as const;
    const messages = (await test.admin.call(`GET ${path}`)).body.items as { role: string; content: string }[];
    const said = messages.filter((message) => message.role === "assistant").map((message) => message.content.trim())
      .join("\n");
    assertEquals(said.match(/[a-e] \d/g), Array.from({ length: 10 }, (_, i) => `${name} ${i}`));
  }
});

Deno.test("at its expiry a warm node's process ends and its folder is removed", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true, env: { NODE_WARM_TIMEOUT_MS: "1500" } });
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);
  const task = await live.task(await submit(test, project.id, "say hello"), "completed", "failed");
  const directory = join(test.edge.config.HEARTH_DATA_DIR, "nodes", task.nodeId!);
  const agent = (await readProcess(JSON.parse(await Deno.readTextFile(join(directory, "pid.json"))).pid))!;
  assert(await isAlive(agent));
  await live.workspace("stopped");
  const gone = Promise.withResolvers<void>();
  const stop = test.edge.live.onNews(`u:${test.admin.user.id}`, async () => {
    const node = (await test.admin.call(`GET /api/nodes/${task.nodeId}`)).body;
    if (node.status === "destroyed") gone.resolve();
  });
  await gone.promise;
  stop();
  assert(!await isAlive(agent), "the agent's process ended");
  assertEquals(await Deno.stat(directory).catch(() => null), null);
});

async function submit(test: TestEdge, projectId: string, description: string): Promise<string> {
  const answer = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description });
  assertEquals(answer.status, 202, JSON.stringify(answer.body));
  return answer.body.taskId;
}

/** The warm pool with real agents: used again and again, several runs at once, and gone at its expiry. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { isAlive, readProcess } from "../../lib/processes.ts";
import { SocketFollower } from "../lib/live/follower.ts";
import { openScene, runToEnd } from "./scene.ts";

Deno.test("one node is used ten times in a row", async () => {
  await using scene = await openScene();
  const { live, repository } = scene;
  const nodes = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const task = await runToEnd(scene, `write file.txt: run ${i}`);
    assertEquals(task.status, "completed", task.errorMessage ?? "");
    assertEquals(await repository.show(task.outputBranch!, "file.txt"), `run ${i}`);
    nodes.add(task.nodeId!);
    await live.workspace("stopped", (workspace) => workspace.id === task.workspaceId);
  }
  assertEquals(nodes.size, 1);
});

Deno.test("five runs of one owner at once all end, each with its own messages and branch", async () => {
  await using scene = await openScene();
  const { test, repository, projectId } = scene;
  const names = ["a", "b", "c", "d", "e"];
  const tasks = await Promise.all(names.map(async (name) => {
    const lines = Array.from({ length: 10 }, (_, i) => `say ${name} ${i}`).join("\n");
    return await runToEnd(scene, `${lines}\nwrite ${name}.txt: ${name}`);
  }));
  assertEquals(
    tasks.map((task) => task.status),
    names.map(() => "completed"),
    JSON.stringify(tasks.map((t) => t.errorMessage)),
  );
  for (const [i, task] of tasks.entries()) {
    const name = names[i]!;
    assertEquals(await repository.show(task.outputBranch!, `${name}.txt`), name);
    const path = `/api/projects/${projectId}/sessions/${task.sessionId}/messages` as const;
    const messages = (await test.admin.call(`GET ${path}`)).body.items as { role: string; content: string }[];
    const said = messages.filter((message) => message.role === "assistant").map((message) => message.content.trim())
      .join("\n");
    assertEquals(said.match(/[a-e] \d/g), Array.from({ length: 10 }, (_, i) => `${name} ${i}`));
  }
});

Deno.test("at its expiry a warm node's process ends and its folder is removed", async () => {
  await using scene = await openScene({ env: { NODE_WARM_TIMEOUT_MS: "8000" } });
  const { test, live } = scene;
  await using nodes = SocketFollower.on(test, "/api/ws", test.admin);
  const task = await runToEnd(scene, "say hello");
  const directory = join(test.edge.config.HEARTH_DATA_DIR, "nodes", task.nodeId!);
  const agent = (await readProcess(JSON.parse(await Deno.readTextFile(join(directory, "pid.json"))).pid))!;
  assert(await isAlive(agent));
  await live.workspace("stopped");
  await nodes.first("node.updated", (frame) => frame.node.status === "destroyed");
  assert(!await isAlive(agent), "the agent's process ended");
  assertEquals(await Deno.stat(directory).catch(() => null), null);
});

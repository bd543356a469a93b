/** What a repository brings along for its coding agent, in a workspace: given to it, and never part of a commit. */
import { assertEquals } from "@std/assert";
import { FakeEdge } from "./fake_edge.ts";
import { setUp, startNode } from "./node_harness.ts";
import { addCommit, run } from "./repository.ts";

const SERVERS = {
  files: { command: "sh", args: ["-c", "cat"] },
  gone: { command: "no-such-program-here" },
};

Deno.test("a repository's tool servers, skills and commands reach the coding agent, and no commit", async () => {
  await using set = await setUp();
  await run(set.path, "clone", "--quiet", set.remote, `${set.path}/edit`);
  await Deno.mkdir(`${set.path}/edit/skills/review`, { recursive: true });
  await Deno.mkdir(`${set.path}/edit/commands`);
  await Deno.writeTextFile(`${set.path}/edit/skills/review/SKILL.md`, "# Review\n");
  await Deno.writeTextFile(`${set.path}/edit/commands/ship it.md`, "Ship\n");
  await Deno.writeTextFile(`${set.path}/edit/mcp.json`, JSON.stringify({ mcpServers: SERVERS }));
  await run(`${set.path}/edit`, "add", "--all");
  await run(`${set.path}/edit`, "commit", "--quiet", "--message=Bring extensions");
  await run(`${set.path}/edit`, "push", "--quiet", "origin", "HEAD:main");

  await using edge = new FakeEdge();
  const prompt = "extensions\nwrite new.txt: hello\nrun git add -A && git commit -qm mine && echo left > later.txt";
  const task = edge.addTask(set.remote, prompt);
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("callback", { toStatus: "completed" });
  assertEquals(edge.said()[0], ["assistant", "Tool servers: files. Skills: review. Commands: ship it."]);
  const files = await run(set.remote, "ls-tree", "-r", "--name-only", task.branch!);
  assertEquals(files.split("\n"), [
    "README.md",
    "commands/ship it.md",
    "later.txt",
    "mcp.json",
    "new.txt",
    "skills/review/SKILL.md",
  ]);
});

Deno.test("a repository whose .claude leads elsewhere has nothing linked there", async () => {
  await using set = await setUp();
  const elsewhere = `${set.path}/elsewhere`;
  await Deno.mkdir(elsewhere);
  await addCommit(set.path, set.remote, { branch: "main", files: { "mcp.json": "{" } });
  await run(set.path, "clone", "--quiet", set.remote, `${set.path}/edit`);
  await Deno.mkdir(`${set.path}/edit/commands`);
  await Deno.writeTextFile(`${set.path}/edit/commands/ship.md`, "Ship\n");
  await Deno.symlink(elsewhere, `${set.path}/edit/.claude`);
  await run(`${set.path}/edit`, "add", "--all");
  await run(`${set.path}/edit`, "commit", "--quiet", "--message=Lead elsewhere");
  await run(`${set.path}/edit`, "push", "--quiet", "origin", "HEAD:main");

  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "extensions");
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("callback", { toStatus: "completed" });
  assertEquals(edge.said()[0], ["assistant", "Tool servers: none. Skills: none. Commands: none."]);
  assertEquals(await Array.fromAsync(Deno.readDir(elsewhere)), []);
});

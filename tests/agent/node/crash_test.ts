import { assert, assertEquals } from "@std/assert";
import { openBeside } from "../../../agent/store/database.ts";
import { newId } from "../../../lib/ids.ts";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, setUp, startNode } from "./node_harness.ts";
import { run } from "./repository.ts";

const CHILD = new URL("./node_child.ts", import.meta.url).pathname;

function startChild(folder: string, edge: FakeEdge, workspaceId: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CHILD, folder, edge.url, workspaceId],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

/** Resolves when a growing message was saved. */
async function untilSaved(dataDir: string): Promise<void> {
  const client = await openBeside(dataDir);
  await eventually(async () => (await client.execute("SELECT 1 FROM open_messages")).rows.length > 0);
  client.close();
}

Deno.test("kill -9 in a turn: nothing runs twice, what was said is kept and marked, and the work goes on", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(
    set.remote,
    "say Before the crash\nrun echo once >> count.txt\nstream 2000 20\nsay Never said",
  );
  const own = { messageId: newId(), text: "say After the crash" };
  edge.afterTurn = (report) => report.interrupted ? { next: own } : { finalize: true };
  const child = startChild(set.path, edge, task.workspaceId);
  await edge.until(({ messages }) => messages.length === 2);
  await untilSaved(`${set.path}/agent`);
  child.kill("SIGKILL");
  await child.status;

  await using node = await startNode(set.path, edge);
  await edge.untilCall("callback", { toStatus: "completed" });
  await edge.until(({ messages }) => messages.some(({ content }) => content === "After the crash"));
  const [before, tool, cut, after] = edge.messages;
  assertEquals([before?.content, tool?.role, after?.content], ["Before the crash", "tool", "After the crash"]);
  assertEquals(cut?.flags, { interrupted: true });
  assert(cut?.content.startsWith("word1 word2 "));
  assertEquals(edge.messages.length, 4);
  assertEquals(edge.calls.filter(({ body }) => body.interrupted === true).length, 1);
  assertEquals(await run(set.remote, "show", `${task.branch}:count.txt`), "once");
  await node.workspaces.stop(task.workspaceId, { keep: false });
  await edge.untilCall("status", { status: "stopped" });
});

Deno.test("kill -9 at any time before the end: the task ends once, pushed", async () => {
  for (const afterMs of [50, 250, 400, 550, 700]) {
    await using set = await setUp();
    await using edge = new FakeEdge();
    const task = edge.addTask(set.remote, "write a.txt: a\nsay Done");
    edge.afterTurn = (report) =>
      report.interrupted ? { next: { messageId: newId(), text: "write a.txt: a" } } : { finalize: true };
    const child = startChild(set.path, edge, task.workspaceId);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill("SIGKILL");
    await child.status;
    await using node = await startNode(set.path, edge);
    // Where the command was not stored before the crash, the edge's own copy of it comes again.
    await node.workspaces.start(task.workspaceId, 1);
    await edge.untilCall("callback", { toStatus: "completed" });
    assertEquals(await run(set.remote, "show", `${task.branch}:a.txt`), "a");
    assertEquals((await run(set.remote, "branch", "--list", "task/*")).split("\n").length, 1);
    assertEquals(new Set(edge.messages.map(({ messageId }) => messageId)).size, edge.messages.length);
  }
});

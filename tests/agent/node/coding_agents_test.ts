/** Coding agents of workspaces under watch: memory, idleness and processes that belong to none. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { isAlive, listProcesses, selectMarked } from "../../../lib/processes.ts";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, type Node, setUp, startNode } from "./node_harness.ts";

const OFTEN = { memoryEveryMs: 50, durationEveryMs: 50 };
const MIB = 1024 * 1024;
const HOLD = "run head -c 500000000 /dev/zero | tail -c 500000000 | (sleep 30; wc -c)";

async function agentsOf({ db, logged }: Node, workspaceId: string) {
  const own = await selectMarked(await listProcesses(), `${db.instanceId}/`);
  return { own, said: (event: string) => logged.filter((line) => line.includes(event) && line.includes(workspaceId)) };
}

Deno.test("a coding agent that takes twice its memory is ended, and its run says why", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, HOLD);
  const config = { maxSessionRssBytes: 200 * MIB, prewarmPoolSize: 0 };
  await using node = await startNode(set.path, edge, { config, monitor: OFTEN });
  await node.workspaces.start(task.workspaceId, 1);
  const ended = await edge.untilCall("turn", { event: "ended" });
  assertEquals(ended.body.error, "The coding agent and its tools took more than 400 MB of memory.");
  assertEquals((await agentsOf(node, task.workspaceId)).own, []);
});

Deno.test("a coding agent over its memory ends its turn, is ended, and the next prompt goes on with the conversation", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  // Above the limit with the coding agent's own, and not above twice the limit.
  const hold = "run head -c 400000000 /dev/zero | tail -c 400000000 | (sleep 5; wc -c)";
  const task = edge.addTask(set.remote, `say one\n${hold}`);
  edge.afterTurn = () => ({ wait: true });
  const config = { maxSessionRssBytes: 300 * MIB, prewarmPoolSize: 0 };
  await using node = await startNode(set.path, edge, { config, monitor: OFTEN });
  await node.workspaces.start(task.workspaceId, 1);
  const first = await edge.untilCall("turn", { event: "ended" });
  assertEquals(first.body.stopReason, "end_turn");
  await eventually(async () => (await agentsOf(node, task.workspaceId)).own.length === 0);
  const second = { messageId: newId(), text: "say two" };
  await node.workspaces.sendPrompt(task.workspaceId, second);
  const ended = await edge.untilCall("turn", { promptId: second.messageId, event: "ended" });
  assertEquals(ended.body.stopReason, "end_turn");
  await edge.until(() => edge.said().some(([, text]) => text === "two"));
});

Deno.test("an idle coding agent is ended, and the next prompt goes on with the conversation", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "say one");
  edge.afterTurn = () => ({ wait: true });
  const config = { sessionIdleTimeoutMs: 1_000, sessionIdleGraceMs: 2_000, prewarmPoolSize: 0 };
  await using node = await startNode(set.path, edge, { config, monitor: OFTEN });
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { event: "ended" });
  await eventually(async () => (await agentsOf(node, task.workspaceId)).own.length === 0);
  const { said } = await agentsOf(node, task.workspaceId);
  assert(said('"type":"mark_idle"').length > 0 && said('"type":"end_idle"').length > 0);
  const conversation = (await node.rows.get(task.workspaceId))?.acpSessionId;
  const second = { messageId: newId(), text: "wait 3500\nsay two" };
  await node.workspaces.sendPrompt(task.workspaceId, second);
  const ended = await edge.untilCall("turn", { promptId: second.messageId, event: "ended" });
  // A turn that is silent for longer than the limit is no idleness.
  assertEquals(ended.body.stopReason, "end_turn");
  assertEquals((await node.rows.get(task.workspaceId))?.acpSessionId, conversation);
});

Deno.test("a marked process that belongs to no workspace is ended; what a person runs in a workspace goes on", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "wait 60000");
  await using node = await startNode(set.path, edge, { config: { prewarmPoolSize: 0 }, monitor: OFTEN });
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { event: "accepted" });
  const start = (mark: string) =>
    new Deno.Command("sleep", { args: ["60"], env: { HEARTH_SESSION: mark }, detached: true }).spawn();
  const terminal = start(`${node.db.instanceId}/${task.workspaceId}.terminal.${newId()}`);
  const [shown] = (await listProcesses()).filter(({ pid }) => pid === terminal.pid);
  assert(shown);
  const orphan = start(`${node.db.instanceId}/${newId()}`);
  await orphan.status;
  assertStringIncludes(node.logged.filter((line) => line.includes("zombie_cleaned")).join(), `${orphan.pid}`);
  assertEquals(await isAlive(shown), true);
  terminal.kill("SIGKILL");
  await terminal.status;
});

/** The control link at the edge: nothing is lost or sent in the wrong order, and nobody else's text passes. */
import { assert, assertEquals } from "@std/assert";
import { signNodeToken } from "../../../lib/auth/tokens.ts";
import { loseNode } from "../../../lib/tasks/lose.ts";
import type { FakeAgent } from "../../fakes/agent.ts";
import { SocketFollower } from "../live/follower.ts";
import { type Bench, type Run, startBench } from "../tasks/fixture.ts";
import { RawLink } from "./control_link.ts";

/** At 5 ms each. */
const TRIES_MAX = 10_000;

/** A run whose first command is acknowledged, and two more that were decided while its agent was away. */
async function startWithCommands(bench: Bench): Promise<Run> {
  const run = await bench.run();
  await untilStored(bench, run.agent, []);
  await run.agent.unlink();
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
  return run;
}

async function storedSeqs(bench: Bench, agent: FakeAgent): Promise<unknown[]> {
  const rows = await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["command", agent.nodeId] }));
  return rows.map((row) => row.key[2]);
}

/** Acknowledgements are not answered: the rows tell. */
async function untilStored(bench: Bench, agent: FakeAgent, seqs: number[]): Promise<void> {
  for (let tries = 0; (await storedSeqs(bench, agent)).join() !== seqs.join(); tries++) {
    assert(tries < TRIES_MAX, `the rows ${seqs} were never all that is stored`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function seqsOf(link: RawLink): number[] {
  return link.commands.map(({ seq }) => seq);
}

Deno.test("commands come in order from where the agent is, again on every link until they are acknowledged", async () => {
  await using bench = await startBench({ still: true });
  const { agent } = await startWithCommands(bench);
  {
    await using link = await RawLink.of(agent, 1);
    await link.until(() => link.commands.length === 2);
    assertEquals(link.commands.map(({ kind, seq }) => [kind, seq]), [["workspace.stop", 2], ["workspace.stop", 3]]);
  }
  await using again = await RawLink.of(agent, 1);
  await again.until(() => again.commands.length === 2);
  assertEquals(seqsOf(again), [2, 3]);
  assertEquals(again.frames[0]!.type === "hello" && again.frames[0]!.lastSeq, 3);
  await using whole = await RawLink.of(agent, 2);
  await whole.until(() => whole.commands.length === 1);
  assertEquals(seqsOf(whole), [3]);
});

Deno.test("an acknowledgement removes the rows up to there, and so does what the next greeting says", async () => {
  await using bench = await startBench({ still: true });
  const { agent } = await startWithCommands(bench);
  assertEquals(await storedSeqs(bench, agent), [2, 3]);
  await using link = await RawLink.of(agent, 1);
  await link.until(() => link.commands.length === 2);
  assertEquals(await storedSeqs(bench, agent), [2, 3]);
  link.send({ type: "ack", seq: 2 });
  await untilStored(bench, agent, [3]);
  // The acknowledgement of the last one is lost; the agent says in its greeting that it has it.
  await using next = await RawLink.of(agent, 3);
  await untilStored(bench, agent, []);
  assertEquals(next.commands, []);
});

Deno.test("a command that is decided while the link is open comes at once, and once", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await using link = await RawLink.of(run.agent, 1);
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  await link.until(() => link.commands.length > 0);
  await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
  await link.until(() => link.commands.length > 1);
  assertEquals(seqsOf(link), [2, 3]);
});

Deno.test("of two links of a node the newer wins, and the older is told so", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await using older = await RawLink.of(run.agent, 1);
  await using newer = await RawLink.of(run.agent, 1);
  assertEquals(await older.closed, 4409);
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  await newer.until(() => newer.commands.length > 0);
  assertEquals(older.commands, []);
});

Deno.test("what is not a frame of the protocol closes the link with 4400", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { workspaceId } = run.runtime;
  const live = {
    type: "live",
    workspaceId,
    messageId: crypto.randomUUID(),
    role: "assistant",
    rev: 1,
    at: 0,
    text: "x",
  };
  const garbage = [
    "not json",
    "[]",
    "null",
    { type: "unknown" },
    { type: "ack", seq: -1 },
    { type: "ack", seq: "1" },
    { ...live, role: "nobody" },
    { ...live, workspaceId: "../../etc" },
    { type: "hello", protocol: 1 },
    "x".repeat(500_000),
  ];
  for (const frame of garbage) {
    await using link = await RawLink.of(run.agent, 1);
    link.send(frame);
    assertEquals(await link.closed, 4400, JSON.stringify(frame).slice(0, 60));
  }
  assertEquals((await bench.task(run)).status, "in_progress");
});

Deno.test("an agent outside the range of protocols is told what to do", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await using link = await RawLink.of(run.agent, null);
  link.send({ type: "hello", protocol: 99, agentVersion: "9", instanceId: "raw", lastSeq: 0 });
  assertEquals(await link.closed, 4426);
  assertEquals(link.frames.map(({ type }) => type), ["upgrade_required"]);
});

Deno.test("only the node's own token opens its link, and none of a node that was given up", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const { nodeId } = run.runtime;
  const { keyring } = bench.edge;
  const tokens = {
    ofAnotherNode: await signNodeToken(keyring, { node: crypto.randomUUID(), generation: 1 }, bench.edge.clock()),
    ofAnOldGeneration: await signNodeToken(keyring, { node: nodeId, generation: 0 }, bench.edge.clock()),
    ofAWorkspace: await run.agent.workspaceToken(run.runtime.workspaceId),
  };
  const statuses = [];
  for (const token of Object.values(tokens)) statuses.push(await new RawLink(run.agent.url, nodeId, token).closed);
  assertEquals(statuses, [403, 410, 401]);
  await bench.test.admin.call(`DELETE /api/nodes/${nodeId}?force=true`);
  assertEquals(await new RawLink(run.agent.url, nodeId, run.agent.registered!.callbackToken).closed, 410);
});

Deno.test("the link of a node that is given up is closed: nothing of its run is shown any more", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await using link = await RawLink.of(run.agent, 1);
  await loseNode(bench.edge, run.runtime.nodeId);
  assertEquals(await link.closed, 4410);
});

Deno.test("live text passes for the node's own workspaces only", async () => {
  await using bench = await startBench({ still: true, env: { MAX_WORKSPACES_PER_NODE: "1" } });
  const mine = await bench.run();
  const other = await bench.run({}, mine.projectId);
  await using link = await RawLink.of(mine.agent, 1);
  await using page = SocketFollower.on(bench.test, `/api/projects/${mine.projectId}/ws`, bench.test.admin);
  await page.first("hello");
  for (const { sessionId } of [mine, other]) page.send({ type: "subscribe", sessionId });
  await link.until((frames) => frames.some(({ type }) => type === "refresh"));
  const frame = { type: "live", role: "assistant", rev: 1, at: 0 };
  link.send({ ...frame, workspaceId: other.runtime.workspaceId, messageId: crypto.randomUUID(), text: "forged" });
  link.send({ ...frame, workspaceId: crypto.randomUUID(), messageId: crypto.randomUUID(), text: "nobody's" });
  link.send({ ...frame, workspaceId: mine.runtime.workspaceId, messageId: crypto.randomUUID(), text: "mine" });
  await page.first("message.live");
  assertEquals(page.ofType("message.live").map(({ sessionId, text }) => [sessionId, text]), [[mine.sessionId, "mine"]]);
});

Deno.test("texts of prompts are not in the command rows, and are filled in as they are when sent", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  const prompts = `/api/projects/${run.projectId}/sessions/${run.sessionId}/prompts` as const;
  const messageId = crypto.randomUUID();
  await run.agent.unlink();
  await bench.test.admin.call(`POST ${prompts}`, { messageId, text: "a secret plan" });
  const rows = await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["command", run.runtime.nodeId] }));
  assertEquals(JSON.stringify(rows.map((row) => row.value)).includes("a secret plan"), false);
  await run.agent.link();
  assertEquals((await run.agent.command("prompt.send")).text, "a secret plan");
});

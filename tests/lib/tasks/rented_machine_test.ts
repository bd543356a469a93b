/** Runs on rented servers, with Hetzner's API played by the fake and agents by hand. */
import { assert, assertEquals } from "@std/assert";
import { parse } from "yaml";
import { cleanUp } from "../../../lib/scheduler/sweep.ts";
import { FakeHcloud, type Order } from "../../fakes/hcloud.ts";
import { FakeAgent } from "../../fakes/agent.ts";
import { startBench } from "./fixture.ts";

const MINUTE = 60_000;
const KEY = "sk-ant-the-key-of-the-tests";

async function startRented(fake: FakeHcloud, more: Record<string, string> = {}) {
  const env = {
    NODE_PROVIDER: "hetzner",
    HCLOUD_URL: fake.url,
    AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
    AGENT_BINARY_SHA256_X64: "ab".repeat(32),
    ...more,
  };
  const bench = await startBench({ agents: true, env });
  const { call } = bench.test.admin;
  await call("PUT /api/credentials/hetzner", { secret: fake.token });
  await call("PUT /api/credentials/anthropic", { secret: KEY });
  const booting: Promise<unknown>[] = [];
  fake.onOrder = (order) => booting.push(bootOrder(order));
  /** The agent comes up with what its user data says, and nothing else. */
  const bootOrder = async (order: Order) => {
    const content: string = parse(order.user_data!).write_files[0].content;
    const value = (name: string) => new RegExp(`^${name}="(.*)"$`, "m").exec(content)![1]!;
    const agent = new FakeAgent(value("CONTROL_PLANE_URL"), value("NODE_ID"));
    await agent.register(value("BOOTSTRAP_TOKEN"), ["demo", "claude"]);
    await agent.link();
    bench.agents.set(agent.nodeId, agent);
  };
  const settle = async () => {
    await bench.settle();
    await Promise.all(booting);
    await bench.settle();
  };
  return { bench, settle };
}

Deno.test("a run rents a server, the next one reuses it, and it is deleted when nobody wants it any more", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  const task = await bench.submit({ agentHint: "claude" });
  await settle();
  const run = await bench.begin(task);
  assertEquals(run.runtime.credentials, { ANTHROPIC_API_KEY: KEY }, "the model's key and no other secret");
  await bench.complete(run);
  await bench.settle();
  const again = await bench.run({ agentHint: "demo" });
  assertEquals([again.runtime.nodeId, again.runtime.credentials], [run.runtime.nodeId, {}]);
  await bench.complete(again);
  await bench.settle();
  assertEquals((await bench.node(run.runtime.nodeId)).status, "warm");
  assertEquals((await cleanUp(bench.edge)).reconcile, 0, "a machine that is there stays");
  await bench.pass(31 * MINUTE);
  assertEquals((await bench.node(run.runtime.nodeId)).status, "destroyed");
  assertEquals([fake.orders.length, fake.servers.size, fake.deleted.length], [1, 0, 1]);
  const { body } = await bench.test.admin.call(`GET /api/nodes/${run.runtime.nodeId}`);
  assertEquals([body.priceHour, body.costSoFar], [0.006, 0.006], "the cost stands still with its end");
  const told = JSON.stringify(bench.test.log);
  assert(!told.includes(fake.token) && !told.includes(KEY));
});

Deno.test("a run is given its owner's Git credential, for the host of its repository and while it works", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  const git = { secret: "a-token-for-git", host: "git.example.org", username: "ann" };
  await bench.test.admin.call("PUT /api/credentials/git", git);
  const task = await bench.submit({ agentHint: "demo" });
  await settle();
  const run = await bench.begin(task);
  assertEquals(run.runtime.gitCredential, { host: git.host, username: "ann", password: git.secret });
  assertEquals(run.runtime.credentials, {}, "nothing for the coding agent");
  await bench.complete(run);
  await bench.settle();
  const ended = await run.agent.runtime(run.runtime.workspaceId);
  assertEquals([ended.wanted, ended.gitCredential], ["stop", null]);

  for (const repositoryUrl of ["https://git.example.org.evil.example/a/b", "ssh://git@git.example.org/a/b"]) {
    const { id } = await bench.test.addProject({ repositoryUrl });
    const other = await bench.run({ agentHint: "demo" }, id);
    assertEquals(other.runtime.gitCredential, null, repositoryUrl);
    await bench.complete(other);
  }
  assert(!JSON.stringify(bench.test.log).includes(git.secret));
  assert(!fake.orders.some(({ user_data }) => user_data?.includes(git.secret)));
});

Deno.test("without room at the provider a task waits, and goes on when there is some", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  fake.fault("POST /servers", { kind: "refused", status: 403, code: "resource_limit_exceeded" });
  const task = await bench.submit({ agentHint: "demo" });
  await settle();
  const waiting = await bench.task(task);
  assertEquals([waiting.status, waiting.executionStep], ["queued", "waiting_for_node"]);
  await bench.pass(2 * MINUTE);
  await settle();
  assertEquals((await bench.task(task)).status, "delegated");
  assertEquals(fake.orders.length, 1);
});

Deno.test("a task that waits for a size that the provider has not stops none of another size, but one of its own", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  fake.fault("POST /servers", { kind: "refused", status: 403, code: "resource_limit_exceeded" });
  const urgent = await bench.submit({ agentHint: "demo", priority: 5, vmSize: "large" });
  await settle();
  assertEquals((await bench.task(urgent)).executionStep, "waiting_for_node");
  const small = await bench.submit({ agentHint: "demo", vmSize: "small" }, urgent.projectId);
  await settle();
  assertEquals((await bench.task(small)).status, "delegated");
  assertEquals((await bench.task(urgent)).executionStep, "waiting_for_node");
  const same = await bench.submit({ agentHint: "demo", vmSize: "large" }, urgent.projectId);
  await settle();
  const [first, second] = await Promise.all([small, urgent].map((each) => bench.task(each)));
  assertEquals(fake.orders.map(({ name }) => name), [`hearth-${first!.nodeId}`, `hearth-${second!.nodeId}`]);
  assertEquals((await bench.task(same)).executionStep, "waiting_for_node", "the more urgent one comes first");
});

Deno.test("a provider's refusal fails the run in plain words, and leaves no server", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  const refusal = { kind: "refused", status: 422, code: "invalid_input", message: "image not found" } as const;
  fake.fault("POST /servers", refusal);
  const task = await bench.submit({ agentHint: "demo" });
  await settle();
  const { status, errorMessage } = await bench.task(task);
  assertEquals(status, "failed");
  assertEquals(errorMessage, "The machine could not be made: Hetzner refused the call (image not found)");
  const [node] = (await bench.test.admin.call("GET /api/nodes")).body.items;
  assertEquals([node.status, fake.servers.size], ["destroyed", 0]);
});

Deno.test("a deletion that Hetzner refuses for a while is tried until it holds, and only then recorded", async () => {
  await using fake = await FakeHcloud.start();
  const { bench, settle } = await startRented(fake);
  await using _ = bench;
  const task = await bench.submit({ agentHint: "demo" });
  await settle();
  const run = await bench.begin(task);
  await bench.complete(run);
  await bench.settle();
  for (let i = 0; i < 3; i++) fake.fault("DELETE /servers", { kind: "html", status: 500 });
  await bench.pass(31 * MINUTE);
  assertEquals([(await bench.node(run.runtime.nodeId)).status, fake.servers.size], ["destroying", 1]);
  await bench.pass(2 * MINUTE);
  assertEquals([(await bench.node(run.runtime.nodeId)).status, fake.servers.size], ["destroyed", 0]);
});

/** The servers at the provider against our records, with Hetzner's API played by the fake. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { INSTALLATION_LABEL, NODE_LABEL } from "../../../lib/providers/hetzner.ts";
import { cleanUp } from "../../../lib/scheduler/sweep.ts";
import { type Finding, reconcile } from "../../../lib/tasks/reconcile.ts";
import { listLiveNodes, type NodeRecord } from "../../../lib/store/nodes.ts";
import { listStrays } from "../../../lib/store/strays.ts";
import { FakeHcloud } from "../../fakes/hcloud.ts";
import { type Bench, startBench, type Submitted } from "./fixture.ts";

const MINUTE = 60_000;

async function startHetznerBench(fake: FakeHcloud, more: Record<string, string> = {}): Promise<Bench> {
  const env = {
    NODE_PROVIDER: "hetzner",
    HCLOUD_URL: fake.url,
    AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
    AGENT_BINARY_SHA256_X64: "ab".repeat(32),
    NODE_AGENT_READY_TIMEOUT_MS: String(600 * MINUTE),
    TASK_QUEUE_TIMEOUT_MS: String(600 * MINUTE),
    ...more,
  };
  const bench = await startBench({ agents: true, env });
  await bench.test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
  return bench;
}

/** Submits a task and waits until its server is ordered. */
async function order(bench: Bench): Promise<{ task: Submitted; node: NodeRecord }> {
  const task = await bench.submit({ agentHint: "demo" });
  await bench.settle();
  const { nodeId } = await bench.task(task);
  return { task, node: await bench.node(nodeId!) };
}

/** What `/metrics` says under names that begin so. */
function counted({ edge }: Bench, name: string): string[] {
  return edge.metrics.write().split("\n").filter((line) => line.startsWith(name));
}

const labels = (bench: Bench, nodeId: string) => ({
  [INSTALLATION_LABEL]: bench.edge.store.installationId,
  [NODE_LABEL]: nodeId,
});

Deno.test("a server that no record knows is destroyed after the grace and a second look", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const stray = fake.add({ name: "hearth-lost", labels: labels(bench, newId()) });
  assertEquals((await cleanUp(bench.edge)).reconcile, 0);
  assertEquals(await listStrays(bench.edge.store), [`hetzner:${stray.id}`]);
  bench.test.skewMs += 44 * MINUTE;
  await cleanUp(bench.edge);
  assertEquals(fake.deleted, [], "within the grace it is spared");
  bench.test.skewMs += 2 * MINUTE;
  assertEquals((await cleanUp(bench.edge)).reconcile, 1);
  assertEquals(fake.deleted, [stray.id]);
  assertEquals(await listStrays(bench.edge.store), []);
  assertEquals((await cleanUp(bench.edge)).reconcile, 0, "and once");
  assertEquals(counted(bench, "hearth_servers_"), [
    'hearth_servers_leaked_total{provider="hetzner"} 1',
    'hearth_servers_reclaimed_total{provider="hetzner"} 1',
  ]);
});

Deno.test("one look is never enough, however late it comes", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  fake.add({ name: "hearth-lost", labels: labels(bench, newId()) });
  bench.test.skewMs += 600 * MINUTE;
  await cleanUp(bench.edge);
  assertEquals(fake.deleted, []);
});

Deno.test("servers of another installation, and those without our label, are left alone", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  fake.add({ name: "hearth-other", labels: { [INSTALLATION_LABEL]: newId(), [NODE_LABEL]: newId() } });
  fake.add({ name: "database" });
  for (let i = 0; i < 3; i++) {
    await cleanUp(bench.edge);
    bench.test.skewMs += 60 * MINUTE;
  }
  assertEquals([fake.deleted, fake.servers.size], [[], 2]);
});

Deno.test("a server whose node was recorded as destroyed is a stray", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { node } = await order(bench);
  await bench.test.admin.call(`DELETE /api/nodes/${node.id}?force=true`);
  await bench.settle();
  assertEquals((await bench.node(node.id)).status, "destroyed");
  fake.add({ name: `hearth-${node.id}`, labels: labels(bench, node.id) });
  await cleanUp(bench.edge);
  bench.test.skewMs += 46 * MINUTE;
  await cleanUp(bench.edge);
  assertEquals(fake.servers.size, 0);
});

Deno.test("a record whose server is gone is closed, and its task fails with that reason", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { task, node } = await order(bench);
  assertEquals(node.providerRef, String([...fake.servers.keys()][0]));
  fake.servers.clear();
  assertEquals((await cleanUp(bench.edge)).reconcile, 1);
  await bench.settle();
  assertEquals((await bench.node(node.id)).status, "destroyed");
  const { status, errorMessage } = await bench.task(task);
  assertEquals(status, "failed");
  assert(errorMessage?.includes("The provider says that the server is gone"), errorMessage ?? "");
});

Deno.test("a machine that is there stays, with its price and its cost", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { node } = await order(bench);
  for (let i = 0; i < 3; i++) {
    bench.test.skewMs += 50 * MINUTE;
    await cleanUp(bench.edge);
  }
  assertEquals(fake.deleted, []);
  const { body } = await bench.test.admin.call(`GET /api/nodes/${node.id}`);
  assertEquals([body.priceHour, body.costSoFar], [0.006, 0.018], "three hours were begun");
});

Deno.test("an inventory that is not complete, or not to be had, does nothing", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { node } = await order(bench);
  const stray = fake.add({ name: "hearth-lost", labels: labels(bench, newId()) });
  await cleanUp(bench.edge);
  bench.test.skewMs += 60 * MINUTE;
  fake.servers.delete(Number(node.providerRef));
  const broken = [
    () => Array.from({ length: 3 }, () => fake.fault("GET /servers", { kind: "html", status: 503 })),
    () => fake.fault("GET /servers", { kind: "tooMany", headers: { "retry-after": "3600" } }),
    () => fake.fault("GET /servers", { kind: "body", text: `{"servers": [], "meta": {}}` }),
    () =>
      fake.fault("GET /servers", {
        kind: "body",
        text: `{"servers": [], "meta": {"pagination": {"page": 1, "next_page": null, "total_entries": 2}}}`,
      }),
    () => fake.fault("GET /servers", { kind: "refused", status: 401, code: "unauthorized" }),
  ];
  for (const fail of broken) {
    fail();
    assertEquals((await cleanUp(bench.edge)).reconcile, null, "the step says that it failed");
  }
  assertEquals(fake.deleted, []);
  assertEquals((await bench.node(node.id)).status, "provisioning");
  assert(
    bench.test.log.some((line) => line.event === "reconcile_failed" && line.level === "critical"),
    "somebody must look",
  );
  assert(!JSON.stringify(bench.test.log).includes(fake.token));
  assertEquals(counted(bench, "hearth_reconcile_failures"), ["hearth_reconcile_failures 5"]);
  assert(counted(bench, "hearth_sweeps_total").includes('hearth_sweeps_total{step="reconcile",outcome="failed"} 5'));
  const { warnings } = (await bench.test.admin.call("GET /api/nodes")).body;
  assertEquals(warnings.length, 1);
  assert(
    warnings[0].startsWith("Servers at hetzner could not be compared with this list, 5 times in a row"),
    warnings[0],
  );
  const ann = await bench.test.addUser("ann");
  assertEquals((await ann.call("GET /api/nodes")).body.warnings, [], "another's account is not theirs to know");
  assertEquals((await cleanUp(bench.edge)).reconcile, 2, "the next one that works does both");
  assertEquals(fake.deleted, [stray.id]);
  assertEquals((await bench.test.admin.call("GET /api/nodes")).body.warnings, []);
  assertEquals(counted(bench, "hearth_reconcile_failures"), ["hearth_reconcile_failures 0"]);
});

Deno.test("an account that is gone is not warned of any more, and a dry run counts no failure", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { admin } = bench.test;
  const warnings = async () => (await admin.call("GET /api/nodes")).body.warnings.length;
  const refuse = () => fake.fault("GET /servers", { kind: "refused", status: 401, code: "unauthorized" });
  for (let times = 0; times < 3; times++) {
    refuse();
    await assertRejects(() => reconcile(bench.edge, { dryRun: true }));
  }
  assertEquals(await warnings(), 0);
  for (let times = 0; times < 3; times++) {
    refuse();
    await cleanUp(bench.edge);
  }
  assertEquals(await warnings(), 1);
  assertEquals((await admin.call("DELETE /api/credentials/hetzner")).status, 204);
  await cleanUp(bench.edge);
  assertEquals(await warnings(), 0);
  assertEquals(counted(bench, "hearth_reconcile_failures"), ["hearth_reconcile_failures 0"]);
});

Deno.test("a stray that cannot be deleted stops no other and is tried again", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  for (let i = 0; i < 3; i++) fake.add({ name: `hearth-lost-${i}`, labels: labels(bench, newId()) });
  await cleanUp(bench.edge);
  bench.test.skewMs += 60 * MINUTE;
  fake.fault("DELETE /servers", { kind: "refused", status: 422, code: "protected" });
  assertEquals((await cleanUp(bench.edge)).reconcile, null);
  assertEquals(fake.servers.size, 1);
  assertEquals((await cleanUp(bench.edge)).reconcile, 1);
  assertEquals(fake.servers.size, 0);
});

Deno.test("records are compared with the inventory of the account that made them, and with no other", async () => {
  await using fake = await FakeHcloud.start();
  await using other = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { node } = await order(bench);
  const ann = await bench.test.addUser("ann");
  // Ann's token belongs to a project at Hetzner that sees none of the admin's servers.
  for (const [id, server] of other.servers) fake.servers.set(id, server);
  await ann.call("PUT /api/credentials/hetzner", { secret: "a-token-that-sees-nothing" });
  assertEquals((await cleanUp(bench.edge)).reconcile, null, "her token is not accepted, which is told");
  assertEquals((await bench.node(node.id)).status, "provisioning");
  assertEquals((await Array.fromAsync(listLiveNodes(bench.edge.store))).length, 1);
});

Deno.test("a dry run says what would be done and does nothing", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  const { node } = await order(bench);
  fake.servers.clear();
  const stray = fake.add({ name: "hearth-lost", labels: labels(bench, newId()) });
  const findings: Finding[] = [];
  for (let i = 0; i < 2; i++) {
    await reconcile(bench.edge, { dryRun: true, onFinding: (finding) => findings.push(finding) });
  }
  assertEquals(findings.map(({ kind, ref }) => [kind, ref]).slice(0, 2), [
    ["stray_seen", String(stray.id)],
    ["server_gone", node.providerRef],
  ]);
  assertEquals([findings.length, fake.deleted.length], [4, 0]);
  assertEquals((await bench.node(node.id)).status, "provisioning");
  assertEquals(await listStrays(bench.edge.store), []);
});

Deno.test("an order that nobody can find again for a while leaves no server without an end", async () => {
  await using fake = await FakeHcloud.start();
  await using bench = await startHetznerBench(fake);
  // The order is carried out; whatever is asked afterwards is refused.
  fake.fault("POST /servers", { kind: "lostAnswer" });
  fake.onOrder = () => {
    for (let i = 0; i < 30; i++) fake.fault("GET /servers", { kind: "refused", status: 401, code: "unauthorized" });
  };
  const task = await bench.submit({ agentHint: "demo" });
  await bench.settle();
  assertEquals([fake.orders.length, fake.servers.size], [1, 1]);
  const { status } = await bench.task(task);
  assertEquals(status, "failed");
  fake.recover();
  // The node's own deletion finds the server by its name.
  await bench.pass(2 * MINUTE);
  assertEquals(fake.servers.size, 0);
  const [node] = (await bench.test.admin.call("GET /api/nodes")).body.items;
  assertEquals(node.status, "destroyed");
});

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Metrics } from "../../lib/metrics.ts";
import { startPhases } from "../../lib/tasks/start_phases.ts";
import { cleanUp } from "../../lib/scheduler/sweep.ts";
import { startBench } from "./tasks/fixture.ts";

const TOKEN = "metrics-token-of-the-tests";

Deno.test("counters, gauges and histograms are written as Prometheus reads them", () => {
  const metrics = new Metrics();
  metrics.count("hearth_sweeps_total", { step: 'a"b\\c\nd', outcome: "ok" });
  metrics.count("hearth_sweeps_total", { step: 'a"b\\c\nd', outcome: "ok" }, 2);
  metrics.set("hearth_live_sockets", {}, 3);
  for (const value of [1, 3, 1_000]) metrics.observe("hearth_message_batch_size", {}, value);
  const lines = metrics.write().split("\n");
  assert(lines.includes('hearth_sweeps_total{step="a\\"b\\\\c\\nd",outcome="ok"} 3'), lines.join("\n"));
  assert(lines.includes("hearth_live_sockets 3"));
  assert(lines.includes("# TYPE hearth_message_batch_size histogram"));
  assertEquals(lines.filter((line) => line.startsWith("hearth_message_batch_size")), [
    'hearth_message_batch_size_bucket{le="1"} 1',
    'hearth_message_batch_size_bucket{le="2"} 1',
    'hearth_message_batch_size_bucket{le="5"} 2',
    'hearth_message_batch_size_bucket{le="10"} 2',
    'hearth_message_batch_size_bucket{le="25"} 2',
    'hearth_message_batch_size_bucket{le="50"} 2',
    'hearth_message_batch_size_bucket{le="100"} 2',
    'hearth_message_batch_size_bucket{le="+Inf"} 3',
    "hearth_message_batch_size_sum 1004",
    "hearth_message_batch_size_count 3",
  ]);
});

Deno.test("labels that run wild do not eat the memory", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 10_000; i++) metrics.count("hearth_due_items_total", { kind: String(i) });
  assert(metrics.write().split("\n").length < 300);
});

Deno.test("a phase ends where the next begins, the last with the accepted prompt", () => {
  const timings = {
    selecting_node: 100,
    provisioning_node: 150,
    creating_workspace: 1_150,
    starting_agent: 1_350,
    running: 1_400,
  };
  assertEquals(startPhases({ timings, queuedAt: 90, startedAt: 1_400 }), {
    selecting_node: 50,
    provisioning_node: 1_000,
    creating_workspace: 200,
    starting_agent: 50,
    total: 1_310,
  });
  assertEquals(startPhases({ timings, queuedAt: 90, startedAt: null }), {}, "a run that never started has no start");
});

Deno.test("/metrics is for admins and for programs with the token", async () => {
  await using bench = await startBench({ env: { METRICS_TOKEN: TOKEN } });
  const { test } = bench;
  const read = async (authorization?: string) => {
    const response = await fetch(`${test.url}/metrics`, { headers: authorization ? { authorization } : {} });
    await response.body?.cancel();
    return response.status;
  };
  const member = await test.addUser("ann");
  assertEquals(await read(), 401);
  assertEquals(await read("Bearer metrics-token-of-the-test5"), 401);
  assertEquals(await read(`Bearer ${member.key}`), 403);
  assertEquals(await read(`Bearer ${test.admin.key}`), 200);
  assertEquals(await read(`Bearer ${TOKEN}`), 200);
});

Deno.test("/metrics tells of messages, phases, machines and sweeps", async () => {
  await using bench = await startBench({ env: { METRICS_TOKEN: TOKEN } });
  const run = await bench.run();
  const message = { messageId: crypto.randomUUID(), sessionId: run.sessionId, role: "assistant", content: "hello" };
  const batch = [{ ...message, timestamp: new Date().toISOString() }];
  await run.agent.messages(run.runtime.workspaceId, batch);
  await run.agent.messages(run.runtime.workspaceId, batch);
  await bench.complete(run);
  await bench.settle();
  const again = await bench.run();
  await cleanUp(bench.edge);
  const response = await fetch(`${bench.test.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  assertMatch(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (
    const line of [
      'hearth_messages_total{outcome="persisted"} 1',
      'hearth_messages_total{outcome="duplicate"} 1',
      "hearth_message_batch_size_count 2",
      'hearth_node_assignments_total{machine="new"} 1',
      'hearth_node_assignments_total{machine="warm"} 1',
      'hearth_nodes{status="active"} 1',
      'hearth_nodes{status="warm"} 0',
      'hearth_task_phase_seconds_count{phase="total"} 1',
      'hearth_task_phase_seconds_count{phase="provisioning_node"} 1',
      'hearth_sweeps_total{step="reconcile",outcome="ok"} 1',
      "hearth_live_sockets 0",
    ]
  ) assert(text.includes(`${line}\n`), `${line} is not in\n${text}`);
  assertMatch(text, /hearth_due_items_total\{kind="task\.advance",outcome="ok"\} \d+/);
  assertEquals((await bench.task(again)).status, "in_progress");
});

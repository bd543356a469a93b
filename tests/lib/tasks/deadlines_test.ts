/** Each phase of a run has its own deadline, and an end that a person understands. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readEdgeConfig } from "../../../lib/config.ts";
import { Change, type Dues } from "../../../lib/store/change.ts";
import { openStore } from "../../../lib/store/store.ts";
import type { TaskRecord } from "../../../lib/store/tasks.ts";
import { spanOf } from "../../../lib/span.ts";
import { enterStep, outcomeOfDeadline } from "../../../lib/tasks/deadlines.ts";
import { executionStep } from "../../../lib/wire/task.ts";
import { failCommits } from "../../fakes/failing_store.ts";
import { startBench } from "./fixture.ts";

const CONFIG = readEdgeConfig({});
const [QUEUED_AT, STARTED_AT, NOW] = [1_000, 2_000, 5_000];

/** Step, from when its time counts, how long it is, how it ends, and a word of the reason. */
const RULES: [typeof executionStep.options[number], number, number, string, string][] = [
  ["waiting_for_node", QUEUED_AT, CONFIG.TASK_QUEUE_TIMEOUT_MS, "failed", "became free within 1 hour"],
  ["selecting_node", QUEUED_AT, CONFIG.TASK_QUEUE_TIMEOUT_MS, "failed", "chosen within 1 hour"],
  ["provisioning_node", NOW, CONFIG.NODE_AGENT_READY_TIMEOUT_MS, "failed", "did not report within 15 minutes"],
  ["creating_workspace", NOW, CONFIG.WORKSPACE_READY_TIMEOUT_MS, "failed", "not checked out within 10 minutes"],
  ["starting_agent", NOW, CONFIG.AGENT_START_TIMEOUT_MS, "failed", "did not take the prompt within 2 minutes"],
  ["running", STARTED_AT, CONFIG.TASK_MAX_RUN_MS, "failed", "longer than the 4 hours"],
  ["awaiting_prompt", NOW, CONFIG.PROMPT_WAIT_TIMEOUT_MS, "cancelled", "no further prompt came within 15 minutes"],
  ["finalizing", NOW, CONFIG.FINALIZE_TIMEOUT_MS, "failed", "not committed and pushed within 10 minutes"],
];

Deno.test("every step has a deadline, an outcome and a sentence", async () => {
  const store = await openStore(":memory:");
  try {
    assertEquals(RULES.map(([step]) => step), executionStep.options);
    for (const [step, since, length, to, words] of RULES) {
      const tx = new Change(store, "change", NOW);
      const next = enterStep(tx, taskAt({}), step, CONFIG);
      assertEquals(next.executionStep, step);
      assertEquals(next.dues["task.deadline"], { at: since + length, token: "change" }, step);
      assertEquals(next.timings[step], NOW);
      const outcome = outcomeOfDeadline(next, CONFIG);
      assertEquals(outcome.to, to, step);
      assertStringIncludes(outcome.reason, words);
    }
  } finally {
    store.close();
  }
});

Deno.test("a step entered again keeps the time of the first, and the deadline moves without leaving the old one", async () => {
  const store = await openStore(":memory:");
  try {
    const first = new Change(store, "first", NOW);
    const once = enterStep(first, taskAt({}), "finalizing", CONFIG);
    await first.commit();
    const second = new Change(store, "second", NOW + 10);
    const twice = enterStep(second, once, "finalizing", CONFIG);
    await second.commit();
    assertEquals(twice.timings.finalizing, NOW);
    const keys = (await Array.fromAsync(store.kv.list({ prefix: ["due"] }))).map((entry) => entry.key);
    assertEquals(keys, [["due", twice.dues["task.deadline"]!.at, "task.deadline", "p/t"]]);
  } finally {
    store.close();
  }
});

Deno.test("durations in words", () => {
  const spans: [number, string][] = [
    [1_000, "1 second"],
    [45_000, "45 seconds"],
    [60_000, "1 minute"],
    [90_000, "90 seconds"],
    [900_000, "15 minutes"],
    [3_600_000, "1 hour"],
    [14_400_000, "4 hours"],
    [300, "1 second"],
  ];
  for (const [ms, words] of spans) assertEquals(spanOf(ms), words);
});

Deno.test("the deadline of each phase ends a real run, and leaves what the table says", async () => {
  await using bench = await startBench({ still: true });
  const { config } = bench.edge;
  const { id } = await bench.test.addProject();
  for (const phase of ["creating", "starting", "running", "finalizing"] as const) {
    const task = await bench.submit({}, id);
    const { agent, workspaceId } = await bench.started(task);
    const runtime = await agent.runtime(workspaceId);
    const run = { ...task, agent, runtime };
    if (phase !== "creating") await agent.report(workspaceId, { status: "ready", executionStep: "starting_agent" });
    const promptId = runtime.prompt!.messageId;
    if (phase === "running" || phase === "finalizing") await agent.turn(workspaceId, { promptId, event: "accepted" });
    if (phase === "finalizing") await bench.endTurn(run);
    const lengths = {
      creating: config.WORKSPACE_READY_TIMEOUT_MS,
      starting: config.AGENT_START_TIMEOUT_MS,
      running: config.TASK_MAX_RUN_MS,
      finalizing: config.FINALIZE_TIMEOUT_MS,
    };
    const before = await bench.task(task);
    await bench.pass(lengths[phase] - 20_000);
    assertEquals((await bench.task(task)).errorMessage, null, phase);
    await bench.pass(20_001);
    if (phase !== "running") {
      const again = await bench.task(task);
      assertEquals([again.status, again.executionStep], [before.status, before.executionStep], "it is tried once more");
      const told = await agent.command("workspace.start");
      assertEquals([told.workspaceId, told.again], [workspaceId, true], phase);
      await bench.pass(lengths[phase] - 20_000);
      assertEquals((await bench.task(task)).errorMessage, null, phase);
      await bench.pass(20_001);
      assertMatch((await bench.task(task)).errorMessage!, / It was tried twice\.$/);
    }
    const left = phase === "creating" ? "stopping" : "error kept";
    assertEquals((await bench.states(run)).slice(0, 2), ["failed", left], phase);
    assertEquals((await bench.states(run))[3], "error", phase);
    await bench.pass(config.KEPT_WORKSPACE_TTL_MS + 1);
    await bench.pass(config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  }
});

Deno.test("a task that waits too long for a machine fails with that reason", async () => {
  await using bench = await startBench({ still: true, env: { MAX_NODES_PER_USER: "1", MAX_WORKSPACES_PER_NODE: "1" } });
  const run = await bench.run();
  const waiting = await bench.submit({}, run.projectId);
  await bench.settle();
  await bench.pass(bench.edge.config.TASK_QUEUE_TIMEOUT_MS + 1);
  const task = await bench.task(waiting);
  assertEquals([task.status, task.errorMessage], ["failed", "No machine became free within 1 hour."]);
});

Deno.test("a report that comes while the deadline is being acted on wins, because its commit came first", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  const { prompt } = await agent.runtime(workspaceId);
  await agent.report(workspaceId, { status: "ready", executionStep: "starting_agent" });
  await bench.pass(bench.edge.config.AGENT_START_TIMEOUT_MS + 1);
  bench.test.skewMs += bench.edge.config.AGENT_START_TIMEOUT_MS + 1;
  // The store holds the end up until the report has come.
  const isEnd = (key: Deno.KvKey, value: unknown) => key[0] === "task" && (value as TaskRecord).status === "failed";
  const failing = failCommits(bench.edge.store, isEnd);
  bench.test.loop.ring();
  while (failing.refused === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await agent.turn(workspaceId, { promptId: prompt!.messageId, event: "accepted" });
  failing[Symbol.dispose]();
  await bench.test.loop.settled();
  assertEquals([(await bench.task(task)).status, (await bench.session(task)).turn], ["in_progress", "running"]);
  await bench.pass(bench.edge.config.TASK_MAX_RUN_MS);
  assertEquals((await bench.task(task)).status, "failed");
});

function taskAt(more: { dues?: Dues }): TaskRecord {
  return {
    v: 1,
    id: "t",
    projectId: "p",
    ownerId: "u",
    sessionId: "s",
    title: "t",
    status: "queued",
    priority: 0,
    parentTaskId: null,
    dependsOn: [],
    agentHint: null,
    vmSize: null,
    run: 1,
    runOptions: {},
    promptId: "m",
    executionStep: null,
    timings: {},
    nodeId: null,
    claimToken: null,
    workspaceId: null,
    resumes: 0,
    outputBranch: null,
    outputCommit: null,
    outputPrUrl: null,
    outputSummary: null,
    warning: null,
    errorMessage: null,
    costUsd: null,
    tokens: null,
    createdAt: 0,
    queuedAt: QUEUED_AT,
    startedAt: STARTED_AT,
    completedAt: null,
    updatedAt: 0,
    eventCount: 0,
    dues: {},
    ...more,
  };
}

Deno.test("a step that is begun anew in time goes on as if nothing had been, and the next one has its own retry", async () => {
  await using bench = await startBench({ still: true });
  const { config } = bench.edge;
  const task = await bench.submit();
  const { agent, workspaceId } = await bench.started(task);
  await bench.pass(config.WORKSPACE_READY_TIMEOUT_MS + 1);
  await agent.report(workspaceId, { status: "ready", executionStep: "starting_agent" });
  await bench.pass(config.AGENT_START_TIMEOUT_MS + 1);
  assertEquals((await bench.task(task)).executionStep, "starting_agent");
  const { prompt } = await agent.runtime(workspaceId);
  await agent.turn(workspaceId, { promptId: prompt!.messageId, event: "accepted" });
  const { status, retried, errorMessage } = await bench.task(task);
  assertEquals([status, retried, errorMessage], ["in_progress", ["creating_workspace", "starting_agent"], null]);
  await bench.test.admin.call(`POST ${task.path}/cancel`);
  await bench.pass(config.WORKSPACE_STOP_TIMEOUT_MS + 1);
  const again = await bench.test.admin.call(`POST ${task.path}/run`, {});
  assertEquals([again.status, (await bench.task(task)).retried], [202, []], "a new run has new retries");
  assertEquals("retried" in (await bench.test.admin.call(`GET ${task.path}`)).body, false);
});

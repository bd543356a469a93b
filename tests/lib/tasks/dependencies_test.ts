/** Tasks that wait for others: what may be an edge, what is refused while one is unmet, and what becomes of it later. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { DEPENDENCIES_MAX } from "../../../lib/wire/limits.ts";
import { type Bench, startBench } from "./fixture.ts";

/** A draft; answers its id. */
async function draft({ test }: Bench, projectId: string, body: Record<string, unknown> = {}): Promise<string> {
  const made = await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description: "Later", ...body });
  assertEquals(made.status, 201, made.body.message);
  return made.body.id;
}

function depend({ test }: Bench, projectId: string, [id, dependsOnTaskId]: [string, string]) {
  return test.admin.call(`POST /api/projects/${projectId}/tasks/${id}/dependencies`, { dependsOnTaskId });
}

Deno.test("a task with an unmet dependency is neither submitted nor run, and nothing is made", async () => {
  await using bench = await startBench({ still: true });
  const { admin } = bench.test;
  const { id: projectId } = await bench.test.addProject();
  const [first, second] = [await draft(bench, projectId, { title: "First" }), await draft(bench, projectId)];
  const waiting = await draft(bench, projectId, { dependsOn: [first, second] });
  const body = { description: "Do it", dependsOn: [first, second] };
  const submitted = await admin.call(`POST /api/projects/${projectId}/tasks/submit`, body);
  const ran = await admin.call(`POST /api/projects/${projectId}/tasks/${waiting}/run`, {});
  for (const answer of [submitted, ran]) {
    assertEquals([answer.status, answer.body.error], [409, "task_blocked"]);
    assertEquals(answer.body.blockedBy.map(({ taskId, status }: Record<string, string>) => [taskId, status]), [
      [first, "draft"],
      [second, "draft"],
    ]);
    assertStringIncludes(answer.body.message, '"First"');
    assertStringIncludes(answer.body.message, "Keep it in the backlog");
  }
  const { items } = (await admin.call(`GET /api/projects/${projectId}/tasks`)).body;
  assertEquals(items.map(({ id, status }: Record<string, string>) => [id, status]), [
    [waiting, "draft"],
    [second, "draft"],
    [first, "draft"],
  ]);
});

Deno.test("a dependency that is completed is met, and one that is deleted before the run begins is not any more", async () => {
  await using bench = await startBench({ still: true });
  const { admin } = bench.test;
  const run = await bench.run();
  await bench.complete(run);
  await bench.settle();
  const next = await bench.submit({ dependsOn: [run.taskId] }, run.projectId);
  const late = await bench.submit({ dependsOn: [run.taskId] }, run.projectId);
  await bench.begin(next);
  // This one stands in line again: before it chooses a machine it looks once more.
  await admin.call(`POST ${late.path}/cancel`);
  await admin.call(`POST ${late.path}/run`, {});
  assertEquals((await bench.task(late)).status, "queued");
  assertEquals((await admin.call(`DELETE ${run.path}`)).status, 204);
  await bench.settle();
  const { status, errorMessage } = await bench.task(late);
  assertEquals([status, errorMessage], [
    "failed",
    'It depends on "a deleted task", which is not completed any more.',
  ]);
  assertEquals((await bench.task(next)).status, "in_progress", "a run under way goes on");
});

Deno.test("no task waits for itself, by whatever way, nor for one of another project", async () => {
  await using bench = await startBench({ still: true });
  const [{ id: projectId }, other] = [await bench.test.addProject(), await bench.test.addProject()];
  const [a, b, c] = [await draft(bench, projectId), await draft(bench, projectId), await draft(bench, projectId)];
  const foreign = await draft(bench, other.id);
  const outcome = async (edge: [string, string]) => {
    const { status, body } = await depend(bench, projectId, edge);
    return [status, body.error ?? null];
  };
  assertEquals(await outcome([a, b]), [200, null]);
  assertEquals(await outcome([a, b]), [200, null], "again without effect");
  assertEquals(await outcome([b, c]), [200, null]);
  assertEquals(await outcome([c, a]), [409, "dependency_cycle"]);
  assertEquals(await outcome([a, a]), [400, "invalid_request"]);
  assertEquals(await outcome([a, foreign]), [400, "invalid_request"]);
  assertEquals(await outcome([a, crypto.randomUUID()]), [400, "invalid_request"]);
  const path = `/api/projects/${projectId}/tasks/${a}` as const;
  assertEquals((await bench.test.admin.call(`GET ${path}`)).body.dependsOn, [b]);
  await bench.test.admin.call(`DELETE ${path}/dependencies`, { dependsOnTaskId: b });
  assertEquals((await bench.test.admin.call(`GET ${path}`)).body.dependsOn, []);
  assertEquals(await outcome([c, a]), [200, null]);
});

Deno.test("of edges that together close a circle at the same moment not all are made", async () => {
  await using bench = await startBench({ still: true });
  const { id: projectId } = await bench.test.addProject();
  for (let round = 0; round < 10; round++) {
    const [a, b, c] = [await draft(bench, projectId), await draft(bench, projectId), await draft(bench, projectId)];
    const edges: [string, string][] = [[a, b], [b, c], [c, a]];
    const answers = await Promise.all(edges.map((edge) => depend(bench, projectId, edge)));
    assertEquals(answers.map(({ status }) => status).sort(), [200, 200, 409]);
  }
});

Deno.test("a task waits for a bounded number of others", async () => {
  await using bench = await startBench({ still: true });
  const { id: projectId } = await bench.test.addProject();
  const others: string[] = [];
  for (let n = 0; n <= DEPENDENCIES_MAX; n++) others.push(await draft(bench, projectId));
  const full = await draft(bench, projectId, { dependsOn: others.slice(1) });
  const more = await depend(bench, projectId, [full, others[0]!]);
  assertEquals(more.body.error, "limit_reached");
  const call = `POST /api/projects/${projectId}/tasks` as const;
  assertEquals((await bench.test.admin.call(call, { description: "x", dependsOn: others })).status, 400);
});

Deno.test("the dependencies of a run under way stay as they are", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  const other = await draft(bench, run.projectId);
  const { status, body } = await depend(bench, run.projectId, [run.taskId, other]);
  assertEquals([status, body.error], [409, "not_editable"]);
});

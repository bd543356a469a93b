/** Which size a run's machine has: this run, the task, the project, small. */
import { assertEquals } from "@std/assert";
import type { Bench } from "./fixture.ts";
import { startBench } from "./fixture.ts";

async function sizeOf(bench: Bench, projectId: string, how: { task?: string; run?: string }): Promise<string> {
  const body = { description: "Do it", ...(how.task && { vmSize: how.task }) };
  const draft = await bench.test.admin.call(`POST /api/projects/${projectId}/tasks`, body);
  const path = `POST /api/projects/${projectId}/tasks/${draft.body.id}/run` as const;
  assertEquals((await bench.test.admin.call(path, how.run ? { vmSize: how.run } : {})).status, 202);
  await bench.settle();
  return bench.specs.at(-1)!.vmSize;
}

Deno.test("T068-1 a project's default size is stored", async () => {
  await using bench = await startBench({ still: true });
  const { id } = await bench.test.addProject();
  const answer = await bench.test.admin.call(`PATCH /api/projects/${id}`, { defaultVmSize: "large" });
  assertEquals([answer.status, answer.body.defaultVmSize], [200, "large"]);
});

Deno.test("T068-2 null clears a project's default size", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const { id } = await bench.test.addProject({ defaultVmSize: "large" });
  const answer = await bench.test.admin.call(`PATCH /api/projects/${id}`, { defaultVmSize: null });
  assertEquals([answer.status, answer.body.defaultVmSize], [200, null]);
  assertEquals(await sizeOf(bench, id, {}), "small");
});

Deno.test("T068-3 a size that does not exist is 400 and changes nothing", async () => {
  await using bench = await startBench({ still: true });
  const { id } = await bench.test.addProject({ defaultVmSize: "medium" });
  for (const defaultVmSize of ["huge", "", 3, {}]) {
    const answer = await bench.test.admin.call(`PATCH /api/projects/${id}`, { defaultVmSize });
    assertEquals([answer.status, answer.body.error], [400, "invalid_request"], JSON.stringify(defaultVmSize));
  }
  assertEquals((await bench.test.admin.call(`GET /api/projects/${id}`)).body.defaultVmSize, "medium");
});

Deno.test("T068-4 a project shows its default size", async () => {
  await using bench = await startBench({ still: true });
  const { id } = await bench.test.addProject({ defaultVmSize: "medium" });
  assertEquals((await bench.test.admin.call(`GET /api/projects/${id}`)).body.defaultVmSize, "medium");
  const { items } = (await bench.test.admin.call("GET /api/projects")).body;
  assertEquals(items.find((project: { id: string }) => project.id === id).defaultVmSize, "medium");
});

Deno.test("T068-5 a run without a size of its own takes the project's", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const { id } = await bench.test.addProject({ defaultVmSize: "large" });
  assertEquals(await sizeOf(bench, id, {}), "large");
});

Deno.test("T068-6 a size asked for with the run or the task goes before the project's", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const { id } = await bench.test.addProject({ defaultVmSize: "large" });
  assertEquals(await sizeOf(bench, id, { task: "medium" }), "medium");
  assertEquals(await sizeOf(bench, id, { run: "small" }), "small");
  assertEquals(await sizeOf(bench, id, { task: "medium", run: "small" }), "small");
});

Deno.test("T068-7 without any size a machine is small", async () => {
  await using bench = await startBench({ still: true });
  bench.boots = false;
  const { id } = await bench.test.addProject();
  assertEquals(await sizeOf(bench, id, {}), "small");
});

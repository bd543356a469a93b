/** The end of a project: refused while anything in it is live, and nothing begins in it or stays behind unseen. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "../../../lib/errors.ts";
import { readProject } from "../../../lib/store/projects.ts";
import { readTask } from "../../../lib/store/tasks.ts";
import { openWorkspace } from "../../../lib/tasks/open_workspace.ts";
import { createDraft, runTask, submitTask } from "../../../lib/tasks/submit.ts";
import { createTask } from "../../../lib/wire/task.ts";
import { createWorkspace } from "../../../lib/wire/workspace.ts";
import { interceptLists } from "../../fakes/failing_store.ts";
import { type Bench, startBench } from "./fixture.ts";

const remove = async ({ test }: Bench, projectId: string) => {
  const { status, body } = await test.admin.call(`DELETE /api/projects/${projectId}`);
  return [status, body.error ?? null];
};

/** Every key that names the project, the task or the session. */
async function keysOf({ edge }: Bench, ids: string[]): Promise<unknown[]> {
  const entries = await Array.fromAsync(edge.store.kv.list({ prefix: [] }));
  const families = entries.map(({ key }) => key).filter((key) => key.some((part) => ids.includes(String(part))));
  return families.map(([family]) => family).filter((family) => family !== "feed");
}

Deno.test("a project with a live task or a kept checkout is not deleted; without, nothing of it is left", async () => {
  await using bench = await startBench();
  const run = await bench.run();
  assertEquals(await remove(bench, run.projectId), [409, "still_live"]);
  await bench.test.admin.call(`POST ${run.path}/cancel`);
  assertEquals(await remove(bench, run.projectId), [409, "still_live"], "its checkout is kept");
  await bench.test.admin.call(`POST ${run.path}/workspace/discard`);
  await run.agent.report(run.runtime.workspaceId, { status: "stopped" });
  assertEquals(await remove(bench, run.projectId), [204, null]);
  assertEquals((await bench.test.admin.call(`GET ${run.path}`)).status, 404);
  await bench.settle();
  assertEquals(await keysOf(bench, [run.projectId, run.taskId, run.sessionId]), []);
});

Deno.test("what begins in a project while it is being deleted keeps it", async () => {
  await using bench = await startBench({ still: true });
  const { admin } = bench.test;
  const begin: Record<string, (projectId: string, draft: string) => Promise<{ status: number }>> = {
    submit: (id) => admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "Do it" }),
    run: (id, draft) => admin.call(`POST /api/projects/${id}/tasks/${draft}/run`, {}),
    open: (projectId) => admin.call("POST /api/workspaces", { projectId }),
  };
  for (const [name, act] of Object.entries(begin)) {
    const { id } = await bench.test.addProject();
    const draft = (await admin.call(`POST /api/projects/${id}/tasks`, { description: "Do it" })).body.id;
    let begun = 0;
    // The last thing that is read before the deletion is written.
    using _ = interceptLists(bench.edge.store, async (selector) => {
      if (begun > 0 || !("prefix" in selector) || selector.prefix.join() !== `member,${id}`) return;
      begun = (await act(id, draft)).status;
    });
    assertEquals(await remove(bench, id), [409, "still_live"], name);
    assert(begun >= 200 && begun < 300, `${name}: ${begun}`);
  }
});

Deno.test("nothing begins in a project that was deleted a moment ago", async () => {
  await using bench = await startBench({ still: true });
  const { edge, test: { admin, addProject } } = bench;
  const { id } = await addProject.call(bench.test);
  const draft = (await admin.call(`POST /api/projects/${id}/tasks`, { description: "Do it" })).body.id;
  const [project, task] = [(await readProject(edge.store, id))!, (await readTask(edge.store, id, draft))!];
  assertEquals(await remove(bench, id), [204, null]);
  const by = { userId: admin.user.id, idempotency: null };
  const body = createTask.parse({ description: "Do it" });
  const opening = { ...by, project, body: createWorkspace.parse({ projectId: id }) };
  const late = [
    () => submitTask(edge, project, body, by),
    () => createDraft(edge, project, body, by),
    () => runTask(edge, task, {}, admin.user.id),
    () => openWorkspace(edge, opening),
  ];
  for (const begin of late) {
    const error = await assertRejects(begin, AppError);
    assertEquals((error as AppError).code, "not_found");
  }
});

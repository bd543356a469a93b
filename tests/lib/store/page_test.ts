/** Pages of lists: every item once, bounded work, and no cursor but the list's own. */
import { assert, assertEquals } from "@std/assert";
import { startTestEdge, type TestEdge } from "../../edge.ts";

async function addTasks(test: TestEdge, projectId: string, priorities: number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const priority of priorities) {
    const body = { description: `priority ${priority}`, priority };
    ids.push((await test.admin.call(`POST /api/projects/${projectId}/tasks`, body)).body.id);
  }
  return ids;
}

/** All pages of a list, and how many there were. */
async function readAll(test: TestEdge, path: string) {
  // deno-lint-ignore no-explicit-any
  const items: any[] = [];
  let [pages, cursor] = [0, ""];
  do {
    const page = (await test.admin.call(`GET /${path}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)).body;
    items.push(...page.items);
    cursor = page.nextCursor ?? "";
    pages++;
  } while (cursor);
  return { items, pages };
}

Deno.test("tasks come in each order, page by page, each once", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const ids = await addTasks(test, id, [3, -1, 0, 10, 2, 0, 5]);
  test.skewMs += 1_000;
  await test.admin.call(`PATCH /api/projects/${id}/tasks/${ids[2]}`, { title: "touched" });
  const order = async (query: string) => {
    const { items, pages } = await readAll(test, `api/projects/${id}/tasks?limit=2${query}`);
    assertEquals(pages, 4);
    return items.map((task) => ids.indexOf(task.id));
  };
  assertEquals(await order(""), [6, 5, 4, 3, 2, 1, 0]);
  assertEquals(await order("&sort=updatedAtDesc"), [2, 6, 5, 4, 3, 1, 0]);
  assertEquals((await order("&sort=priorityDesc")).slice(0, 4), [3, 6, 0, 4]);
});

Deno.test("filters by status and least priority hold on every page", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const ids = await addTasks(test, id, [0, 1, 2, 3, 4, 5]);
  for (const at of [1, 4]) {
    await test.admin.call(`POST /api/projects/${id}/tasks/${ids[at]}/status`, { toStatus: "ready" });
  }
  const find = async (query: string) => {
    const { items } = await readAll(test, `api/projects/${id}/tasks?limit=1${query}`);
    return items.map((task) => ids.indexOf(task.id));
  };
  assertEquals(await find("&status=ready"), [4, 1]);
  assertEquals(await find("&status=ready&sort=priorityDesc"), [4, 1]);
  assertEquals(await find("&minPriority=3"), [5, 4, 3]);
  assertEquals(await find("&status=draft&minPriority=3&sort=priorityDesc"), [5, 3]);
  assertEquals(await find("&status=completed"), []);
});

Deno.test("a filter that nothing fits looks at a bounded number of keys and says where to go on", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const [first] = await addTasks(test, id, [9]);
  // Index entries alone: what they point to is gone, so none of them is an item.
  let op = test.edge.store.kv.atomic();
  for (let i = 0; i < 1_500; i++) {
    op.set(["taskByPriority", id, 100, `missing-${i}`], 1);
    if (i % 500 === 499) {
      await op.commit();
      op = test.edge.store.kv.atomic();
    }
  }
  const page = (await test.admin.call(`GET /api/projects/${id}/tasks?sort=priorityDesc&limit=5`)).body;
  assertEquals(page.items, []);
  assert(page.nextCursor !== null);
  const { items, pages } = await readAll(test, `api/projects/${id}/tasks?sort=priorityDesc&limit=5`);
  assertEquals([items.map((task) => task.id), pages], [[first], 2]);
});

Deno.test("a cursor that is garbage, or of another list, order or project, is refused", async () => {
  await using test = await startTestEdge();
  const [{ id }, other] = [await test.addProject(), await test.addProject()];
  await addTasks(test, id, [1, 2, 3]);
  await addTasks(test, other.id, [1, 2, 3]);
  const cursorOf = async (path: string) => (await test.admin.call(`GET /api/${path}`)).body.nextCursor as string;
  const own = await cursorOf(`projects/${id}/tasks?limit=1`);
  const foreign = [
    await cursorOf(`projects/${id}/tasks?limit=1&sort=priorityDesc`),
    await cursorOf(`projects/${id}/sessions?limit=1`),
    await cursorOf(`projects/${other.id}/tasks?limit=1`),
    await cursorOf("projects?limit=1"),
    "garbage",
    "!",
    own.slice(0, own.indexOf(".") + 1),
    `${own.slice(0, own.indexOf(".") + 1)}%%%`,
    "é\u0000",
  ];
  for (const cursor of foreign) {
    assert(cursor !== null);
    const answer = await test.admin.call(`GET /api/projects/${id}/tasks?limit=1&cursor=${encodeURIComponent(cursor)}`);
    assertEquals([answer.status, answer.body.error], [400, "invalid_request"], cursor);
  }
  assertEquals((await test.admin.call(`GET /api/projects/${id}/tasks?cursor=${"x".repeat(601)}`)).status, 400);
  const next = await test.admin.call(`GET /api/projects/${id}/tasks?limit=1&cursor=${encodeURIComponent(own)}`);
  assertEquals(next.body.items[0].priority, 2);
});

Deno.test("limits of lists are 1 to 500", async () => {
  await using test = await startTestEdge();
  for (const limit of ["0", "-1", "501", "1.5", "", "1e400", "NaN", "ten", "9007199254740993"]) {
    assertEquals((await test.admin.call(`GET /api/projects?limit=${limit}`)).status, 400, limit);
  }
  assertEquals((await test.admin.call("GET /api/projects?limit=500")).status, 200);
});

/** What one person may have: the limits are exact, also when many calls come at once, and what goes makes room. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Answer, startTestEdge } from "../../edge.ts";

const AT_ONCE = 8;

/** How the answers went: how many were made, and with which codes the others were refused. */
function outcomes(answers: Answer[]): [number, string[]] {
  const refused = answers.filter(({ status }) => status >= 400).map(({ body }) => String(body.error));
  return [answers.length - refused.length, [...new Set(refused)]];
}

Deno.test("a person has at most so many projects, however many are made at once", async () => {
  await using test = await startTestEdge({ env: { MAX_PROJECTS_PER_USER: "3" } });
  const make = (n: number) =>
    test.admin.call("POST /api/projects", { name: `p${n}`, repositoryUrl: "https://git.example.org/a/b.git" });
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => make(n)));
  assertEquals(outcomes(answers), [3, ["limit_reached"]]);
  const refused = answers.find(({ status }) => status >= 400)!;
  assertEquals(refused.status, 409);
  assertStringIncludes(refused.body.message, "You have 3 projects");
  const { items } = (await test.admin.call("GET /api/projects")).body;
  assertEquals(items.length, 3);
  await test.admin.call(`DELETE /api/projects/${items[0].id}`);
  assertEquals((await make(100)).status, 201);
  assertEquals((await make(101)).body.error, "limit_reached");
  const other = await test.addUser("other");
  const theirs = { name: "p1", repositoryUrl: "https://git.example.org/a/b.git" };
  assertEquals((await other.call("POST /api/projects", theirs)).status, 201, "each has their own");
});

Deno.test("a project has at most so many tasks, drafts and submitted ones together", async () => {
  await using test = await startTestEdge({ still: true, env: { MAX_TASKS_PER_PROJECT: "4" } });
  const { id } = await test.addProject();
  const make = (n: number) =>
    test.admin.call(`POST /api/projects/${id}/tasks${n % 2 ? "/submit" : ""}`, { description: "Do it" });
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => make(n)));
  assertEquals(outcomes(answers), [4, ["limit_reached"]]);
  const { items } = (await test.admin.call(`GET /api/projects/${id}/tasks`)).body;
  assertEquals(items.length, 4);
  const task = `/api/projects/${id}/tasks/${items[0].id}` as const;
  await test.admin.call(`POST ${task}/cancel`);
  assertEquals((await test.admin.call(`DELETE ${task}`)).status, 204);
  assertEquals(outcomes([await make(0), await make(1)]), [1, ["limit_reached"]]);
});

Deno.test("a person starts at most so many runs in an hour", async () => {
  await using test = await startTestEdge({ still: true, env: { RATE_RUNS_PER_HOUR: "2" } });
  const { id } = await test.addProject();
  // In the middle of a window, so that no new one begins meanwhile.
  test.skewMs += 1_800_000 - Date.now() % 3_600_000;
  const submit = () => test.admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "Do it" });
  assertEquals([(await submit()).status, (await submit()).status], [202, 202]);
  const refused = await submit();
  assertEquals([refused.status, refused.body.error], [429, "rate_limited"]);
  assertEquals(Number(refused.headers.get("retry-after")) > 0, true);
  assertEquals((await test.admin.call(`GET /api/projects/${id}/tasks`)).body.items.length, 2);
  test.skewMs += 3_600_000;
  assertEquals((await submit()).status, 202);
});

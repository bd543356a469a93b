/** `Idempotency-Key`: the same call again is answered as before and makes nothing. */
import { assert, assertEquals } from "@std/assert";
import type { Answer } from "../edge.ts";
import { type Client, startTestEdge, type TestEdge } from "../edge.ts";

const DAY_MS = 24 * 3_600_000;

type Post = (key: string | undefined, change?: Record<string, unknown>, by?: Client) => Promise<Answer>;

interface Creating {
  name: string;
  /** How to call it, in a fresh edge. */
  prepare: (test: TestEdge) => Promise<{ post: Post; count: () => Promise<number> }>;
  id: string;
}

async function countOf(test: TestEdge, family: string): Promise<number> {
  return (await Array.fromAsync(test.edge.store.kv.list({ prefix: [family] }))).length;
}

function poster(test: TestEdge, path: string, body: Record<string, unknown>): Post {
  return (key, change = {}, by = test.admin) => {
    const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
    return by.call(`POST ${path as `/${string}`}`, { ...body, ...change }, headers);
  };
}

const CREATING: Creating[] = [
  {
    name: "a project",
    id: "id",
    prepare: (test) => {
      const body = { name: "same", repositoryUrl: "https://git.example.org/a.git" };
      return Promise.resolve({ post: poster(test, "/api/projects", body), count: () => countOf(test, "project") });
    },
  },
  {
    name: "a draft",
    id: "id",
    prepare: async (test) => {
      const { id } = await test.addProject();
      const post = poster(test, `/api/projects/${id}/tasks`, { description: "once" });
      return { post, count: () => countOf(test, "task") };
    },
  },
  {
    name: "a run",
    id: "taskId",
    prepare: async (test) => {
      const { id } = await test.addProject();
      const post = poster(test, `/api/projects/${id}/tasks/submit`, { description: "once" });
      return { post, count: () => countOf(test, "task") };
    },
  },
  {
    name: "a workspace",
    id: "id",
    prepare: (test) => {
      const body = { repositoryUrl: "https://git.example.org/a.git" };
      return Promise.resolve({ post: poster(test, "/api/workspaces", body), count: () => countOf(test, "workspace") });
    },
  },
];

for (const { name, prepare, id } of CREATING) {
  Deno.test(`the same key and body make ${name} once and are answered the same`, async () => {
    await using test = await startTestEdge({ still: true });
    const { post, count } = await prepare(test);
    const before = await count();
    const first = await post("key-1");
    const again = await post("key-1");
    assert(first.status < 300, JSON.stringify(first.body));
    assertEquals([again.status, again.body], [first.status, first.body]);
    assertEquals(await count(), before + 1);
  });

  Deno.test(`five calls at once with one key make ${name} once`, async () => {
    await using test = await startTestEdge({ still: true });
    const { post, count } = await prepare(test);
    const before = await count();
    for (let round = 0; round < 5; round++) {
      const change = name === "a project" ? { name: `round ${round}` } : {};
      const answers = await Promise.all(Array.from({ length: 5 }, () => post(`round-${round}`, change)));
      assertEquals(new Set(answers.map((answer) => answer.status)).size, 1, JSON.stringify(answers[0]!.body));
      assertEquals(new Set(answers.map((answer) => answer.body[id])).size, 1);
      assertEquals(await count(), before + round + 1);
    }
  });

  Deno.test(`the same key with another body makes no second ${name.slice(2)}: 422`, async () => {
    await using test = await startTestEdge({ still: true });
    const { post, count } = await prepare(test);
    await post("key-1");
    const before = await count();
    const change = name === "a project"
      ? { name: "other" }
      : name === "a workspace"
      ? { branch: "other" }
      : { description: "other" };
    const other = await post("key-1", change);
    assertEquals([other.status, other.body.error], [422, "idempotency_key_reused"]);
    assertEquals(await count(), before);
    assert((await post("key-2", change)).status < 300, "under another key it may be made");
  });
}

Deno.test("a key is the caller's own and that of one call", async () => {
  await using test = await startTestEdge({ still: true });
  const user = await test.addUser("other");
  const body = { name: "same", repositoryUrl: "https://git.example.org/a.git" };
  const post = poster(test, "/api/projects", body);
  const [mine, theirs] = [await post("shared"), await post("shared", {}, user)];
  assertEquals([mine.status, theirs.status], [201, 201]);
  assert(mine.body.id !== theirs.body.id);
  const tasks = poster(test, `/api/projects/${mine.body.id}/tasks`, { description: "x" });
  assertEquals((await tasks("shared")).status, 201);
});

Deno.test("a key is kept for a day, and a call that failed keeps none", async () => {
  await using test = await startTestEdge({ still: true });
  const { id } = await test.addProject();
  const post = poster(test, `/api/projects/${id}/tasks`, { description: "x" });
  assertEquals((await post("k", { description: "" })).status, 400);
  const first = await post("k");
  test.skewMs = DAY_MS - 60_000;
  assertEquals((await post("k")).body.id, first.body.id);
  test.skewMs = DAY_MS + 60_000;
  const later = await post("k", { description: "another" });
  assertEquals(later.status, 201);
  assert(later.body.id !== first.body.id);
});

Deno.test("a repeated run is neither counted nor held to what has changed since", async () => {
  await using test = await startTestEdge({ still: true, env: { RATE_RUNS_PER_HOUR: "1" } });
  const { id } = await test.addProject();
  const post = poster(test, `/api/projects/${id}/tasks/submit`, { description: "x" });
  const first = await post("k");
  const again = await post("k");
  assertEquals([first.status, again.status, again.body], [202, 202, first.body]);
});

Deno.test("a key of another form is refused, and calls that take none ignore it", async () => {
  await using test = await startTestEdge({ still: true });
  const { id } = await test.addProject();
  const post = poster(test, `/api/projects/${id}/tasks`, { description: "x" });
  for (const key of ["x".repeat(101), "with space", "é"]) {
    const answer = await post(encodeURIComponent(key) === key ? key : key.replace("é", "\u00e9"));
    assertEquals([answer.status, answer.body.error], [400, "invalid_request"], key);
  }
  assertEquals((await post("x".repeat(100))).status, 201);
  const keys = poster(test, "/api/keys", { name: "x" });
  const [a, b] = [await keys("k"), await keys("k")];
  assertEquals([a.status, b.status], [201, 201]);
  assert(a.body.key !== b.body.key, "a secret is never answered twice");
});

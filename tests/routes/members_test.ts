/** Who may work in a project, and who may say so. */
import { assert, assertEquals } from "@std/assert";
import { projectByUserKey } from "../../lib/store/keys.ts";
import { MEMBERS_MAX } from "../../lib/wire/limits.ts";
import { type Client, startTestEdge, type TestEdge } from "../edge.ts";
import { watchCommits } from "../fakes/faulty_kv.ts";

type Call = Parameters<Client["call"]>[0];

async function world() {
  const test = await startTestEdge({ still: true });
  const owner = await test.addUser("olga");
  const { body } = await owner.call("POST /api/projects", {
    name: "Lighthouse",
    repositoryUrl: "https://git.example.org/team/app.git",
  });
  const path = `/api/projects/${body.id}` as const;
  const admit = (login: string, by: Client = owner) => by.call(`POST ${path}/members`, { login });
  const expel = (userId: string, by: Client = owner) => by.call(`DELETE ${path}/members/${userId}`);
  const logins = async () => {
    const { items } = (await owner.call(`GET ${path}/members`)).body;
    return (items as { login: string; role: string }[]).map(({ login, role }) => `${login} ${role}`);
  };
  return { test, owner, path, admit, expel, logins, projectId: body.id as string };
}

Deno.test("a member is let in by login name, works in the project, and is shut out again", async () => {
  const { test, path, admit, expel, logins } = await world();
  await using _test = test;
  const mia = await test.addUser("mia");
  assertEquals((await mia.call(`GET ${path}`)).status, 404);
  const added = await admit("  MIA ");
  assertEquals([added.status, added.body.login, added.body.role], [201, "mia", "member"]);
  assertEquals(await logins(), ["olga owner", "mia member"]);
  assertEquals((await mia.call(`GET ${path}`)).status, 200);
  assertEquals((await mia.call("GET /api/projects")).body.items.length, 1);
  assertEquals((await mia.call(`POST ${path}/tasks`, { description: "Help" })).status, 201);
  assertEquals((await expel(mia.user.id)).status, 204);
  assertEquals(await logins(), ["olga owner"]);
  assertEquals((await mia.call(`GET ${path}`)).status, 404);
  assertEquals((await mia.call(`GET ${path}/members`)).status, 404);
  assertEquals((await mia.call("GET /api/projects")).body.items, []);
});

Deno.test("only the owner changes members, the repository and who approves; a member learns no more than that", async () => {
  const { test, owner, path, admit, logins } = await world();
  await using _test = test;
  const [mia, noah] = [await test.addUser("mia"), await test.addUser("noah")];
  await admit("mia");
  const tries: [Call, unknown?][] = [
    [`POST ${path}/members`, { login: "noah" }],
    [`DELETE ${path}/members/${owner.user.id}`],
    [`DELETE ${path}/members/${mia.user.id}`],
    [`PATCH ${path}`, { permissionMode: "ask" }],
    [`PATCH ${path}`, { repositoryUrl: "https://evil.example/app.git" }],
    [`PATCH ${path}`, { name: "Mine", permissionMode: "ask" }],
    [`PATCH ${path}`, { settings: { askBeforeEdits: true } }],
    [`DELETE ${path}`],
  ];
  const before = (await owner.call(`GET ${path}`)).body;
  for (const [what, body] of tries) {
    assertEquals((await mia.call(what, body)).status, 403, what);
    // To somebody who is not in it, and to an admin who is not, the project is not there.
    assertEquals((await noah.call(what, body)).status, 404, what);
    assertEquals((await test.admin.call(what, body)).status, 404, what);
  }
  assertEquals((await owner.call(`GET ${path}`)).body, before);
  assertEquals(await logins(), ["olga owner", "mia member"]);
  // What does not concern who reaches the code is a member's too.
  assertEquals((await mia.call(`PATCH ${path}`, { defaultVmSize: "large" })).body.defaultVmSize, "large");
});

Deno.test("a project never loses its owner, and a refusal says what to do", async () => {
  const { test, owner, admit, expel, logins } = await world();
  await using _test = test;
  const refused = await expel(owner.user.id);
  assertEquals([refused.status, refused.body.error], [409, "conflict"]);
  const unknown = await admit("nobody");
  assertEquals([unknown.status, unknown.body.issues[0].field], [400, "login"]);
  assert(unknown.body.message.includes('"nobody"'));
  assertEquals((await expel(crypto.randomUUID())).status, 404);
  assertEquals((await admit("")).status, 400);
  assertEquals(await logins(), ["olga owner"]);
});

Deno.test("letting somebody in twice keeps the first membership, also of the owner and at the same time", async () => {
  const { test, admit, logins } = await world();
  await using _test = test;
  await test.addUser("mia");
  const answers = await Promise.all([admit("mia"), admit("mia"), admit("mia")]);
  assertEquals(answers.map(({ status }) => status), [201, 201, 201]);
  assertEquals(new Set(answers.map(({ body }) => body.addedAt)).size, 1);
  assertEquals((await admit("olga")).body.role, "owner");
  assertEquals(await logins(), ["olga owner", "mia member"]);
});

/** Does `before` once, when a membership is decided and about to be written. */
function beforeMembership(test: TestEdge, before: () => Promise<unknown>): void {
  const kv = test.edge.store.kv;
  test.edge.store.kv = watchCommits(kv, async ({ keys, commit }) => {
    if (keys.some((key) => key[0] === "member")) {
      test.edge.store.kv = kv;
      await before();
    }
    return await commit();
  });
}

Deno.test("the limit of members holds for two who come at once", async () => {
  const { test, admit, logins } = await world();
  await using _test = test;
  for (let n = 1; n < MEMBERS_MAX - 1; n++) {
    await test.addUser(`user${n}`);
    await admit(`user${n}`);
  }
  await Promise.all([test.addUser("ann"), test.addUser("bob")]);
  let first = 0;
  beforeMembership(test, async () => {
    first = (await admit("bob")).status;
  });
  assertEquals([(await admit("ann")).status, first], [409, 201]);
  assertEquals((await logins()).length, MEMBERS_MAX);
});

Deno.test("nobody becomes a member of a project that is deleted meanwhile", async () => {
  const { test, owner, path, admit, projectId } = await world();
  await using _test = test;
  const mia = await test.addUser("mia");
  beforeMembership(test, () => owner.call(`DELETE ${path}`));
  assertEquals((await admit("mia")).status, 404);
  const pointer = await test.edge.store.kv.get(projectByUserKey(mia.user.id, projectId));
  assertEquals(pointer.versionstamp, null);
});

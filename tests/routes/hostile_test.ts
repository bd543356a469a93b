/**
 * Every endpoint of the table with malformed, oversized, foreign and unauthorised input: never a 500, never another
 * user's data, always a problem document, and nothing written by what was refused.
 */
import { assert, assertEquals } from "@std/assert";
import { pathParameters } from "../../lib/wire/endpoints.ts";
import type { Endpoint } from "../../lib/wire/endpoint.ts";
import { findFault, MARKER, type Reply, TABLE, World } from "./world.ts";

const isId = (name: string) => name.endsWith("Id") || name === "seq";

function parametersOf(endpoint: Endpoint): string[] {
  return [...endpoint.path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
}

/** Makes calls one by one; whatever is refused must have changed nothing, but for the call to a machine that is away. */
async function callAll(
  world: World,
  endpoint: Endpoint,
  calls: Iterable<[what: string, call: () => Promise<Reply>]>,
): Promise<Map<string, Reply>> {
  const replies = new Map<string, Reply>();
  let before = await world.dump();
  for (const [what, call] of calls) {
    const reply = await call();
    const fault = findFault(endpoint, reply);
    assertEquals(fault, null, `${endpoint.method} ${endpoint.path} with ${what}: ${fault}`);
    const after = await world.dump();
    const asksMachine = endpoint.path.endsWith("/git");
    if (reply.status >= 400 && !asksMachine) {
      assertEquals(after, before, `${endpoint.path} with ${what} was refused and wrote`);
    }
    before = after;
    replies.set(what, reply);
  }
  return replies;
}

const json = (value: unknown) => JSON.stringify(value);

/** Calls that are about something this world does not have, or has in another state. */
const OUT_OF_REACH: Record<string, number> = {
  login: 401,
  registerNode: 401,
  renewTokens: 401,
  deleteCredential: 404,
  checkCredential: 404,
  readDeadLetter: 404,
};

Deno.test("with its own caller and a valid body every endpoint is reached", async () => {
  for (const [name, endpoint] of TABLE) {
    await using world = await World.make();
    const body = endpoint.method === "GET" ? undefined : json(world.fullSample(endpoint));
    const reply = await world.call(endpoint, { body });
    assertEquals(findFault(endpoint, reply), null, name);
    const expected = OUT_OF_REACH[name] ?? (reply.status === 409 ? 409 : endpoint.status);
    assertEquals(reply.status, expected, `${name}: ${reply.text}`);
  }
});

Deno.test("without a valid token of the right kind every endpoint but the public ones is 401", async () => {
  await using world = await World.make();
  const node = world.running.agent.registered!.callbackToken;
  const key = world.running.test.admin.key;
  const kinds = {
    none: null,
    garbage: "garbage",
    key,
    revoked: `${key.slice(0, -2)}xx`,
    node,
    workspace: world.workspaceToken,
  };
  for (const [, endpoint] of TABLE.filter(([, { caller }]) => caller !== "public")) {
    const own = endpoint.caller === "user" ? "key" : endpoint.caller === "node" ? "node" : "workspace";
    const body = endpoint.method === "GET" ? undefined : json(world.sample(endpoint));
    const wrong = Object.entries(kinds).filter(([kind]) => kind !== own);
    const replies = await callAll(
      world,
      endpoint,
      wrong.map(([kind, token]) => [kind, () => world.call(endpoint, { token, body })]),
    );
    for (const [kind, reply] of replies) {
      assertEquals(reply.status, 401, `${endpoint.method} ${endpoint.path} with ${kind}: ${reply.text}`);
      assert(!reply.text.includes(MARKER));
    }
  }
});

Deno.test("another user's objects are 404 for every call that names one, with valid input", async () => {
  await using world = await World.make();
  const { stranger } = world;
  const own = (await stranger.call("POST /api/projects", {
    name: "mine",
    repositoryUrl: "https://git.example.org/mine.git",
  })).body.id as string;
  const theirs = TABLE.filter(([, endpoint]) => endpoint.caller === "user" && parametersOf(endpoint).some(isId));
  for (const [name, endpoint] of theirs) {
    const body = endpoint.method === "GET" ? undefined : json(world.sample(endpoint));
    const calls: [string, () => Promise<Reply>][] = [
      ["the owner's ids", () => world.call(endpoint, { token: stranger.key, body })],
    ];
    // In a project of their own, what belongs to another one must not be there either.
    if (parametersOf(endpoint).filter(isId).length > 1) {
      calls.push([
        "their own project",
        () => world.call(endpoint, { token: stranger.key, ids: { projectId: own }, body }),
      ]);
    }
    for (const [what, reply] of await callAll(world, endpoint, calls)) {
      assertEquals(reply.status, 404, `${name} with ${what}: ${reply.text}`);
      assert(!reply.text.includes(MARKER));
    }
  }
});

Deno.test("calls that name no object show and change only the caller's own", async () => {
  await using world = await World.make();
  const free = TABLE.filter(([, endpoint]) => endpoint.caller === "user" && !parametersOf(endpoint).some(isId));
  const untouched = Object.entries(await world.dump()).filter(([key]) =>
    /"(project|task|session|msg|node|workspace)"/.test(key)
  );
  for (const [name, endpoint] of free) {
    const body = endpoint.method === "GET" ? undefined : json(world.sample(endpoint));
    const reply = await world.call(endpoint, { token: world.stranger.key, body });
    assertEquals(findFault(endpoint, reply), null, name);
    assert(!reply.text.includes(MARKER), `${name} shows what is another's: ${reply.text}`);
    assert(!Object.values(world.ids).filter((id) => id.length > 20).some((id) => reply.text.includes(id)), name);
  }
  const after = await world.dump();
  assertEquals(untouched.filter(([key, stamp]) => after[key] !== stamp), []);
});

Deno.test("ids of others inside a body open nothing", async () => {
  await using world = await World.make();
  const { stranger, ids } = world;
  const own = (await stranger.call("POST /api/projects", {
    name: "mine",
    repositoryUrl: "https://git.example.org/mine.git",
  })).body.id as string;
  const task = (await stranger.call(`POST /api/projects/${own}/tasks`, { description: "x" })).body.id as string;
  const tasks = `/api/projects/${own}/tasks` as const;
  const calls: [`POST /${string}`, Record<string, unknown>][] = [
    [`POST ${tasks}`, { description: "x", dependsOn: [ids.taskId] }],
    [`POST ${tasks}`, { description: "x", parentTaskId: ids.taskId }],
    [`POST ${tasks}/submit`, { description: "x", dependsOn: [ids.taskId] }],
    [`POST ${tasks}/submit`, { description: "x", parentTaskId: ids.taskId }],
    [`POST ${tasks}/${task}/dependencies`, { dependsOnTaskId: ids.taskId }],
    ["POST /api/workspaces", { projectId: ids.projectId }],
    ["POST /api/workspaces", { projectId: own, nodeId: ids.nodeId }],
  ];
  for (const [call, body] of calls) {
    const before = await world.dump();
    const answer = await stranger.call(call, body);
    assert(answer.status >= 400 && answer.status < 500, `${call} ${json(body)}: ${answer.status} ${json(answer.body)}`);
    assertEquals(await world.dump(), before, call);
    assert(!json(answer.body).includes(MARKER));
  }
});

const BODIES: [string, BodyInit][] = [
  ["no JSON", "{"],
  ["half a text", '"x'],
  ["a word", "undefined"],
  ["two values", "{}{}"],
  ["a comment", '{"a":1 /* b */}'],
  ["no UTF-8", new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])],
  ["a NUL byte", "\u0000"],
  ["null", "null"],
  ["an array", "[]"],
  ["a text", '"text"'],
  ["a number", "1e400"],
  ["true", "true"],
  ["a prototype", '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}}}'],
  ["ten thousand levels", `${"[".repeat(10_000)}${"]".repeat(10_000)}`],
  ["levels without an end", `{"a":${"[".repeat(100_000)}`],
  ["300 KB", json({ a: "x".repeat(300_000) })],
  ["300 KB that are no JSON", "x".repeat(300_000)],
  ["ten thousand fields", json(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`f${i}`, i])))],
];

/** Values as JSON text: some have no other form. */
const VALUES = [
  "null",
  "true",
  "-1",
  "0.5",
  "1e400",
  "-1e400",
  "9007199254740993",
  "1e308",
  '""',
  '" "',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800 \\u202e"',
  json("x".repeat(40_000)),
  json("🏳️‍🌈".repeat(6_000)),
  '"__proto__"',
  '"constructor"',
  '"../../etc/passwd"',
  '"00000000-0000-0000-0000-000000000000"',
  '"\'; DROP TABLE users; --"',
  "[]",
  json(Array(2_000).fill("x")),
  "{}",
  '{"__proto__":{"x":1}}',
  '{"toString":null,"length":-1}',
  `${"[".repeat(90)}${"]".repeat(90)}`,
  `${"[".repeat(3_900)}${"]".repeat(3_900)}`,
];

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** The places in a body, those that a field could be added to included. */
function* placesOf(body: unknown, path: string[] = []): Generator<string[]> {
  if (!isObject(body)) return;
  for (const name of Object.keys(body)) {
    yield [...path, name];
    yield* placesOf(body[name], [...path, name]);
  }
  if (!Array.isArray(body)) yield* [[...path, "__proto__"], [...path, "unknown"]];
}

/** The body as JSON text with what is at a place replaced, or left out. */
function spoil(body: unknown, path: string[], value: string | null): string {
  const copy = structuredClone(body);
  const parent = path.slice(0, -1).reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], copy);
  const [holder, name] = [parent as Record<string, unknown>, path.at(-1)!];
  // A property of this name cannot be set, only defined.
  if (value !== null) Object.defineProperty(holder, name, { value: "\u0001", enumerable: true, configurable: true });
  else delete holder[name];
  return json(copy).replace('"\\u0001"', () => value ?? "");
}

for (const [name, endpoint] of TABLE.filter(([, endpoint]) => endpoint.method !== "GET")) {
  Deno.test(`${name}: no body is too malformed`, async () => {
    await using world = await World.make();
    const bodies = BODIES.map(([what, body]): [string, () => Promise<Reply>] => [
      what,
      () => world.call(endpoint, { body }),
    ]);
    const replies = await callAll(world, endpoint, bodies);
    for (const what of ["no JSON", "no UTF-8", "ten thousand levels", "levels without an end", "null", "an array"]) {
      assertEquals(replies.get(what)!.status, 400, `${name} with ${what}: ${replies.get(what)!.text}`);
    }
    for (const what of ["300 KB", "300 KB that are no JSON"]) {
      assertEquals(replies.get(what)!.status, 413, `${name}: ${what}`);
    }
    const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""];
    const typed = await callAll(
      world,
      endpoint,
      types.map((type) => [type, () => world.call(endpoint, { body: "{}", headers: { "content-type": type } })]),
    );
    for (const [type, reply] of typed) assertEquals(reply.status, 415, `${name} with ${type}`);
  });

  Deno.test(`${name}: no field is too malformed`, async () => {
    await using world = await World.make();
    const sample = world.fullSample(endpoint);
    const calls = function* (): Generator<[string, () => Promise<Reply>]> {
      for (const path of placesOf(sample)) {
        for (const value of [...VALUES, null]) {
          const what = `${path.join(".")} = ${value?.slice(0, 60) ?? "nothing"}`;
          yield [what, () => world.call(endpoint, { body: spoil(sample, path, value) })];
        }
      }
    };
    await callAll(world, endpoint, calls());
    assertEquals(({} as { x?: number }).x, undefined);
  });
}

const QUERY_VALUES = ["", "-1", "0", "1.5", "1e400", "NaN", "null", "true", "%00", "%ED%A0%80", "%", "[]", "__proto__"];

Deno.test("no query is too malformed", async () => {
  await using world = await World.make();
  for (const [name, endpoint] of TABLE.filter(([, endpoint]) => endpoint.method === "GET")) {
    const { shape } = endpoint.query as unknown as { shape?: Record<string, unknown> };
    const fields = [...Object.keys(shape ?? {}), "unknown", "__proto__"];
    const queries = fields.flatMap((field) =>
      [...QUERY_VALUES, "x".repeat(5_000)].map((value) => `?${field}=${value}`)
    );
    const twice = fields.map((field) => `?${field}=1&${field}=2&${field}[]=3&${field}[a]=4`);
    const calls = [...queries, ...twice, "?", "?=&==&&%", `?${"a=1&".repeat(2_000)}`].map((
      query,
    ): [string, () => Promise<Reply>] => [query.slice(0, 80), () => world.call(endpoint, { query })]);
    const replies = await callAll(world, endpoint, calls);
    assertEquals(replies.size > 10, true, name);
  }
});

const PATH_VALUES = [
  "%00",
  "%ED%A0%80",
  "%",
  "%zz",
  "..%2f..%2fetc",
  "é",
  "undefined",
  "null",
  "0",
  "-1",
  "1e9",
  "__proto__",
  "constructor",
  "x".repeat(3_000),
  "00000000-0000-0000-0000-00000000000g",
  "00000000-0000-0000-0000-000000000000%0A",
  "%20",
  "{}",
];

Deno.test("no path is too malformed", async () => {
  await using world = await World.make();
  for (const [name, endpoint] of TABLE) {
    for (const parameter of parametersOf(endpoint)) {
      assert(parameter in pathParameters, `${name}: ${parameter} has no schema`);
      const body = endpoint.method === "GET" ? undefined : json(world.sample(endpoint));
      const calls = PATH_VALUES.map((value): [string, () => Promise<Reply>] => [
        `${parameter} = ${value.slice(0, 40)}`,
        () => world.call(endpoint, { ids: { [parameter]: value }, body }),
      ]);
      for (const [what, reply] of await callAll(world, endpoint, calls)) {
        const refused = [400, 401, 403, 404, 405].includes(reply.status);
        assert(refused || (parameter === "seq" && reply.status === 200), `${name} with ${what}: ${reply.status}`);
      }
    }
  }
});

Deno.test("ids of the right form that name nothing are 404, in either case of letters", async () => {
  await using world = await World.make();
  const users = TABLE.filter(([, endpoint]) => endpoint.caller === "user");
  for (const [name, endpoint] of users) {
    const parameters = parametersOf(endpoint).filter((parameter) => parameter.endsWith("Id"));
    const body = endpoint.method === "GET" ? undefined : json(world.sample(endpoint));
    const calls = parameters.map((parameter): [string, () => Promise<Reply>] => [
      parameter,
      () => world.call(endpoint, { ids: { [parameter]: crypto.randomUUID().toUpperCase() }, body }),
    ]);
    for (const [what, reply] of await callAll(world, endpoint, calls)) {
      assertEquals(reply.status, 404, `${name} with a ${what} of nothing: ${reply.text}`);
    }
    if (endpoint.method !== "GET" || parameters.length === 0) continue;
    const upper = Object.fromEntries(parameters.map((parameter) => [parameter, world.ids[parameter]!.toUpperCase()]));
    const [lower, raised] = [await world.call(endpoint), await world.call(endpoint, { ids: upper })];
    assertEquals([raised.status, raised.text.length], [lower.status, lower.text.length], name);
  }
});

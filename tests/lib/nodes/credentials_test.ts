import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { checkGitHost } from "../../../lib/providers/git_host.ts";
import { checkModelKey } from "../../../lib/providers/model_keys.ts";
import { listCredentials } from "../../../lib/store/credentials.ts";
import { listNodes } from "../../../lib/store/nodes.ts";
import { startTestEdge, type TestEdge, type TestEdgeOptions } from "../../edge.ts";
import { FakeHcloud } from "../../fakes/hcloud.ts";

export const DOWNLOAD = {
  AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
  AGENT_BINARY_SHA256_X64: "ab".repeat(32),
};

async function startHetznerEdge(fake: FakeHcloud, options: TestEdgeOptions = {}): Promise<TestEdge> {
  const env = { NODE_PROVIDER: "hetzner", HCLOUD_URL: fake.url, ...DOWNLOAD, ...options.env };
  return await startTestEdge({ ...options, agents: true, env });
}

const submit = (test: TestEdge, project: { id: string }, agentHint = "demo") =>
  test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "say hello", agentHint });

Deno.test("a stored secret is sealed at rest and in no answer and no log line", async () => {
  await using test = await startTestEdge();
  const secret = `hcloud-${"S3cret".repeat(9)}`;
  const put = await test.admin.call("PUT /api/credentials/hetzner", { secret });
  assertEquals(put.status, 200);
  assertEquals(Object.keys(put.body).sort(), ["createdAt", "host", "provider", "updatedAt"]);
  const list = await test.admin.call("GET /api/credentials");
  assertEquals(list.body.items, [put.body]);
  const [record] = await listCredentials(test.edge.store, test.admin.user.id);
  const shown = Deno.inspect(record, { depth: 9, iterableLimit: 9_999 }) + new TextDecoder().decode(record!.sealed);
  assert(!shown.includes("S3cret"));
  assert(!JSON.stringify([put.body, list.body, test.log]).includes("S3cret"));
});

Deno.test("credentials are a person's own", async () => {
  await using test = await startTestEdge();
  const other = await test.addUser("ann");
  await other.call("PUT /api/credentials/anthropic", { secret: "sk-ant-0123456789" });
  assertEquals((await test.admin.call("GET /api/credentials")).body.items, []);
  assertEquals((await test.admin.call("DELETE /api/credentials/anthropic")).status, 404);
  assertEquals((await test.admin.call("POST /api/credentials/anthropic/check")).status, 404);
  assertEquals((await other.call("DELETE /api/credentials/anthropic")).status, 204);
  assertEquals((await other.call("GET /api/credentials")).body.items, []);
});

Deno.test("what is no provider or no secret is refused", async () => {
  await using test = await startTestEdge();
  assertEquals((await test.admin.call("PUT /api/credentials/toString", { secret: "0123456789" })).status, 400);
  assertEquals((await test.admin.call("PUT /api/credentials/hetzner", { secret: "" })).status, 400);
  assertEquals((await test.admin.call("PUT /api/credentials/hetzner", { secret: "with a\nnewline" })).status, 400);
  assertEquals((await test.admin.call("PUT /api/credentials/hetzner", { secret: "x".repeat(5_000) })).status, 400);
});

Deno.test("the check asks the provider once and says what it said", async () => {
  await using fake = await FakeHcloud.start();
  await using test = await startHetznerEdge(fake);
  await test.admin.call("PUT /api/credentials/hetzner", { secret: "a-token-that-is-wrong" });
  const refused = await test.admin.call("POST /api/credentials/hetzner/check");
  assertEquals([refused.status, refused.body.ok], [200, false]);
  assert(!refused.body.message.includes("a-token-that-is-wrong"));
  await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
  const accepted = await test.admin.call("POST /api/credentials/hetzner/check");
  assertEquals(accepted.body, { ok: true, message: "Hetzner accepts the token." });
  assertEquals(fake.calls.length, 2);
});

Deno.test("a model key is checked with one call that lists models, and follows no redirect", async () => {
  const seen: string[] = [];
  await using server = Deno.serve({ port: 0, onListen: () => {} }, (request) => {
    const key = request.headers.get("x-api-key") ?? request.headers.get("authorization") ??
      request.headers.get("x-goog-api-key") ?? "";
    seen.push(`${request.method} ${key}`);
    if (key.includes("redirect")) return Response.redirect("http://127.0.0.1:9/");
    return new Response("{}", { status: key.includes("good") ? 200 : 401 });
  });
  const url = `http://127.0.0.1:${server.addr.port}/v1/models`;
  assertEquals(await checkModelKey("anthropic", "good", url), { ok: true, message: "Anthropic accepts the key." });
  assertEquals((await checkModelKey("openai", "good", url)).ok, true);
  assertEquals((await checkModelKey("google", "bad", url)).message, "Google does not accept the key (status 401).");
  assertEquals((await checkModelKey("anthropic", "redirect", url)).ok, false);
  assertEquals(
    (await checkModelKey("anthropic", "good", "http://127.0.0.1:9/")).message,
    "Anthropic could not be reached.",
  );
  assertEquals(seen, ["GET good", "GET Bearer good", "GET bad", "GET redirect"]);
});

Deno.test("a Git credential names one host, and no other credential does", async () => {
  await using test = await startTestEdge();
  const { call } = test.admin;
  const secret = "a-token-for-git";
  const nameless = await call("PUT /api/credentials/git", { secret });
  assertEquals([nameless.status, nameless.body.issues], [400, [{ field: "host", message: "is missing" }]]);
  for (const host of ["https://github.com", "github.com/team", "ann@github.com", "-x", "a b", "git.example.org:port"]) {
    assertEquals((await call("PUT /api/credentials/git", { secret, host })).status, 400, host);
  }
  assertEquals((await call("PUT /api/credentials/hetzner", { secret, host: "github.com" })).status, 400);
  assertEquals((await call("GET /api/credentials")).body.items, []);
  const stored = await call("PUT /api/credentials/git", { secret, host: "Git.Example.ORG:443", username: "ann" });
  assertEquals([stored.status, stored.body.host], [200, "git.example.org"]);
  assert(!JSON.stringify([nameless.body, stored.body, test.log]).includes(secret));
});

Deno.test("a Git token is checked at its host alone, by asking for what nobody has", async () => {
  const seen: (string | null)[] = [];
  let answer = (login: string | null) => new Response(null, { status: login === null ? 401 : 404 });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const login = request.headers.get("authorization");
    seen.push(login);
    return answer(login);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const credential = { host: "git.example.org", username: "ann", password: "a-token-for-git" };
  const check = async () => {
    const told = await checkGitHost(credential, origin);
    assert(!told.message.includes(credential.password));
    return told;
  };
  assertEquals((await check()).ok, true);
  assertEquals(seen, [null, `Basic ${btoa("ann:a-token-for-git")}`]);
  answer = () => new Response(null, { status: 401 });
  assertEquals(await check(), { ok: false, message: "git.example.org does not accept the token (status 401)." });
  seen.length = 0;
  answer = () => Response.redirect(`${origin}/elsewhere`);
  assertEquals((await check()).ok, false);
  answer = () => new Response("A page.", { status: 404 });
  assertEquals((await check()).ok, false);
  assertEquals(seen, [null, null], "who does not ask is not told, and no redirect is followed");
  const nowhere = await checkGitHost(credential, "http://127.0.0.1:9");
  assertEquals(nowhere, { ok: false, message: "git.example.org could not be reached over https." });
});

Deno.test("a run without its credentials is refused before anything is written", async () => {
  await using fake = await FakeHcloud.start();
  await using test = await startHetznerEdge(fake);
  const project = await test.addProject();
  const answer = await submit(test, project, "claude");
  assertEquals([answer.status, answer.body.error], [400, "credentials_missing"]);
  assertEquals([answer.body.missing, answer.body.settingsUrl], [["hetzner", "anthropic"], "/credentials"]);
  assertEquals((await test.admin.call(`GET /api/projects/${project.id}/tasks`)).body.items, []);
  await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
  assertEquals((await submit(test, project, "claude")).body.missing, ["anthropic"]);
  const draft = await test.admin.call(`POST /api/projects/${project.id}/tasks`, {
    description: "x",
    agentHint: "claude",
  });
  const run = await test.admin.call(`POST /api/projects/${project.id}/tasks/${draft.body.id}/run`, {});
  assertEquals([run.status, run.body.error, run.body.missing], [400, "credentials_missing", ["anthropic"]]);
  assertEquals(fake.orders, []);
});

Deno.test("a coding agent that this machine is signed in to needs no key; without both, the way to either is told", async () => {
  const home = await Deno.makeTempDir();
  try {
    await using test = await startTestEdge({ agents: true, still: true, agentEnv: { HOME: home } });
    const project = await test.addProject();
    const refused = await submit(test, project, "claude");
    assertEquals([refused.status, refused.body.error, refused.body.missing], [400, "credentials_missing", [
      "anthropic",
    ]]);
    assertStringIncludes(refused.body.message, "sign in to it on this machine: claude-agent-acp --cli auth login");
    await Deno.mkdir(`${home}/.claude`);
    await Deno.writeTextFile(`${home}/.claude/.credentials.json`, "{}");
    assertEquals((await submit(test, project, "claude")).status, 202);
    assertEquals((await submit(test, project, "codex")).body.missing, ["openai"]);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("the demo on this machine needs no credential", async () => {
  await using test = await startTestEdge({ still: true });
  assertEquals((await submit(test, await test.addProject())).status, 202);
});

Deno.test("a credential under which servers live is neither removed nor replaced by one that does not see them", async () => {
  await using fake = await FakeHcloud.start();
  await using test = await startHetznerEdge(fake);
  await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
  const ordered = Promise.withResolvers<void>();
  fake.onOrder = () => ordered.resolve();
  await submit(test, await test.addProject());
  await ordered.promise;
  const removed = await test.admin.call("DELETE /api/credentials/hetzner");
  assertEquals([removed.status, removed.body.error], [409, "conflict"]);
  const replaced = await test.admin.call("PUT /api/credentials/hetzner", { secret: "a-token-of-another-project" });
  assertEquals([replaced.status, replaced.body.error], [409, "conflict"]);
  assert(!replaced.body.message.includes("a-token-of-another-project"));
  assertEquals((await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token })).status, 200);
  // A provider that takes longer than the store is waited for is no busy store.
  test.edge.store.patienceMs = 2_000;
  fake.fault("GET /servers", { kind: "slow", ms: 2_500 });
  const slow = await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
  assertEquals([slow.status, slow.body.error ?? null], [200, null]);
});

Deno.test("the encryption key of a one-machine edge is made once and readable by its owner alone", async () => {
  await using test = await startTestEdge();
  const path = join(test.edge.config.HEARTH_DATA_DIR, "encryption-key");
  const { mode } = await Deno.stat(path);
  assertEquals(mode! & 0o777, 0o600);
  assert((await Deno.readTextFile(path)).startsWith("k1:"));
  assertEquals(await listNodes(test.edge.store, test.admin.user.id), []);
});

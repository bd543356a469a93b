import { assert, assertEquals, assertMatch } from "@std/assert";
import { sweep } from "../../../lib/scheduler/sweep.ts";
import { startTestEdge } from "../../edge.ts";
import { FakeAgent } from "../../fakes/agent.ts";

const env = {
  AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
  AGENT_BINARY_SHA256_X64: "ab".repeat(32),
};

const tokenOf = (command: string) => /BOOTSTRAP_TOKEN=([\w-]+)/.exec(command)![1]!;

Deno.test("adding a machine answers one command with a token that works once", async () => {
  await using test = await startTestEdge({ env, still: true });
  const { status, body, headers } = await test.admin.call("POST /api/nodes", { vmSize: "large" });
  assertEquals([status, headers.get("cache-control")], [201, "no-store"]);
  assertEquals([body.node.provider, body.node.status, body.node.autoProvisioned], ["manual", "provisioning", false]);
  assertMatch(body.command, /^\{ echo NODE_ID=\S+; echo BOOTSTRAP_TOKEN=\S+; curl -fsSL '\S+'; \} \| sudo sh$/);
  await using agent = new FakeAgent(test.url, body.node.id);
  assertEquals((await agent.register(tokenOf(body.command))).status, 200);
  await using thief = new FakeAgent(test.url, body.node.id);
  assertEquals((await thief.register(tokenOf(body.command))).status, 401);
  assertEquals((await test.admin.call(`GET /api/nodes/${body.node.id}`)).body.status, "active");
  assert(!JSON.stringify(test.log).includes(tokenOf(body.command)));
});

Deno.test("a machine of one's own takes tasks, is never warm, and is only forgotten when it is removed", async () => {
  await using test = await startTestEdge({ env: { ...env, NODE_PROVIDER: "manual" }, agents: true });
  const project = await test.addProject();
  const { body } = await test.admin.call("POST /api/nodes", {});
  await using agent = new FakeAgent(test.url, body.node.id);
  await agent.register(tokenOf(body.command));
  await agent.link();
  const { taskId } = (await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, {
    description: "say hello",
    agentHint: "demo",
  })).body;
  const runtime = await agent.begin();
  assertEquals(runtime.taskId, taskId);
  const busy = await test.admin.call(`DELETE /api/nodes/${body.node.id}`);
  assertEquals([busy.status, busy.body.error], [409, "node_busy"]);
  assertEquals((await test.admin.call(`DELETE /api/nodes/${body.node.id}?force=true`)).status, 202);
  assertEquals((await test.admin.call(`GET /api/projects/${project.id}/tasks/${taskId}`)).body.status, "failed");
});

Deno.test("a machine whose command was not run in time is forgotten", async () => {
  await using test = await startTestEdge({ env, still: true });
  const { body } = await test.admin.call("POST /api/nodes", {});
  test.skewMs = 20 * 60_000;
  await sweep(test.edge);
  assertEquals((await test.admin.call(`GET /api/nodes/${body.node.id}`)).body.status, "provisioning");
  test.skewMs = 40 * 60_000;
  await sweep(test.edge);
  assertEquals((await test.admin.call(`GET /api/nodes/${body.node.id}`)).body.status, "destroying");
  await using agent = new FakeAgent(test.url, body.node.id);
  assertEquals((await agent.register(tokenOf(body.command))).status, 401);
});

Deno.test("the limit of machines counts a person's own, and an edge without a download says what to set", async () => {
  await using test = await startTestEdge({ env: { ...env, MAX_NODES_PER_USER: "1" }, still: true });
  assertEquals((await test.admin.call("POST /api/nodes", {})).status, 201);
  assertEquals((await test.admin.call("POST /api/nodes", {})).body.error, "limit_reached");
  await using bare = await startTestEdge({ still: true });
  const refused = await bare.admin.call("POST /api/nodes", {});
  assertEquals([refused.status, refused.body.error], [409, "conflict"]);
  assertMatch(refused.body.message, /AGENT_BINARY_URL_X64/);
});

Deno.test("the install script is there for everybody, is one that a shell can read, and holds no secret", async () => {
  await using test = await startTestEdge({ env, still: true });
  const response = await fetch(`${test.url}/install/node.sh`);
  const script = await response.text();
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-type") ?? "", /^text\/plain/);
  assert(script.includes(test.url) && script.includes(env.AGENT_BINARY_SHA256_X64));
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, script);
    const { success, stderr } = await new Deno.Command("/bin/sh", { args: ["-n", path] }).output();
    assert(success, new TextDecoder().decode(stderr));
    const alone = await new Deno.Command("/bin/sh", { args: [path], clearEnv: true, env: { PATH: "/usr/bin:/bin" } })
      .output();
    assertEquals(alone.success, false, "without id and token it does nothing");
  } finally {
    await Deno.remove(path);
  }
});

/**
 * A machine's whole way to a registered agent: the order at the provider, the setup in a throw-away root, the packed
 * agent, its registration. Skipped where no such root can be made (it takes root on Linux).
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { nodeKey } from "../../lib/store/keys.ts";
import type { NodeRecord } from "../../lib/store/nodes.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { FakeHcloud } from "../fakes/hcloud.ts";
import { Machine } from "../fakes/machine.ts";

const BUILD = new URL("../../agent/pack/build.ts", import.meta.url).pathname;
const ignore = !await Machine.isPossible();

interface Download extends AsyncDisposable {
  /** What the edge is told about it. */
  env: Record<string, string>;
}

/** The packed agent, to be downloaded. */
async function packAgent(): Promise<Download> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/hearth-agent`;
  const { code } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", BUILD, path], stdout: "null" })
    .output();
  assertEquals(code, 0);
  const bytes = await Deno.readFile(path);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => new Response(bytes));
  const url = `http://127.0.0.1:${server.addr.port}/hearth-agent`;
  return {
    env: {
      AGENT_BINARY_URL_X64: url,
      AGENT_BINARY_SHA256_X64: sum,
      AGENT_BINARY_URL_ARM64: url,
      AGENT_BINARY_SHA256_ARM64: sum,
    },
    [Symbol.asyncDispose]: async () => {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Waits until the node's agent has registered. */
async function registered(test: TestEdge, nodeId: string) {
  const watcher = test.edge.store.kv.watch<[NodeRecord]>([nodeKey(nodeId)]).getReader();
  try {
    while ((await watcher.read()).value?.[0]?.value?.status === "provisioning");
  } finally {
    await watcher.cancel();
  }
  return (await test.admin.call(`GET /api/nodes/${nodeId}`)).body;
}

const INSTALLED = [
  "apt-get update -q",
  "apt-get install -q -y --no-install-recommends ca-certificates curl git nodejs npm",
  "npm install --global --no-fund --no-audit -- @agentclientprotocol/claude-agent-acp@0.100.0",
  "systemctl daemon-reload",
  "systemctl enable hearth-agent.service",
  "systemctl restart hearth-agent.service",
];

Deno.test({
  name: "machines come up from nothing to a registered agent (skipped without root on Linux)",
  ignore,
  fn: async (t) => {
    await using download = await packAgent();

    await t.step("a server at Hetzner, by its user data alone", async () => {
      await using fake = await FakeHcloud.start();
      const env = { ...download.env, NODE_PROVIDER: "hetzner", HCLOUD_URL: fake.url };
      await using test = await startTestEdge({ agents: true, env });
      await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
      const ordered = Promise.withResolvers<string>();
      fake.onOrder = (order) => ordered.resolve(order.user_data!);
      const project = await test.addProject();
      await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, {
        description: "say hi",
        agentHint: "demo",
      });
      await using machine = await Machine.bootCloudInit(await ordered.promise);
      assertStringIncludes(await machine.booted(), "the agent is started");
      assertEquals(await machine.calls(), INSTALLED);
      const { items: [{ id }] } = (await test.admin.call("GET /api/nodes")).body;
      const node = await registered(test, id);
      assertEquals([node.provider, node.status, node.health], ["hetzner", "active", "ok"]);
      assertEquals(node.codingAgents, ["demo", "claude"]);
      await test.admin.call(`DELETE /api/nodes/${id}?force=true`);
    });

    await t.step("a machine of one's own, by one command", async () => {
      await using test = await startTestEdge({ env: download.env });
      const { command, node: { id } } = (await test.admin.call("POST /api/nodes", {})).body;
      await using machine = await Machine.bootShell(command);
      assertStringIncludes(await machine.booted(), "the agent is started");
      assertEquals(await machine.calls(), INSTALLED);
      const node = await registered(test, id);
      assertEquals([node.provider, node.status, node.autoProvisioned], ["manual", "active", false]);
    });

    await t.step("an agent that is not the expected one is not started", async () => {
      const wrong = "00".repeat(32);
      const env = { ...download.env, AGENT_BINARY_SHA256_X64: wrong, AGENT_BINARY_SHA256_ARM64: wrong };
      await using test = await startTestEdge({ env });
      const { command, node: { id } } = (await test.admin.call("POST /api/nodes", {})).body;
      await using machine = await Machine.bootShell(command);
      assertStringIncludes(await machine.booted(), "SHA-256 is not the expected one");
      assert(!(await machine.calls()).some((call) => call.startsWith("systemctl")));
      assertEquals((await test.admin.call(`GET /api/nodes/${id}`)).body.status, "provisioning");
    });
  },
});

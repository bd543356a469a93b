/** The contract of edge and agents: both ends read what the other writes by the same schemas, over versions too. */
import { assert, assertEquals } from "@std/assert";
import type { Endpoint } from "../../lib/wire/endpoint.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { PROTOCOL } from "../../lib/wire/limits.ts";
import { startTestEdge } from "../edge.ts";
import { FakeAgent, newMessage } from "../fakes/agent.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { type Exchange, Proxy } from "./proxy.ts";

const SAYS = ["think First.", "plan One; Two", "write a.txt: text", "run cat a.txt; exit 1", "say Done."].join("\n");

Deno.test("all that a real agent and the real edge say to each other fits the schemas, with nothing left over", async () => {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const exchanges: Exchange[] = [];
  await using proxy = new Proxy(Number(new URL(test.url).port));
  proxy.onExchange = (exchange) => exchanges.push(exchange);
  test.edge.config.publicUrl = `http://127.0.0.1:${proxy.port}`;
  const project = await test.addProject({ repositoryUrl: repository.path });
  await using live = await LiveClient.open(test, project.id);
  const submitted = await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: SAYS });
  const task = await live.task(submitted.body.taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  await live.workspace("stopped");

  const used = new Set<string>();
  for (const { method, path, body, status, answer } of exchanges) {
    const [name, endpoint] = endpointOf(method, path);
    used.add(name);
    if (method !== "GET") assertFits(endpoint.body, body, `the body of ${name}`);
    if (status === endpoint.status) assertFits(endpoint.answer, answer, `the answer of ${name}`);
  }
  const spoken = [
    "registerNode",
    "heartbeat",
    "runtime",
    "reportWorkspace",
    "reportTurn",
    "postMessages",
    "taskCallback",
  ];
  assertEquals(spoken.filter((name) => !used.has(name)), []);
});

Deno.test("an agent of the previous protocol number registers, keeps its link, delivers, and gets work", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  test.edge.protocol = { min: PROTOCOL, max: PROTOCOL + 1 };
  await agent.unlink();
  await agent.link();
  assertEquals((await running.post(running.batch("still here"))).status, 200);
  assertEquals((await agent.heartbeat()).body.fenced, undefined);
  const more = await test.admin.call(`POST /api/projects/${running.projectId}/tasks/submit`, { description: "more" });
  const started = await agent.command("workspace.start");
  const runtime = await agent.runtime(started.workspaceId);
  assertEquals(runtime.taskId, more.body.taskId);
  const late = await agent.messages(started.workspaceId, [newMessage(runtime.chatSessionId!, "from an older agent")]);
  assertEquals(late.body.persisted, 1);
  assertEquals((await test.admin.call("GET /api/version")).body.protocolMin, PROTOCOL);
});

Deno.test("an agent that is too old is told so, gets no work, and its messages still come", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  test.edge.protocol = { min: PROTOCOL + 1, max: PROTOCOL + 2 };
  test.provider.onCreate = () => {};
  await agent.unlink();
  const told = agent.link();
  assertEquals(await Promise.race([told.then(() => "greeted"), agent.refused]), "upgrade_required");
  await agent.unlink();
  assertEquals((await running.post(running.batch("what it had to say"))).status, 200);
  assertEquals((await agent.heartbeat()).status, 200);
  const other = new FakeAgent(test.url, agent.nodeId);
  const refused = await other.register("x".repeat(40));
  assert([401, 426].includes(refused.status));
  await test.admin.call(`POST /api/projects/${running.projectId}/tasks/submit`, { description: "more" });
  await test.loop.settled();
  assertEquals(test.provider.servers.size, 2, "the new task gets a machine with an agent that fits");
});

function endpointOf(method: string, path: string): [string, Endpoint] {
  const found = (Object.entries(endpoints) as [string, Endpoint][]).find(([, endpoint]) => {
    const pattern = endpoint.path.replaceAll(/:\w+/g, "[^/]+");
    return endpoint.method === method && new RegExp(`^${pattern}$`).test(path.split("?")[0]!);
  });
  assert(found, `${method} ${path} is no endpoint`);
  return found;
}

/** Parsing takes nothing away, so the other end has said nothing that this one does not know. */
function assertFits(schema: Endpoint["body"], value: unknown, what: string): void {
  const parsed = schema.safeParse(value ?? {});
  assert(parsed.success, `${what}: ${parsed.error?.message}`);
  assertEquals(parsed.data, value ?? {}, what);
}

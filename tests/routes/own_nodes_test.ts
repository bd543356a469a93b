/** The list of machines: those that exist, and the work on them for those who may open it. */
import { assertEquals } from "@std/assert";
import { memberKey } from "../../lib/store/keys.ts";
import { listNodes } from "../../lib/store/nodes.ts";
import { startTestEdge } from "../edge.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";

Deno.test("a machine's owner sees which tasks are on it, unless the project is not open to them any more", async () => {
  await using running = await startRunningTask({}, "Mend the lamp");
  const { test, projectId, taskId, sessionId } = running;
  const tasks = async () =>
    (await test.admin.call("GET /api/nodes")).body.items.map((node: { tasks: unknown }) => node.tasks);
  assertEquals(await tasks(), [[{ id: taskId, title: "Mend the lamp", projectId, sessionId }]]);
  await test.edge.store.kv.delete(memberKey(projectId, test.admin.user.id));
  assertEquals(await tasks(), [[]]);
});

Deno.test("a machine that exists is listed however many came after it, and of those that are gone the last", async () => {
  const env = { AGENT_BINARY_URL_X64: "https://downloads.example.org/agent", AGENT_BINARY_SHA256_X64: "ab".repeat(32) };
  await using test = await startTestEdge({ env });
  const ids: string[] = [];
  for (let n = 0; n < 4; n++) ids.push((await test.admin.call("POST /api/nodes", {})).body.node.id);
  const [first, second, third, fourth] = ids;
  for (const id of [second, third, fourth]) await test.admin.call(`DELETE /api/nodes/${id}`);
  await test.loop.settled();
  const listed = await listNodes(test.edge.store, test.admin.user.id, 2);
  assertEquals(listed.map(({ id, status }) => [id, status]), [
    [fourth, "destroyed"],
    [third, "destroyed"],
    [first, "provisioning"],
  ]);
  assertEquals((await test.admin.call("GET /api/nodes")).body.items.map((node: { id: string }) => node.id), [
    fourth,
    third,
    second,
    first,
  ]);
});

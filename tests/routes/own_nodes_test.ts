/** The list of machines names the work on them, for those who may open it. */
import { assertEquals } from "@std/assert";
import { memberKey } from "../../lib/store/keys.ts";
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

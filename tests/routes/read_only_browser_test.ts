/** Messages are written by agents alone: whoever is signed in, in a browser or with an API key, only reads them. */
import { assertEquals } from "@std/assert";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { newMessage } from "../fakes/agent.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { World } from "./world.ts";

Deno.test("T028 a person's key and cookie write no message, not even in their own session", async () => {
  await using running = await startRunningTask();
  const { test, session, workspaceId } = running;
  await running.post(running.batch("said by the agent"));
  const before = await running.messages();
  const login = await test.admin.call("POST /api/auth/login", { apiKey: test.admin.key });
  const cookie = login.headers.get("set-cookie")!.split(";")[0]!;
  const ways: HeadersInit[] = [{ authorization: `Bearer ${test.admin.key}` }, { cookie, origin: test.url }];
  const message = newMessage(running.sessionId, "said by the browser");
  const tries: [string, string, unknown][] = [
    ["POST", `/api/workspaces/${workspaceId}/messages`, { messages: [message] }],
    ["POST", `${session}/messages`, message],
    ["PUT", `${session}/messages/2`, message],
    ["PATCH", `${session}/messages/2`, { content: "said otherwise" }],
    ["DELETE", `${session}/messages/2`, undefined],
  ];
  for (const headers of ways) {
    for (const [method, path, body] of tries) {
      const response = await fetch(test.url + path, {
        method,
        headers: { ...headers, "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      await response.body?.cancel();
      const expected = path.includes("/workspaces/") ? [401, 403] : [404, 405];
      assertEquals(expected.includes(response.status), true, `${method} ${path} answered ${response.status}`);
    }
  }
  assertEquals(await running.messages(), before);
});

Deno.test("T028 none of a person's calls stores a message of the agent's kinds", async () => {
  await using world = await World.make();
  const roles = async () => {
    const kept: Record<string, number> = {};
    for await (const { value } of world.kv.list<{ role: string }>({ prefix: ["message"] })) {
      if (value.role !== "user" && value.role !== "system") kept[value.role] = (kept[value.role] ?? 0) + 1;
    }
    return kept;
  };
  const before = await roles();
  const writing = Object.values(endpoints).filter(({ caller, method }) => caller === "user" && method !== "GET");
  for (const endpoint of writing.filter(({ method }) => method !== "DELETE")) {
    await world.call(endpoint, { body: JSON.stringify(world.fullSample(endpoint)) });
  }
  assertEquals(await roles(), before);
});

/** Limits of callers at the real endpoints: who is told to wait, for how long, and whom it does not touch. */
import { assert, assertEquals } from "@std/assert";
import type { Edge } from "../../../lib/edge.ts";
import { readWindow } from "../../../lib/store/windows.ts";
import { startTestEdge } from "../../edge.ts";
import { startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "../live/follower.ts";
import { Browser } from "./fixture.ts";

/** Stops the clock that the limits look at; the function that comes back lets time pass. */
function stopClock(edge: Edge): (ms: number) => void {
  let now = Date.now();
  edge.clock = () => now;
  return (ms) => now += ms;
}

Deno.test("a user who asks too fast waits, is told for how long, and nobody else does", async () => {
  await using test = await startTestEdge({ env: { RATE_USER_PER_SECOND: "1", RATE_USER_BURST: "5" } });
  const pass = stopClock(test.edge);
  const user = await test.addUser("hasty");
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await user.call("GET /api/me")).status);
  assertEquals(statuses, [200, 200, 200, 200, 200, 429]);
  const refused = await user.call("GET /api/me");
  assertEquals([refused.body.error, refused.headers.get("retry-after")], ["rate_limited", "1"]);
  assertEquals((await test.admin.call("GET /api/me")).status, 200);
  await using socket = SocketFollower.on(test, "/api/ws", user);
  assertEquals(await socket.end(), 429);
  pass(1_000);
  assertEquals((await user.call("GET /api/me")).status, 200);
  assertEquals((await user.call("GET /api/me")).status, 429);
});

Deno.test("who is nobody has the limit of their address, and does not use up a user's", async () => {
  const env = { RATE_ANONYMOUS_PER_SECOND: "1", RATE_ANONYMOUS_BURST: "3" };
  await using test = await startTestEdge({ env });
  stopClock(test.edge);
  const status = async (path: string) => {
    const response = await fetch(test.url + path, { headers: { authorization: "Bearer hk_guess_guess_guess_guess" } });
    await response.body?.cancel();
    return [response.status, response.headers.get("retry-after")];
  };
  assertEquals(await status("/api/me"), [401, null]);
  assertEquals(await status("/api/version"), [200, null]);
  assertEquals(await status("/api/projects"), [401, null]);
  assertEquals(await status("/api/me"), [429, "1"]);
  assertEquals(await status("/api/version"), [429, "1"]);
  assertEquals((await test.admin.call("GET /api/me")).status, 200);
});

Deno.test("failed sign-ins are counted in the store, in both ways in, and end in a wait; good ones are not", async () => {
  await using test = await startTestEdge({ env: { RATE_SIGN_IN_PER_15_MIN: "4" } });
  for (let i = 0; i < 6; i++) assertEquals((await new Browser(test).signIn(test.admin.key)).status, 200);
  for (let i = 0; i < 2; i++) assertEquals((await new Browser(test).signIn("hk_wrong")).status, 401);
  const form = async () => {
    const response = await fetch(`${test.url}/signin`, {
      method: "POST",
      body: new URLSearchParams({ apiKey: "hk_wrong" }),
    });
    await response.body?.cancel();
    return [response.status, Number(response.headers.get("retry-after"))];
  };
  assertEquals([await form(), await form()], [[401, 0], [401, 0]]);
  const refused = await new Browser(test).signIn(test.admin.key);
  assertEquals([refused.status, refused.body.error], [429, "rate_limited"]);
  assert(Number(refused.headers.get("retry-after")) > 60);
  assertEquals((await form())[0], 429);
  assert((await form())[1]! > 60);
  const subject = { kind: "signIn", subject: "127.0.0.1", lengthMs: 15 * 60_000, now: test.edge.clock() };
  assertEquals(await readWindow(test.edge.store, subject), 4);
  assertEquals((await test.admin.call("GET /api/me")).status, 200, "who is signed in stays so");
  test.skewMs += 15 * 60_000;
  assertEquals((await new Browser(test).signIn(test.admin.key)).status, 200);
});

Deno.test("failed registrations and renewals are counted together and end in a wait", async () => {
  await using test = await startTestEdge({ env: { RATE_SIGN_IN_PER_15_MIN: "4" } });
  const nodeId = crypto.randomUUID();
  const post = async (path: string, body: unknown) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(test.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    return (await response.json()).error;
  };
  const register = () =>
    post("/api/nodes/register", {
      nodeId,
      bootstrapToken: "b".repeat(43),
      nonce: "n".repeat(43),
      agentVersion: "1",
      protocol: 1,
      capabilities: { codingAgents: [] },
    });
  const renew = () => post(`/api/nodes/${nodeId}/token`, { nodeSecret: "s".repeat(43) });
  assertEquals([await register(), await renew(), await register(), await renew()], Array(4).fill("unauthorized"));
  assertEquals([await register(), await renew()], ["rate_limited", "rate_limited"]);
  assertEquals((await new Browser(test).signIn(test.admin.key)).status, 200, "signing in has a count of its own");
});

Deno.test("runs are counted by the hour and by the user", async () => {
  await using test = await startTestEdge({ env: { RATE_RUNS_PER_HOUR: "3" }, still: true });
  const { id } = await test.addProject();
  const submit = () => test.admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "x" });
  for (let i = 0; i < 3; i++) assertEquals((await submit()).status, 202);
  const refused = await submit();
  assertEquals([refused.status, refused.body.error], [429, "rate_limited"]);
  assert(Number(refused.headers.get("retry-after")) > 0);
  assertEquals((await test.admin.call(`GET /api/projects/${id}/tasks`)).body.items.length, 3);
  test.skewMs += 3_600_000;
  assertEquals((await submit()).status, 202);
});

Deno.test("a node that calls too fast waits, and its messages come later", async () => {
  await using running = await startRunningTask({ env: { RATE_NODE_PER_SECOND: "1", RATE_NODE_BURST: "20" } });
  const pass = stopClock(running.test.edge);
  const answers = [];
  for (let i = 0; i < 25; i++) answers.push(await running.post(running.batch(`${i}`)));
  const refused = answers.filter((answer) => answer.status === 429);
  assert(refused.length > 0 && refused.every((answer) => answer.headers.get("retry-after") === "1"));
  pass(60_000);
  assertEquals((await running.post(running.batch("later"))).status, 200);
});

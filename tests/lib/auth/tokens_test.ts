/** The tokens of nodes and workspaces at the real endpoints: what opens which door, and what opens none. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { SignJWT } from "jose";
import { signNodeToken, signWorkspaceToken, TOKEN_LIFE_S, verifyNodeToken } from "../../../lib/auth/tokens.ts";
import { readKeyring } from "../../../lib/auth/tokens.ts";
import { AppError } from "../../../lib/errors.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import { startTestEdge } from "../../edge.ts";
import { FakeAgent, newMessage } from "../../fakes/agent.ts";
import { type RunningTask, startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "../live/follower.ts";

async function call(running: RunningTask, request: `${"GET" | "POST"} /${string}`, token: string, body?: unknown) {
  const [method, path] = request.split(" ") as [string, string];
  const response = await fetch(running.test.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, error: (await response.json()).error as string | undefined };
}

const BEAT = { load: 0, workspaces: [], outboxDepth: 0, deadLetters: 0, dropped: 0, clock: new Date().toISOString() };

Deno.test("a token opens its own door and no other", async () => {
  await using running = await startRunningTask();
  const { agent, workspaceId } = running;
  const node = agent.registered!.callbackToken;
  const workspace = await agent.workspaceToken(workspaceId);
  const [runtime, heartbeat] = [
    `GET /api/workspaces/${workspaceId}/runtime`,
    `POST /api/nodes/${agent.nodeId}/heartbeat`,
  ] as const;
  assertEquals((await call(running, runtime, workspace)).status, 200);
  assertEquals((await call(running, heartbeat, node, BEAT)).status, 200);
  assertEquals((await call(running, runtime, node)).status, 401);
  assertEquals((await call(running, heartbeat, workspace, BEAT)).status, 401);
  for (const token of [node, workspace]) {
    assertEquals((await call(running, "GET /api/me", token)).status, 401);
    assertEquals((await call(running, "GET /api/projects", token)).status, 401);
  }
  const key = running.test.admin.key;
  assertEquals([(await call(running, runtime, key)).status, (await call(running, heartbeat, key, BEAT)).status], [
    401,
    401,
  ]);
});

Deno.test("a forged token is 401 whatever it claims", async () => {
  await using running = await startRunningTask();
  const { agent, test, workspaceId } = running;
  const [{ kid, secret }] = test.edge.keyring.keys as [{ kid: string; secret: Uint8Array }];
  const now = Math.floor(test.edge.clock() / 1_000);
  const claims = { node: agent.nodeId, generation: 1, workspace: workspaceId, run: 1 };
  const sign = (change: {
    alg?: string;
    kid?: string;
    secret?: Uint8Array;
    audience?: string;
    issuer?: string;
    exp?: number | null;
    claims?: Record<string, unknown>;
  }) => {
    const jwt = new SignJWT(change.claims ?? claims).setProtectedHeader({
      alg: change.alg ?? "HS256",
      kid: change.kid ?? kid,
    })
      .setIssuer(change.issuer ?? "hearth").setAudience(change.audience ?? "workspace-callback").setIssuedAt(now);
    if (change.exp !== null) jwt.setExpirationTime(change.exp ?? now + 60);
    return jwt.sign(change.secret ?? secret);
  };
  const good = await sign({});
  const [header, payload, signature] = good.split(".") as [string, string, string];
  const none = btoa(JSON.stringify({ alg: "none", kid })).replaceAll("=", "");
  const forged: Record<string, string> = {
    "no algorithm": `${none}.${payload}.`,
    "no algorithm, old signature": `${none}.${payload}.${signature}`,
    "another algorithm": await sign({ alg: "HS512" }),
    "another secret": await sign({ secret: new TextEncoder().encode("x".repeat(43)) }),
    "an unknown key id": await sign({ kid: "k9" }),
    "another audience": await sign({ audience: "node-callback" }),
    "another issuer": await sign({ issuer: "somebody" }),
    "expired": await sign({ exp: now - 1 }),
    "no expiry": await sign({ exp: null }),
    "no node": await sign({ claims: { generation: 1, workspace: workspaceId, run: 1 } }),
    "a node that is a number": await sign({ claims: { ...claims, node: 7 } }),
    "no generation": await sign({ claims: { node: agent.nodeId, workspace: workspaceId, run: 1 } }),
    "no workspace": await sign({ claims: { node: agent.nodeId, generation: 1 } }),
    "another payload": `${header}.${
      btoa(JSON.stringify({ ...claims, exp: now + 60 })).replaceAll("=", "")
    }.${signature}`,
    "half of it": good.slice(0, good.length / 2),
    "garbage": "a.b.c",
    "dots": "...",
  };
  const path = `POST /api/workspaces/${workspaceId}/messages` as const;
  const body = { messages: [newMessage(running.sessionId, "x")] };
  for (const [what, token] of Object.entries(forged)) {
    const answer = await call(running, path, token, body);
    assertEquals([answer.status, answer.error], [401, "unauthorized"], what);
  }
  assertEquals((await call(running, path, good, body)).status, 200);
});

Deno.test("a token ends after a day; the node's secret gives new ones as long as the node lives", async () => {
  await using running = await startRunningTask();
  const { agent, test, workspaceId } = running;
  const token = await agent.workspaceToken(workspaceId);
  const path = `GET /api/workspaces/${workspaceId}/runtime` as const;
  test.skewMs = TOKEN_LIFE_S * 1_000 - 60_000;
  assertEquals((await call(running, path, token)).status, 200);
  test.skewMs = TOKEN_LIFE_S * 1_000 + 60_000;
  assertEquals((await call(running, path, token)).error, "unauthorized");
  const renewed = await fetch(`${test.url}/api/nodes/${agent.nodeId}/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      nodeSecret: agent.registered!.nodeSecret,
      workspaceIds: [workspaceId, crypto.randomUUID(), running.taskId],
    }),
  });
  assertEquals([renewed.status, renewed.headers.get("cache-control")], [200, "no-store"]);
  const { workspaceTokens } = await renewed.json();
  assertEquals(Object.keys(workspaceTokens), [workspaceId]);
  assertEquals((await call(running, path, workspaceTokens[workspaceId])).status, 200);
});

Deno.test("a token of another node or workspace is 403, of one that is gone 404", async () => {
  await using running = await startRunningTask();
  const { agent, test, workspaceId } = running;
  const { keyring, clock } = test.edge;
  const other = crypto.randomUUID();
  const now = clock();
  const nodeToken = await signNodeToken(keyring, { node: other, generation: 1 }, now);
  const beatOf = (id: string) => `POST /api/nodes/${id}/heartbeat` as const;
  assertEquals((await call(running, beatOf(agent.nodeId), nodeToken, BEAT)).error, "forbidden");
  assertEquals((await call(running, beatOf(other), nodeToken, BEAT)).error, "not_found");
  const claims = { node: other, generation: 1, workspace: workspaceId, run: 1 };
  const moved = await signWorkspaceToken(keyring, claims, now);
  assertEquals((await call(running, `GET /api/workspaces/${workspaceId}/runtime`, moved)).error, "not_found");
  const foreign = await signWorkspaceToken(keyring, { ...claims, workspace: other }, now);
  assertEquals((await call(running, `GET /api/workspaces/${workspaceId}/runtime`, foreign)).error, "forbidden");
});

Deno.test("a task is reported by its own workspace only, and in its own project", async () => {
  await using running = await startRunningTask();
  const { test, agent, workspaceId, projectId, taskId } = running;
  const other = (await test.admin.call("POST /api/workspaces", { projectId })).body;
  const callback = (p: string, t: string) => `POST /api/projects/${p}/tasks/${t}/status/callback` as const;
  const body = { toStatus: "failed", errorMessage: "no" };
  const report = async (w: string, p: string, t: string) =>
    await call(running, callback(p, t), await agent.workspaceToken(w), body);
  assertEquals((await report(other.id, projectId, taskId)).status, 200, "a workspace without a task: no effect");
  assertEquals((await report(workspaceId, projectId, crypto.randomUUID())).error, "forbidden");
  assertEquals((await report(workspaceId, crypto.randomUUID(), taskId)).error, "forbidden");
  assertEquals((await test.admin.call(`GET /api/projects/${projectId}/tasks/${taskId}`)).body.status, "in_progress");
});

Deno.test("a token of an old generation still delivers messages and heartbeats, and is fenced from all else", async () => {
  await using running = await startRunningTask();
  const { agent, test, workspaceId, projectId, taskId } = running;
  const { kv } = test.edge.store;
  const token = await agent.workspaceToken(workspaceId);
  const entry = await kv.get<NodeRecord>(nodeKey(agent.nodeId));
  await kv.set(entry.key, { ...entry.value!, generation: entry.value!.generation + 1 });
  assertEquals((await running.post(running.batch("data"))).body.persisted, 1);
  const beat = await agent.heartbeat();
  assertEquals([beat.status, beat.body.fenced, beat.body.wanted], [200, true, []]);
  assertEquals([beat.body.callbackToken, beat.body.workspaceTokens], [undefined, undefined]);
  const fenced = [
    call(running, `GET /api/workspaces/${workspaceId}/runtime`, token),
    call(running, `POST /api/workspaces/${workspaceId}/status`, token, { status: "ready" }),
    call(running, `POST /api/workspaces/${workspaceId}/turns`, token, { promptId: running.taskId, event: "ended" }),
    call(running, `POST /api/projects/${projectId}/tasks/${taskId}/status/callback`, token, { toStatus: "completed" }),
  ];
  for (const answer of await Promise.all(fenced)) assertEquals([answer.status, answer.error], [410, "node_fenced"]);
  await using link = SocketFollower.on(test, `/api/nodes/${agent.nodeId}/control`, {
    key: agent.registered!.callbackToken,
  });
  assertEquals(await link.end(), 410);
});

Deno.test("keys can be replaced: the first signs, all verify", async () => {
  const [old, both] = [readKeyring("a".repeat(40)), readKeyring(`new:${"b".repeat(40)},${"a".repeat(40)}`)];
  const now = Date.now();
  const token = await signNodeToken(both, { node: "n", generation: 1 }, now);
  assertEquals(await verifyNodeToken(both, token, now), { node: "n", generation: 1 });
  await assertRejects(() => verifyNodeToken(old, token, now), AppError, "not valid");
});

Deno.test("a one-time token belongs to the first nonce that shows it", async () => {
  await using test = await startTestEdge();
  const spec = Promise.withResolvers<{ nodeId: string; bootstrapToken: string }>();
  test.provider.onCreate = (given) => spec.resolve(given);
  const { id } = await test.addProject();
  await test.admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "x" });
  const { nodeId, bootstrapToken } = await spec.promise;
  const agent = new FakeAgent(test.url, nodeId);

  assertEquals((await agent.register("t".repeat(43))).body.error, "unauthorized");
  const first = await agent.register(bootstrapToken);
  const again = await agent.register(bootstrapToken);
  assertEquals([first.status, again.status], [200, 200]);
  assertEquals(again.body.nodeSecret, first.body.nodeSecret);
  assertNotEquals(first.body.nodeSecret, bootstrapToken);

  const thief = new FakeAgent(test.url, nodeId);
  const refused = await thief.register(bootstrapToken);
  assertEquals([refused.status, refused.body.error], [401, "unauthorized"]);
  assert(test.log.some((line) => line.event === "node_register_refused" && line.spent === true));
  const elsewhere = new FakeAgent(test.url, crypto.randomUUID());
  assertEquals((await elsewhere.register(bootstrapToken)).status, 401);
  const text = JSON.stringify(test.log);
  assert(!text.includes(bootstrapToken) && !text.includes(first.body.nodeSecret));
});

Deno.test("of many who show a one-time token at once with their own nonces, one gets in", async () => {
  await using test = await startTestEdge();
  const spec = Promise.withResolvers<{ nodeId: string; bootstrapToken: string }>();
  test.provider.onCreate = (given) => spec.resolve(given);
  const { id } = await test.addProject();
  await test.admin.call(`POST /api/projects/${id}/tasks/submit`, { description: "x" });
  const { nodeId, bootstrapToken } = await spec.promise;
  const agents = Array.from({ length: 8 }, () => new FakeAgent(test.url, nodeId));
  const answers = await Promise.all(agents.map((agent) => agent.register(bootstrapToken)));
  assertEquals(answers.map((answer) => answer.status).toSorted(), [200, ...Array<number>(7).fill(401)]);
});

Deno.test("a one-time token ends after 30 minutes", async () => {
  await using test = await startTestEdge({ still: true });
  const spec = Promise.withResolvers<{ nodeId: string; bootstrapToken: string }>();
  test.provider.onCreate = (given) => spec.resolve(given);
  const { id } = await test.addProject();
  await test.admin.call("POST /api/workspaces", { projectId: id });
  const { nodeId, bootstrapToken } = await spec.promise;
  test.skewMs = 30 * 60_000;
  assertEquals((await new FakeAgent(test.url, nodeId).register(bootstrapToken)).status, 401);
  test.skewMs = 29 * 60_000;
  assertEquals((await new FakeAgent(test.url, nodeId).register(bootstrapToken)).status, 200);
});

Deno.test("a wrong node secret gets no token, and an agent of another protocol is told to upgrade", async () => {
  await using running = await startRunningTask();
  const { test, agent } = running;
  const post = async (path: string, body: unknown) => {
    const response = await fetch(test.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, error: (await response.json()).error };
  };
  const secret = agent.registered!.nodeSecret;
  for (const nodeSecret of [`${secret.slice(0, -1)}x`, "h".repeat(67)]) {
    assertEquals((await post(`/api/nodes/${agent.nodeId}/token`, { nodeSecret })).error, "unauthorized");
  }
  assertEquals((await post(`/api/nodes/${crypto.randomUUID()}/token`, { nodeSecret: secret })).error, "unauthorized");
  const register = {
    nodeId: agent.nodeId,
    bootstrapToken: "b".repeat(43),
    nonce: "n".repeat(43),
    agentVersion: "9",
    protocol: 99,
    capabilities: { codingAgents: [] },
  };
  assertEquals(await post("/api/nodes/register", register), { status: 426, error: "upgrade_required" });
});

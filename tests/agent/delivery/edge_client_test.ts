import { assert, assertEquals, assertRejects } from "@std/assert";
import { EdgeClient, EdgeRefusal, NetworkError, readRetryAfter } from "../../../agent/delivery/edge_client.ts";
import { FakeEdge, NODE, NODE_SECRET, problemOf } from "../../fakes/edge_server.ts";
import { OTHER_WORKSPACE, silent, withDataDir, WORKSPACE } from "../store/fixture.ts";
import { makeClient } from "./fixture.ts";

const PATH = `/api/workspaces/${WORKSPACE}/status`;

function withClient(work: (client: EdgeClient, edge: FakeEdge) => Promise<void>, timeoutMs?: number): Promise<void> {
  return withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    await work(await makeClient(dataDir, edge, timeoutMs), edge);
  });
}

Deno.test("a workspace without a token gets one with the node's secret, and keeps it", () =>
  withClient(async (client, edge) => {
    for (let time = 0; time < 2; time++) {
      const answer = await client.request({ method: "POST", path: PATH, body: { status: "ready" }, as: WORKSPACE });
      assertEquals([answer.status, answer.body], [200, { ok: true }]);
    }
    assertEquals(edge.seen("/token").map((request) => request.body), [
      { nodeSecret: NODE_SECRET, workspaceIds: [WORKSPACE] },
    ]);
  }));

Deno.test("a 401 renews once and sends again; callers at the same time share the renewal", () =>
  withClient(async (client, edge) => {
    await client.renew([WORKSPACE, OTHER_WORKSPACE]);
    edge.expireTokens();
    const answers = await Promise.all(
      [WORKSPACE, OTHER_WORKSPACE, WORKSPACE, "node"].map((as) => client.request({ method: "POST", path: PATH, as })),
    );
    assertEquals(answers.map((answer) => answer.status), [200, 200, 200, 200]);
    assert(edge.seen("/token").length <= 3, "one before, and at most two for the four callers");
  }));

Deno.test("a 401 that a new token does not cure is the answer", () =>
  withClient(async (client, edge) => {
    edge.script = ({ path }) => path === PATH ? problemOf(401, "unauthorized") : undefined;
    const answer = await client.request({ method: "POST", path: PATH, as: WORKSPACE });
    assertEquals(answer.status, 401);
    assertEquals(edge.seen("/status").length, 2);
  }));

Deno.test("a renewal that is refused looks like a 401, one that fails like a network error", () =>
  withClient(async (client, edge) => {
    edge.script = ({ path }) => path.endsWith("/token") ? problemOf(404, "not_found") : undefined;
    assertEquals((await client.request({ method: "POST", path: PATH, as: WORKSPACE })).status, 401);
    edge.script = ({ path }) => path.endsWith("/token") ? problemOf(503, "store_busy") : undefined;
    await assertRejects(() => client.request({ method: "POST", path: PATH, as: WORKSPACE }), NetworkError, "503");
    edge.script = () => undefined;
    assertEquals((await client.request({ method: "POST", path: PATH, as: WORKSPACE })).status, 200);
  }));

Deno.test("a body that never ends is a network error after the time-out, and says nothing secret", () =>
  withClient(async (client, edge) => {
    await client.renew([WORKSPACE]);
    edge.script = () => new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array([123])) }));
    const error = await assertRejects(() => client.request({ method: "GET", path: PATH, as: WORKSPACE }), NetworkError);
    assertEquals(error.message, `GET ${PATH} failed: no answer in time`);
    assert(!Deno.inspect(error).includes("token-"));
  }, 80));

Deno.test("a caller can give up", () =>
  withClient(async (client, edge) => {
    const given = new AbortController();
    const held = Promise.withResolvers<undefined>();
    edge.script = () => (given.abort(new Error("given up")), held.promise);
    const request = client.requestOpenly({ method: "GET", path: PATH, signal: given.signal });
    await assertRejects(() => request, NetworkError, "given up");
    held.resolve(undefined);
  }));

Deno.test("the runtime of a workspace is checked, and a refusal carries its status", () =>
  withClient(async (client, edge) => {
    edge.script = ({ path }) => path.endsWith("/runtime") ? problemOf(410, "node_fenced") : undefined;
    const refusal = await assertRejects(() => client.runtime(WORKSPACE), EdgeRefusal, "410");
    assertEquals((refusal as EdgeRefusal).status, 410);
    edge.script = ({ path }) => path.endsWith("/runtime") ? Response.json({ workspaceId: 1 }) : undefined;
    await assertRejects(() => client.runtime(WORKSPACE), NetworkError, "something else");
  }));

Deno.test("a node that is not registered asks for nothing", () =>
  withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    const config = { controlPlaneUrl: edge.url, nodeId: NODE, dataDir, msgHttpTimeoutMs: 1_000 };
    const client = new EdgeClient({ config, log: silent });
    assertEquals(await client.nodeToken(), null);
    assertEquals(edge.requests, []);
  }));

Deno.test("Retry-After is read as seconds or a date, within limits", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assertEquals(readRetryAfter("3", now), 3_000);
  assertEquals(readRetryAfter("Thu, 01 Jan 2026 00:00:05 GMT", now), 5_000);
  assertEquals(readRetryAfter("Thu, 01 Jan 2025 00:00:05 GMT", now), 0);
  assertEquals(readRetryAfter("999999", now), 600_000);
  assertEquals(readRetryAfter("soon", now), undefined);
  assertEquals(readRetryAfter(null, now), undefined);
});

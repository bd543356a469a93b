import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import { enrol, EnrolmentRefused, type EnrolOptions } from "../../../agent/node/enrol.ts";
import { registerNode } from "../../../lib/wire/node.ts";
import { FakeEdge, NODE, NODE_SECRET, problemOf } from "../../fakes/edge_server.ts";
import { recordingLogger, silent, withDataDir } from "../store/fixture.ts";

const BOOTSTRAP = "bootstrap-token-of-one-node";

function withEnrolment(
  work: (
    bench: { edge: FakeEdge; dataDir: string; make: (change?: Partial<EnrolOptions>) => EnrolOptions },
  ) => Promise<void>,
): Promise<void> {
  return withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    const make = (change: Partial<EnrolOptions> = {}): EnrolOptions => ({
      config: { nodeId: NODE, dataDir, bootstrapToken: BOOTSTRAP, isolateWorkspaces: false },
      edge: new EdgeClient({
        config: { nodeId: NODE, dataDir, controlPlaneUrl: edge.url, msgHttpTimeoutMs: 5_000 },
        log: silent,
      }),
      codingAgents: () => Promise.resolve(["demo"]),
      log: silent,
      ...change,
    });
    await work({ edge, dataDir, make });
  });
}

Deno.test("a node registers with its one-time token, and keeps the secret where only its user can read it", () =>
  withEnrolment(async ({ edge, dataDir, make }) => {
    const options = make();
    const identity = await enrol(options);
    assertEquals([identity.nodeSecret, identity.heartbeatMs], [NODE_SECRET, edge.heartbeatMs]);
    const body = registerNode.parse(edge.seen("/register")[0]!.body);
    assertEquals([body.nodeId, body.bootstrapToken, body.capabilities.codingAgents], [NODE, BOOTSTRAP, ["demo"]]);
    assertEquals((await Deno.stat(join(dataDir, "node.json"))).mode! & 0o777, 0o600);
    // The callback token that came with the answer is used.
    assertEquals((await options.edge.request({ method: "GET", path: "/api/x", as: "node" })).status, 200);
    assertEquals(edge.seen("/token"), []);
  }));

Deno.test("after a restart the secret is enough: no token, no registration", () =>
  withEnrolment(async ({ edge, dataDir, make }) => {
    await enrol(make());
    const config = { nodeId: NODE, dataDir, bootstrapToken: null, isolateWorkspaces: false };
    const options = make({ config });
    assertEquals((await enrol(options)).nodeSecret, NODE_SECRET);
    assertEquals(edge.seen("/register").length, 1);
    assertEquals((await options.edge.request({ method: "GET", path: "/api/x", as: "node" })).status, 200);
  }));

Deno.test("when the answer is lost the same nonce asks again, also after a restart", () =>
  withEnrolment(async ({ edge, make }) => {
    let lost = 0;
    const stop = new AbortController();
    edge.script = ({ path, body }) => {
      if (!path.endsWith("/register") || lost > 0) return undefined;
      lost++;
      edge.nonce = registerNode.parse(body).nonce;
      stop.abort(new Error("killed"));
      return problemOf(502, "internal_error");
    };
    await assertRejects(() => enrol(make({ signal: stop.signal })), Error, "killed");
    assertEquals((await enrol(make())).nodeSecret, NODE_SECRET);
    const nonces = edge.seen("/register").map((request) => registerNode.parse(request.body).nonce);
    assertEquals(nonces.length, 2);
    assertEquals(nonces[0], nonces[1]);
  }));

Deno.test("an edge that has no time is asked again", () =>
  withEnrolment(async ({ edge, make }) => {
    let busy = 1;
    edge.script = ({ path }) => path.endsWith("/register") && busy-- > 0 ? problemOf(503, "store_busy") : undefined;
    assertEquals((await enrol(make())).nodeSecret, NODE_SECRET);
  }));

Deno.test("a refusal ends with what the edge says and what to do, and no secret in it", () =>
  withEnrolment(async ({ edge, make }) => {
    edge.nonce = "somebody else's nonce, long enough";
    const { log, lines } = recordingLogger();
    const refusal = await assertRejects(() => enrol(make({ log })), EnrolmentRefused, "refused to register");
    assertStringIncludes(refusal.message, "new token");
    assert(!`${refusal.message}${lines.join()}`.includes(BOOTSTRAP));
  }));

Deno.test("without a token and without a secret the person is told what to set", () =>
  withEnrolment(async ({ edge, dataDir, make }) => {
    const config = { nodeId: NODE, dataDir, bootstrapToken: null, isolateWorkspaces: false };
    await assertRejects(() => enrol(make({ config })), EnrolmentRefused, "BOOTSTRAP_TOKEN");
    assertEquals(edge.requests, []);
  }));

Deno.test("an address that is no edge is told as such", () =>
  withEnrolment(async ({ edge, make }) => {
    edge.script = () => new Response("<html>welcome</html>");
    await assertRejects(() => enrol(make()), EnrolmentRefused, "not as an edge");
  }));

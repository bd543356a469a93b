import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { newSealKey } from "../../../lib/auth/seal.ts";
import { newId } from "../../../lib/ids.ts";
import { INSTALLATION_LABEL, NODE_LABEL } from "../../../lib/providers/hetzner.ts";
import { change } from "../../../lib/store/change.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import { putNode, setBeat } from "../../../lib/store/nodes.ts";
import { startTestEdge, type TestEdge } from "../../edge.ts";
import { FakeHcloud } from "../../fakes/hcloud.ts";
import { nodeRecord } from "../nodes/node_records.ts";
import { type AdminResult, runAdmin } from "./run_admin.ts";

interface Bench {
  test: TestEdge;
  fake: FakeHcloud;
  env: Record<string, string>;
  admin: (...args: string[]) => Promise<AdminResult>;
}

async function withEdge(work: (bench: Bench) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-admin-" });
  try {
    await using fake = await FakeHcloud.start();
    const env = {
      HEARTH_DATA_DIR: directory,
      HEARTH_KV: join(directory, "hearth.kv"),
      ENCRYPTION_KEY: newSealKey().replace("k1:", "old:"),
      NODE_PROVIDER: "hetzner",
      HCLOUD_URL: fake.url,
      AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
      AGENT_BINARY_SHA256_X64: "ab".repeat(32),
    };
    await using test = await startTestEdge({ env, agents: true });
    await test.admin.call("PUT /api/credentials/hetzner", { secret: fake.token });
    await work({ test, fake, env, admin: (...args) => runAdmin(args, env) });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("reap lists what nobody knows, and deletes it only when told to", () =>
  withEdge(async ({ test, fake, admin }) => {
    const labels = { [INSTALLATION_LABEL]: test.edge.store.installationId, [NODE_LABEL]: newId() };
    const lost = fake.add({ name: "hearth-lost", labels });
    fake.add({ name: "another" });
    const looked = await admin("reap");
    assertEquals(looked.code, 0, looked.err);
    assertMatch(looked.out, new RegExp(`hetzner\\s+${lost.id}\\s+\\S+\\s+would be deleted`));
    assertStringIncludes(looked.err, "--yes");
    assertEquals(fake.deleted, []);
    const reaped = await admin("reap", "--yes");
    assertEquals([reaped.code, fake.deleted], [0, [lost.id]], reaped.err);
    assertEquals(fake.servers.size, 1);
    assertStringIncludes((await admin("reap")).err, "No server that is to go");
  }));

Deno.test("reap also deletes what is to be destroyed, unless it holds messages, and one that stays stops no other", () =>
  withEdge(async ({ test, fake, admin }) => {
    const { edge } = test;
    const ownerId = test.admin.user.id;
    const leaving = async (outboxDepth: number) => {
      const id = newId();
      const labels = { [INSTALLATION_LABEL]: edge.store.installationId, [NODE_LABEL]: id };
      const server = fake.add({ name: `hearth-${id}`, labels });
      const facts = { id, ownerId, provider: "hetzner" as const, providerRef: String(server.id) };
      const node = nodeRecord({ ...facts, status: "destroying", createdAt: edge.clock(), updatedAt: edge.clock() });
      await change(edge.store, async (tx) => {
        putNode(tx, await tx.get(nodeKey(id)), node);
        const counts = { load: 0, outboxDepth, deadLetters: 0, dropped: 0, workspaces: 0 };
        setBeat(tx, node, { v: 1, at: tx.now, ...counts });
      }, edge.clock);
      return server.id;
    };
    const [first, held, last] = [await leaving(0), await leaving(3), await leaving(0)];
    const lost = fake.add({ name: "hearth-lost", labels: { [INSTALLATION_LABEL]: edge.store.installationId } });
    fake.fault(`DELETE /servers/${first}`, { kind: "refused", status: 403, code: "forbidden" });
    const { code, out, err } = await admin("reap", "--yes", "--json");
    const outcomes = JSON.parse(out).map((row: { server: string; outcome: string }) => [row.server, row.outcome]);
    assertEquals(
      new Map(outcomes),
      new Map([
        [String(first), "not deleted: the provider refused, as the log says"],
        [String(held), "spared: it holds messages that are not delivered yet"],
        [String(last), "deleted"],
        [String(lost.id), "not deleted: server 1004 at Hetzner is not one of Hearth's"],
      ]),
    );
    assertEquals([code, fake.deleted], [1, [last]], err);
  }));

Deno.test("reap says whose servers could not be listed", () =>
  withEdge(async ({ fake, admin }) => {
    fake.fault("GET /servers", { kind: "tooMany", headers: { "retry-after": "900" } });
    const { code, out, err } = await admin("reap");
    assertEquals([code, out], [1, ""]);
    assertStringIncludes(err, "The servers of admin at hetzner could not be listed: ");
    assert(!err.includes(fake.token));
  }));

Deno.test("reconcile says what it would do, and fails when the provider cannot be asked", () =>
  withEdge(async ({ test, fake, admin }) => {
    assertStringIncludes((await admin("reconcile")).err, "agree");
    fake.add({ name: "hearth-lost", labels: { [INSTALLATION_LABEL]: test.edge.store.installationId } });
    const dry = await admin("reconcile", "--dry-run", "--json");
    assertEquals(JSON.parse(dry.out)[0].finding, "no record knows it: noted, destroyed after the grace");
    fake.fault("GET /servers", { kind: "tooMany", headers: { "retry-after": "900" } });
    const failed = await admin("reconcile");
    assertEquals(failed.code, 1);
    assert(!(failed.out + failed.err).includes(fake.token));
  }));

Deno.test("reseal moves every secret to the first key, and the old key may go", () =>
  withEdge(async ({ env, test }) => {
    const fresh = newSealKey().replace("k1:", "new:");
    const both = await runAdmin(["reseal"], { ...env, ENCRYPTION_KEY: `${fresh},${env.ENCRYPTION_KEY}` });
    assertEquals([both.code, both.out], [0, '1 credential(s) were sealed anew with the key "new".\n'], both.err);
    assertEquals((await runAdmin(["reap"], { ...env, ENCRYPTION_KEY: fresh })).code, 0);
    const old = await runAdmin(["reap"], env);
    assertEquals(old.code, 78);
    assertMatch(old.err, /ENCRYPTION_KEY: it does not open what is stored/);
    assert(!old.err.includes(env.ENCRYPTION_KEY!.slice(4)));
    assertEquals((await test.admin.call("GET /api/credentials")).body.items.length, 1);
  }));

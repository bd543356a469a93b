import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parse } from "yaml";
import { newId } from "../../../lib/ids.ts";
import { INSTALLATION_LABEL, NODE_LABEL, OWNER_LABEL } from "../../../lib/providers/hetzner.ts";
import { HetznerError } from "../../../lib/providers/hetzner_error.ts";
import { ProviderError } from "../../../lib/providers/provider.ts";
import { FakeHcloud, type Fault } from "../../fakes/hcloud.ts";
import { captureLog, newHetzner, newSpec } from "./fixture.ts";

Deno.test("a server is ordered with its size, place, image, setup and all labels", async () => {
  await using fake = await FakeHcloud.start();
  const spec = newSpec({ vmSize: "medium", location: "fsn1" });
  const ref = await newHetzner(fake).create(spec, { secret: fake.token });
  const [order] = fake.orders;
  assertEquals(ref, String([...fake.servers.keys()][0]));
  assertEquals({ ...order, user_data: undefined }, {
    name: `hearth-${spec.nodeId}`,
    server_type: "cx33",
    location: "fsn1",
    image: "debian-13",
    user_data: undefined,
    start_after_create: true,
    labels: { [INSTALLATION_LABEL]: spec.installationId, [NODE_LABEL]: spec.nodeId, [OWNER_LABEL]: spec.ownerId },
  });
  assert(parse(order!.user_data!).write_files[0].content.includes(spec.bootstrapToken));
});

for (const kind of ["lostAnswer", "dropped", "html", "slow", "body"] as const) {
  Deno.test(`an order whose answer is ${kind} buys one server, not two`, async () => {
    await using fake = await FakeHcloud.start();
    const fault: Fault = kind === "html"
      ? { kind, status: 502 }
      : kind === "slow"
      ? { kind, ms: 1_500 }
      : kind === "body"
      ? { kind, text: "<html>welcome to the hotel</html>" }
      : { kind };
    fake.fault("POST /servers", fault);
    const provider = newHetzner(fake, { timeoutMs: 700 });
    const spec = newSpec();
    const ref = await provider.create(spec, { secret: fake.token });
    const ordered = fake.calls.filter((call) => call === "POST /servers").length;
    const isTaken = kind === "lostAnswer" || kind === "body" || kind === "slow";
    assertEquals(ordered, isTaken ? 1 : 2, "an order is repeated only when it was looked for and is not there");
    assertEquals(fake.orders.length, 1);
    assertEquals(fake.servers.size, 1);
    assertEquals(await provider.create(spec, { secret: fake.token }), ref, "asked again, it is the same server");
    assertEquals(fake.servers.size, 1);
  });
}

Deno.test("two processes that order the same node's server at once share one", async () => {
  await using fake = await FakeHcloud.start();
  const spec = newSpec();
  const create = () => newHetzner(fake).create(spec, { secret: fake.token });
  const refs = await Promise.all([create(), create(), create()]);
  assertEquals(new Set(refs).size, 1);
  assertEquals(fake.orders.length, 1);
});

Deno.test("a server of another's that has the name is not taken over", async () => {
  await using fake = await FakeHcloud.start();
  const spec = newSpec();
  fake.add({ name: `hearth-${spec.nodeId}` });
  await assertRejects(() => newHetzner(fake).create(spec, { secret: fake.token }), ProviderError, "has the name");
});

Deno.test("no room and no quota are worth waiting for, a wrong token is not", async () => {
  await using fake = await FakeHcloud.start();
  const provider = newHetzner(fake);
  const refusal = async (status: number, code: string) => {
    fake.fault("POST /servers", { kind: "refused", status, code });
    return await assertRejects(
      () => provider.create(newSpec(), { secret: fake.token }),
      ProviderError,
    ) as ProviderError;
  };
  assertEquals((await refusal(403, "resource_limit_exceeded")).waitable, true);
  assertEquals((await refusal(412, "resource_unavailable")).waitable, true);
  assertEquals((await refusal(412, "placement_error")).waitable, true);
  assertEquals((await refusal(422, "invalid_input")).waitable, false);
  const wrong = await assertRejects(() => provider.create(newSpec(), { secret: "another" }), ProviderError);
  assertEquals((wrong as ProviderError).waitable, false);
  assertMatch(wrong.message, /refused the API token/);
  await assertRejects(() => provider.create(newSpec(), { secret: null }), ProviderError, "no API token");
  assertEquals(fake.orders.length, 0);
});

Deno.test("calls that may be repeated survive rate limits, HTML errors and dropped connections", async () => {
  await using fake = await FakeHcloud.start();
  const provider = newHetzner(fake);
  const ref = await provider.create(newSpec(), { secret: fake.token });
  const faults: Fault[] = [
    { kind: "tooMany", headers: { "retry-after": "0" } },
    { kind: "tooMany", headers: { "ratelimit-reset": String(Math.floor(Date.now() / 1_000) - 1) } },
    { kind: "html", status: 503 },
    { kind: "dropped" },
    { kind: "lostAnswer" },
  ];
  for (const fault of faults) {
    fake.fault("GET /servers", fault);
    assertEquals((await provider.get(ref, { secret: fake.token }))?.ref, ref, fault.kind);
  }
});

Deno.test("a long rate limit is told with its time instead of being waited out", async () => {
  await using fake = await FakeHcloud.start();
  fake.fault("GET /servers", { kind: "tooMany", headers: { "retry-after": "1800" } });
  const error = await assertRejects(() => newHetzner(fake).get("1001", { secret: fake.token }), HetznerError);
  assertEquals((error as HetznerError).fault.retryAfterMs, 1_800_000);
  assertEquals((error as HetznerError).waitable, true);
});

Deno.test("a redirect is not followed, so the token goes nowhere else", async () => {
  await using fake = await FakeHcloud.start();
  await using other = await FakeHcloud.start();
  fake.fault("GET /servers", { kind: "redirect", to: `${other.url}/servers` });
  await assertRejects(() => newHetzner(fake).list(newId(), { secret: fake.token }), ProviderError);
  assertEquals(other.calls, []);
});

Deno.test("the inventory is read to its last page, and one that is not complete is none", async () => {
  await using fake = await FakeHcloud.start();
  fake.perPageMax = 3;
  const installationId = newId();
  const labels = (nodeId: string) => ({ [INSTALLATION_LABEL]: installationId, [NODE_LABEL]: nodeId });
  for (let i = 0; i < 8; i++) fake.add({ name: `hearth-${i}`, labels: labels(newId()) });
  fake.add({ name: "another", labels: { [INSTALLATION_LABEL]: newId() } });
  const provider = newHetzner(fake);
  assertEquals((await provider.list(installationId, { secret: fake.token })).length, 8);
  assertEquals(fake.calls.length, 3);
  for (let i = 0; i < 3; i++) fake.fault("GET /servers", { kind: "html", status: 500 });
  await assertRejects(() => provider.list(installationId, { secret: fake.token }), ProviderError, "error of its own");
  fake.fault("GET /servers", { kind: "body", text: `{"servers": []}` });
  await assertRejects(() => provider.list(installationId, { secret: fake.token }), ProviderError, "not complete");
});

Deno.test("a deletion resolves when the server is gone, and of a missing one at once", async () => {
  await using fake = await FakeHcloud.start();
  const provider = newHetzner(fake);
  const spec = newSpec();
  const access = { secret: fake.token };
  const ref = await provider.create(spec, access);
  fake.shownAfterDelete = 2;
  await provider.destroy(ref, access);
  assertEquals(fake.servers.size, 0);
  await provider.destroy(ref, access);
  await provider.destroy(spec.nodeId, access);
  assertEquals(fake.deleted.length, 1);
});

Deno.test("a server that was ordered but never noted is deleted by its node's name", async () => {
  await using fake = await FakeHcloud.start();
  const provider = newHetzner(fake);
  const spec = newSpec();
  await provider.create(spec, { secret: fake.token });
  await provider.destroy(spec.nodeId, { secret: fake.token });
  assertEquals(fake.servers.size, 0);
});

Deno.test("a server without our label is never deleted", async () => {
  await using fake = await FakeHcloud.start();
  const foreign = fake.add({ name: "database" });
  await assertRejects(
    () => newHetzner(fake).destroy(String(foreign.id), { secret: fake.token }),
    ProviderError,
    "not one of Hearth's",
  );
  assertEquals(fake.servers.size, 1);
});

Deno.test("the price of an hour is the provider's own, for the size and the place", async () => {
  await using fake = await FakeHcloud.start();
  const provider = newHetzner(fake);
  const access = { secret: fake.token };
  assertEquals(await provider.priceHour({ vmSize: "medium", location: "nbg1" }, access), 0.011);
  assertEquals(await provider.priceHour({ vmSize: "medium", location: "hel1" }, access), null);
  for (let i = 0; i < 3; i++) fake.fault("GET /server_types", { kind: "html", status: 500 });
  assertEquals(await provider.priceHour({ vmSize: "small", location: "nbg1" }, access), null, "no price is no failure");
});

Deno.test("the token is in no error and in no log line, whatever goes wrong", async () => {
  await using fake = await FakeHcloud.start();
  const { log, lines } = captureLog();
  const provider = newHetzner(fake, { log, timeoutMs: 400 });
  const access = { secret: fake.token };
  const faults: Fault[] = [
    { kind: "dropped" },
    { kind: "lostAnswer" },
    { kind: "html", status: 500 },
    { kind: "slow", ms: 900 },
    { kind: "redirect", to: "http://127.0.0.1:9/" },
    { kind: "tooMany", headers: { "retry-after": "3600" } },
    { kind: "body", text: "{" },
    { kind: "refused", status: 422, code: "invalid_input", message: `the header "Bearer ${fake.token}" is odd` },
  ];
  const seen: unknown[] = [];
  for (const fault of faults) {
    for (let i = 0; i < 3; i++) fake.fault("GET /servers", fault);
    for (const call of [() => provider.get("1001", access), () => provider.list(newId(), access)]) {
      await call().catch((error) => seen.push(error));
    }
    fake.fault("POST /servers", fault);
    await provider.create(newSpec(), access).catch((error) => seen.push(error));
    fake.fault("GET /server_types", fault);
    await provider.priceHour({ vmSize: "large", location: "nbg1" }, access);
  }
  assert(seen.length >= faults.length, `only ${seen.length} errors`);
  for (const error of seen) {
    log.error("test", { error, text: String(error) });
    const shown = Deno.inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error);
    assert(!shown.includes(fake.token), shown);
  }
  assert(!lines.join("\n").includes(fake.token));
  assert(seen.every((error) => error instanceof ProviderError), "every error is one for people");
});

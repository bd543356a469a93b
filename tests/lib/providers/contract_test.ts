/** What every provider promises, held against each of them. */
import { assertEquals, assertRejects } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { LocalProvider } from "../../../lib/providers/local.ts";
import { ManualProvider } from "../../../lib/providers/manual.ts";
import { type NodeProvider, type ProviderAccess, ProviderError } from "../../../lib/providers/provider.ts";
import { FakeHcloud } from "../../fakes/hcloud.ts";
import { FakeProvider } from "../../fakes/provider.ts";
import { captureLog, newHetzner, newSpec } from "./fixture.ts";

interface Candidate extends AsyncDisposable {
  provider: NodeProvider;
  access: ProviderAccess;
}

async function startLocal(): Promise<Candidate> {
  const directory = await Deno.makeTempDir();
  const provider = new LocalProvider({
    directory,
    agentCommand: ["/bin/sh", "-c", "exec sleep 600"],
    environment: { PATH: "/usr/bin:/bin" },
    log: captureLog().log,
  });
  const end = async () => {
    for (const ref of await provider.references()) await provider.destroy(ref);
    await provider[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  };
  return { provider, access: { secret: null }, [Symbol.asyncDispose]: end };
}

async function startHetzner(): Promise<Candidate> {
  const fake = await FakeHcloud.start();
  return {
    provider: newHetzner(fake),
    access: { secret: fake.token },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

function startFake(): Promise<Candidate> {
  const provider = new FakeProvider();
  return Promise.resolve({ provider, access: { secret: null }, [Symbol.asyncDispose]: () => Promise.resolve() });
}

const CANDIDATES: Record<string, () => Promise<Candidate>> = {
  local: startLocal,
  hetzner: startHetzner,
  "the tests' own": startFake,
};

for (const [name, start] of Object.entries(CANDIDATES)) {
  Deno.test(`${name}: a machine is made once, is there, is listed, goes, and going again is no error`, async () => {
    await using candidate = await start();
    const { provider, access } = candidate;
    const spec = newSpec();
    const ref = await provider.create(spec, access);
    assertEquals(await provider.create(spec, access), ref, "asked again, it is the same machine");
    assertEquals((await provider.get(ref, access))?.nodeId, spec.nodeId);
    assertEquals((await provider.list(spec.installationId, access)).map(({ ref }) => ref), [ref]);
    const other = newSpec({ installationId: spec.installationId });
    const second = await provider.create(other, access);
    await provider.destroy(ref, access);
    assertEquals(await provider.get(ref, access), null);
    assertEquals((await provider.list(spec.installationId, access)).map(({ nodeId }) => nodeId), [other.nodeId]);
    await provider.destroy(ref, access);
    await provider.destroy(second, access);
    assertEquals(await provider.list(spec.installationId, access), []);
  });

  Deno.test(`${name}: a machine that never was is not there, and is destroyed without an error`, async () => {
    await using candidate = await start();
    const { provider, access } = candidate;
    const nodeId = newId();
    assertEquals(await provider.get(nodeId, access), null);
    await provider.destroy(nodeId, access);
  });
}

for (const name of ["local", "hetzner"]) {
  Deno.test(`${name}: another installation's machines are not listed, and what is no reference is refused`, async () => {
    await using candidate = await CANDIDATES[name]!();
    const { provider, access } = candidate;
    await provider.create(newSpec(), access);
    assertEquals(await provider.list(newId(), access), []);
    await assertRejects(() => provider.destroy("../../etc", access), ProviderError, "not the reference");
  });
}

Deno.test("manual: no machine is made, none is taken for gone, and none is destroyed", async () => {
  await using provider = new ManualProvider();
  const error = await assertRejects(() => provider.create(newSpec()), ProviderError, "Add one");
  assertEquals((error as ProviderError).waitable, true);
  const ref = newId();
  assertEquals((await provider.get(ref))?.ref, ref);
  await provider.destroy();
  assertEquals(await provider.list(), []);
});

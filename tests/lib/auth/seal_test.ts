import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { checkSealKeys, newSealKey, readSealKeys, seal, unseal } from "../../../lib/auth/seal.ts";
import { ConfigError } from "../../../lib/env.ts";
import { AppError } from "../../../lib/errors.ts";
import { openStore } from "../../../lib/store/store.ts";

const OWNER = { userId: "user-1", provider: "hetzner" };
const key = (id: string) => newSealKey().replace("k1:", `${id}:`);

Deno.test("a sealed secret opens again, and is different each time", async () => {
  const keys = await readSealKeys(newSealKey());
  const [one, two] = [await seal(keys, "the sécret 🎈", OWNER), await seal(keys, "the sécret 🎈", OWNER)];
  assertEquals(await unseal(keys, one, OWNER), "the sécret 🎈");
  assertNotEquals([...one.sealed], [...two.sealed]);
  assertNotEquals([...one.iv], [...two.iv]);
  assertEquals(one.iv.length, 12);
  assert(!new TextDecoder().decode(one.sealed).includes("cret"));
});

Deno.test("a secret moved to another user or provider does not open", async () => {
  const keys = await readSealKeys(newSealKey());
  const box = await seal(keys, "secret", OWNER);
  await assertRejects(() => unseal(keys, box, { ...OWNER, userId: "user-2" }), AppError, "cannot be opened");
  await assertRejects(() => unseal(keys, box, { ...OWNER, provider: "git" }), AppError, "cannot be opened");
  const touched = { ...box, sealed: box.sealed.map((byte, i) => i === 0 ? byte ^ 1 : byte) };
  await assertRejects(() => unseal(keys, touched, OWNER), AppError, "cannot be opened");
});

Deno.test("the first key seals, all open", async () => {
  const [first, second] = [key("new"), key("old")];
  const old = await readSealKeys(second);
  const both = await readSealKeys(`${first},${second}`);
  const box = await seal(old, "secret", OWNER);
  assertEquals(await unseal(both, box, OWNER), "secret");
  const again = await seal(both, "secret", OWNER);
  assertEquals(again.kid, "new");
  await assertRejects(() => unseal(old, again, OWNER), AppError, `its key "new" is not in ENCRYPTION_KEY`);
});

Deno.test("a key that cannot work is refused at start without being repeated", async () => {
  const bad = ["", "k1", "k1:short", `k1:${btoa("x".repeat(31))}`, `${key("a")},${key("a")}`, "k1:%%%%"];
  for (const text of bad) {
    const error = await assertRejects(() => readSealKeys(text), ConfigError, "ENCRYPTION_KEY");
    assert(text.length < 6 || !error.message.includes(text.slice(3)), error.message);
  }
});

Deno.test("a store that was sealed with another key is not opened", async () => {
  const store = await openStore(":memory:");
  try {
    const [first, second] = [key("a"), key("b")];
    await checkSealKeys(store, await readSealKeys(first));
    await checkSealKeys(store, await readSealKeys(first));
    await checkSealKeys(store, await readSealKeys(`${second},${first}`));
    await assertRejects(() => readSealKeys(second).then((keys) => checkSealKeys(store, keys)), ConfigError, `"a"`);
    await assertRejects(
      () => readSealKeys(key("a")).then((keys) => checkSealKeys(store, keys)),
      ConfigError,
      "does not open",
    );
  } finally {
    store.close();
  }
});

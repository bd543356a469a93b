/** Who is signed in: API keys, cookies, links that work once, and everything that ends them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeSignInLink } from "../../../lib/auth/logins.ts";
import { sha256 } from "../../../lib/auth/hash.ts";
import { loginKey, signInLinkKey, userKey } from "../../../lib/store/keys.ts";
import { startTestEdge } from "../../edge.ts";
import { watchCommits } from "../../fakes/faulty_kv.ts";
import { Browser } from "./fixture.ts";

const DAY_MS = 24 * 3_600_000;

Deno.test("an API key is shown once, works at once, and lies in the store as a hash only", async () => {
  await using test = await startTestEdge();
  const made = await test.admin.call("POST /api/keys", { name: "laptop" });
  assertEquals([made.status, made.headers.get("cache-control")], [201, "no-store"]);
  assertMatch(made.body.key, /^hk_[\w-]{43}$/);
  const me = await test.admin.call("GET /api/me", undefined, { authorization: `Bearer ${made.body.key}` });
  assertEquals([me.status, me.body.user.login], [200, "admin"]);
  const { items } = (await test.admin.call("GET /api/keys")).body;
  assertEquals(items.map((key: { name: string }) => key.name).toSorted(), ["First admin key", "laptop"]);
  assert(items.every((key: object) => !("key" in key) && !("hash" in key)));
  assert(made.body.key.startsWith(made.body.prefix));
  for await (const entry of test.edge.store.kv.list({ prefix: [] })) {
    assert(!Deno.inspect(entry, { depth: 9 }).includes(made.body.key));
  }
  assert(!JSON.stringify(test.log).includes(made.body.key));
});

Deno.test("a wrong key, half a key and a key of nobody open nothing", async () => {
  await using test = await startTestEdge();
  const keys = [
    "",
    "hk_",
    test.admin.key.slice(0, -1),
    `${test.admin.key}x`,
    test.admin.key.toUpperCase(),
    "hk_" + "a".repeat(43),
  ];
  for (const key of keys) {
    const answer = await test.admin.call("GET /api/me", undefined, { authorization: `Bearer ${key}` });
    assertEquals([answer.status, answer.body.error], [401, "unauthorized"], key);
  }
  assertEquals((await test.admin.call("GET /api/me", undefined, { authorization: test.admin.key })).status, 401);
});

Deno.test("a user has at most 20 keys, also when they are made at once", async () => {
  await using test = await startTestEdge();
  const user = await test.addUser("collector");
  for (let i = 0; i < 16; i++) await user.call("POST /api/keys", { name: `${i}` });
  const answers = await Promise.all(Array.from({ length: 6 }, () => user.call("POST /api/keys", { name: "x" })));
  assertEquals(answers.filter((answer) => answer.status === 201).length, 3);
  assert(answers.every((answer) => answer.status === 201 || answer.body.error === "limit_reached"));
  assertEquals((await user.call("GET /api/keys")).body.items.length, 20);
});

Deno.test("the cookie is for this host alone, out of reach of scripts, and lives 30 days", async () => {
  await using test = await startTestEdge();
  const browser = new Browser(test);
  assertEquals((await browser.signIn(test.admin.key)).status, 200);
  const [pair, ...attributes] = browser.setCookie.split("; ");
  assertMatch(pair!, /^hearth_login=[\w-]{43}$/);
  assertEquals(attributes.toSorted(), ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax"]);
  test.edge.config.publicUrl = test.url.replace("http:", "https:");
  await browser.signIn(test.admin.key);
  assert(browser.setCookie.includes("; Secure"));
});

Deno.test("logging out ends the login, not only the cookie", async () => {
  await using test = await startTestEdge();
  const browser = new Browser(test);
  await browser.signIn(test.admin.key);
  const stolen = browser.cookie;
  assertEquals((await browser.call("POST", "/api/auth/logout")).status, 204);
  assertMatch(browser.setCookie, /^hearth_login=;.*Max-Age=0/);
  browser.cookie = stolen;
  assertEquals(await browser.me(), 401);
});

Deno.test("a revoked key ends the logins made with it, and no others", async () => {
  await using test = await startTestEdge();
  const { body: key } = await test.admin.call("POST /api/keys", { name: "second" });
  const [first, second] = [new Browser(test), new Browser(test)];
  await first.signIn(test.admin.key);
  await second.signIn(key.key);
  assertEquals((await test.admin.call(`DELETE /api/keys/${key.id}`)).status, 204);
  assertEquals([await first.me(), await second.me()], [200, 401]);
  assertEquals((await second.signIn(key.key)).status, 401);
  assertEquals((await test.admin.call(`DELETE /api/keys/${key.id}`)).status, 404);
});

Deno.test("a login that begins while its key is revoked does not outlive it", async () => {
  await using test = await startTestEdge();
  const { body: key } = await test.admin.call("POST /api/keys", { name: "second" });
  const browser = new Browser(test);
  const { store } = test.edge;
  const { kv } = store;
  store.kv = watchCommits(kv, async ({ keys, commit }) => {
    // The key was found; now it is revoked, and only then the login is written.
    if (keys.some((part) => part[0] === "login")) {
      store.kv = kv;
      await test.admin.call(`DELETE /api/keys/${key.id}`);
    }
    return await commit();
  });
  await browser.signIn(key.key);
  assertEquals(await browser.me(), 401);
});

Deno.test("a disabled user is signed out everywhere and may come back", async () => {
  await using test = await startTestEdge();
  const user = await test.addUser("visitor");
  const browser = new Browser(test);
  await browser.signIn(user.key);
  await test.edge.store.kv.set(userKey(user.user.id), { ...user.user, disabled: true });
  assertEquals([await browser.me(), (await user.call("GET /api/me")).status], [401, 401]);
  assertEquals((await new Browser(test).signIn(user.key)).status, 401);
  await test.edge.store.kv.set(userKey(user.user.id), user.user);
  assertEquals(await browser.me(), 200);
});

Deno.test("an expired login opens nothing although the store still has it", async () => {
  await using test = await startTestEdge();
  const browser = new Browser(test);
  await browser.signIn(test.admin.key);
  test.skewMs = 30 * DAY_MS + 1_000;
  assertEquals(await browser.me(), 401);
  const hash = await sha256(browser.cookie.split("=")[1]!);
  assert((await test.edge.store.kv.get(loginKey(hash))).value !== null);
});

Deno.test("a login that is used lives on, and so does its cookie", async () => {
  await using test = await startTestEdge();
  const browser = new Browser(test);
  await browser.signIn(test.admin.key);
  browser.setCookie = "";
  for (const day of [0.5, 20, 40, 60]) {
    test.skewMs = day * DAY_MS;
    assertEquals(await browser.me(), 200, `day ${day}`);
    assertEquals(browser.setCookie.includes("Max-Age=2592000"), day > 1, `day ${day}`);
    browser.setCookie = "";
  }
  test.skewMs = 91 * DAY_MS;
  assertEquals(await browser.me(), 401);
});

Deno.test("a sign-in link works once, also when it is used twice at once", async () => {
  await using test = await startTestEdge();
  for (let round = 0; round < 10; round++) {
    const token = await makeSignInLink(test.edge, test.admin.user.id);
    const browsers = Array.from({ length: 4 }, () => new Browser(test));
    const answers = await Promise.all(browsers.map((browser) => browser.call("GET", `/signin/once/${token}`)));
    assertEquals(answers.map((answer) => answer.status).toSorted(), [303, 401, 401, 401]);
    const signedIn = await Promise.all(browsers.map((browser) => browser.me()));
    assertEquals(signedIn.toSorted(), [200, 401, 401, 401]);
    assertEquals((await new Browser(test).call("GET", `/signin/once/${token}`)).status, 401);
  }
});

Deno.test("a sign-in link is not used up by a look ahead, and not after 15 minutes, and is never logged", async () => {
  await using test = await startTestEdge();
  const token = await makeSignInLink(test.edge, test.admin.user.id);
  const browser = new Browser(test);
  const path = `/signin/once/${token}`;
  assertEquals((await browser.call("HEAD", path)).status, 204);
  assertEquals((await browser.call("GET", path, { headers: { "sec-purpose": "prefetch;prerender" } })).status, 204);
  test.skewMs = 15 * 60_000;
  assertEquals((await browser.call("GET", path)).status, 401);
  assert((await test.edge.store.kv.get(signInLinkKey(await sha256(token)))).value !== null, "the store is late");
  test.skewMs = 14 * 60_000;
  assertEquals((await browser.call("GET", path)).status, 303);
  assertEquals(await browser.me(), 200);
  assert(!JSON.stringify(test.log).includes(token));
});

Deno.test("a cookie of another shape is no login and no error", async () => {
  await using test = await startTestEdge();
  for (const value of ["", "x", "x".repeat(200), "%00".repeat(20), "'; DROP TABLE", "é".repeat(30)]) {
    const headers = { cookie: `hearth_login=${encodeURI(value)}; other=1` };
    const answer = await fetch(`${test.url}/api/me`, { headers });
    assertEquals([answer.status, (await answer.json()).error], [401, "unauthorized"]);
  }
});

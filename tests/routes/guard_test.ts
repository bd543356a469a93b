/** What every request passes: the host it is meant for, the site it comes from, the headers of the answer. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { Browser } from "../lib/auth/fixture.ts";
import { SocketFollower } from "../lib/live/follower.ts";

const PROJECT = { name: "made", repositoryUrl: "https://git.example.org/a.git" };

async function signedIn(test: TestEdge): Promise<Browser> {
  const browser = new Browser(test);
  await browser.signIn(test.admin.key);
  return browser;
}

/** One request by hand: status and body, with whatever headers. */
async function speak(test: TestEdge, head: string[]): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(test.url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode(`${[...head, "connection: close"].join("\r\n")}\r\n\r\n`));
  let text = "";
  for await (const chunk of conn.readable.pipeThrough(new TextDecoderStream())) text += chunk;
  return { status: Number(text.split(" ")[1]), text };
}

Deno.test("a change by cookie needs a browser that says it comes from here", async () => {
  await using test = await startTestEdge();
  const browser = await signedIn(test);
  const own = new URL(test.url);
  const post = (headers: Record<string, string>) =>
    fetch(`${test.url}/api/projects`, {
      method: "POST",
      headers: { cookie: browser.cookie, "content-type": "application/json", ...headers },
      body: JSON.stringify({ ...PROJECT, name: crypto.randomUUID() }),
    }).then(async (response) => [response.status, (await response.json()).error]);
  const refused = [403, "cross_site"];
  assertEquals(await post({}), refused);
  assertEquals(await post({ origin: "https://evil.example" }), refused);
  assertEquals(await post({ origin: "null" }), refused);
  assertEquals(await post({ origin: "not an origin" }), refused);
  assertEquals(await post({ origin: `http://${own.hostname}:1` }), refused, "another port of the same host");
  assertEquals(await post({ "sec-fetch-site": "cross-site" }), refused);
  assertEquals(await post({ "sec-fetch-site": "same-site", origin: test.url }), refused);
  assertEquals(await post({ "sec-fetch-site": "none" }), refused);
  assertEquals((await test.admin.call("GET /api/projects")).body.items, []);
  assertEquals(await post({ origin: test.url }), [201, undefined]);
  assertEquals(await post({ "sec-fetch-site": "same-origin" }), [201, undefined]);
  assertEquals(await post({ "sec-fetch-site": "cross-site", authorization: `Bearer ${test.admin.key}` }), [
    201,
    undefined,
  ]);
});

Deno.test("every way of changing something by cookie is guarded, reading is not", async () => {
  await using test = await startTestEdge();
  const browser = await signedIn(test);
  const { id } = await test.addProject();
  const evil = { origin: "https://evil.example" };
  for (const method of ["POST", "PATCH", "DELETE", "PUT"]) {
    for (const path of [`/api/projects/${id}`, "/api/auth/logout", "/signout", "/nowhere"]) {
      const answer = await browser.call(method, path, { headers: evil });
      assertEquals([answer.status, answer.body.error], [403, "cross_site"], `${method} ${path}`);
    }
  }
  assertEquals((await browser.call("GET", `/api/projects/${id}`, { headers: evil })).status, 200);
  assertEquals(await browser.me(), 200);
});

Deno.test("a page of another site cannot open a socket with the user's cookie", async () => {
  await using test = await startTestEdge();
  const browser = await signedIn(test);
  const { id } = await test.addProject();
  for (const path of [`/api/projects/${id}/ws`, "/api/ws"]) {
    for (const origin of ["https://evil.example", `http://${new URL(test.url).hostname}:1`, "null", undefined]) {
      await using socket = SocketFollower.on(test, path, { cookie: browser.cookie, origin });
      assertEquals(await socket.end(), 403, `${path} from ${origin}`);
    }
    await using socket = SocketFollower.on(test, path, { cookie: browser.cookie, origin: test.url });
    await socket.first("hello");
  }
});

Deno.test("a form of another site signs nobody in, a program and the own page do", async () => {
  await using test = await startTestEdge();
  const signIn = async (headers: Record<string, string>) => {
    const response = await fetch(`${test.url}/signin`, {
      method: "POST",
      redirect: "manual",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams({ apiKey: test.admin.key }).toString(),
    });
    await response.body?.cancel();
    return [response.status, response.headers.has("set-cookie")];
  };
  assertEquals(await signIn({ origin: "https://evil.example" }), [403, false]);
  assertEquals(await signIn({ "sec-fetch-site": "cross-site" }), [403, false]);
  assertEquals(await signIn({ origin: test.url }), [303, true]);
  assertEquals(await signIn({}), [303, true]);
});

Deno.test("the sign-in form says what is wrong, whatever is sent to it", async () => {
  await using test = await startTestEdge();
  const post = async (body: BodyInit, type: string) => {
    const headers = { "content-type": type, accept: "text/html" };
    const response = await fetch(`${test.url}/signin`, { method: "POST", headers, body, redirect: "manual" });
    return { status: response.status, text: await response.text() };
  };
  const form = "application/x-www-form-urlencoded";
  assertEquals((await post("apiKey=hk_wrong", form)).status, 401);
  assertMatch((await post("apiKey=hk_wrong", form)).text, /wrong or was revoked/);
  assertEquals((await post("", form)).status, 400);
  assertEquals((await post("apiKey=", form)).status, 400);
  assertEquals((await post(`apiKey=${"x".repeat(5_000)}`, form)).status, 413);
  assertEquals((await post(ReadableStream.from([new Uint8Array(9_000)]), form)).status, 413);
  assertEquals((await post("--x\r\nbroken", "multipart/form-data; boundary=x")).status, 415);
  assertEquals((await post("{", "application/json")).status, 415);
});

Deno.test("a request for another host is not answered", async () => {
  await using test = await startTestEdge();
  const { host, port } = new URL(test.url);
  const status = async (name: string, path = "/api/version") =>
    (await speak(test, [`GET ${path} HTTP/1.1`, `host: ${name}`])).status;
  assertEquals(await status(host), 200);
  assertEquals(await status(`localhost:${port}`), 200);
  assertEquals(await status("[::1]"), 200);
  for (
    const name of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, "127.0.0.1@evil.example"]
  ) {
    const answer = await speak(test, ["GET /api/version HTTP/1.1", `host: ${name}`]);
    assert(answer.status === 421 || answer.status === 400, `${name}: ${answer.status}`);
  }
  const refused = await speak(test, ["GET /api/version HTTP/1.1", "host: evil.example"]);
  assertEquals(refused.status, 421);
  assertMatch(refused.text, /"error":"wrong_host"/);
  test.edge.config.publicUrl = "https://hearth.example";
  assertEquals([await status("hearth.example"), await status("hearth.example.evil.example")], [200, 421]);
});

Deno.test("a page that cannot be shown has the status of its problem", async () => {
  await using test = await startTestEdge();
  const browser = await signedIn(test);
  const html = { accept: "text/html" };
  assertEquals((await browser.call("GET", "/nowhere", { headers: html })).status, 404);
  assertEquals((await browser.call("GET", `/projects/${crypto.randomUUID()}`, { headers: html })).status, 404);
  assertEquals((await browser.call("GET", "/projects/nonsense", { headers: html })).status, 404);
  assertEquals(
    (await browser.call("POST", "/signout", { headers: { ...html, origin: "https://evil.example" } })).status,
    403,
  );
  const other = await speak(test, ["GET /projects HTTP/1.1", "host: evil.example", "accept: text/html"]);
  assertEquals(other.status, 421);
});

Deno.test("every answer carries the policy of the page, its own id, and is not stored", async () => {
  await using test = await startTestEdge();
  const ids = new Set<string>();
  for (const path of ["/api/version", "/api/me", "/signin", "/nowhere", "/api/nowhere"]) {
    const response = await fetch(test.url + path, { headers: { accept: "text/html" } });
    await response.body?.cancel();
    const { headers } = response;
    assertMatch(headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self' 'nonce-[\w-]{20,}'/);
    assertMatch(headers.get("content-security-policy")!, /frame-ancestors 'none'$/);
    assertEquals([headers.get("x-content-type-options"), headers.get("referrer-policy")], ["nosniff", "no-referrer"]);
    assertEquals([headers.get("cross-origin-opener-policy"), headers.get("cache-control")], [
      "same-origin",
      "no-store",
    ]);
    ids.add(headers.get("x-request-id")!);
  }
  assertEquals(ids.size, 5);
});

Deno.test("the log has the path of a request and never its query", async () => {
  await using test = await startTestEdge();
  await fetch(`${test.url}/api/version?token=hunter2-hunter2`).then((response) => response.body?.cancel());
  await fetch(`${test.url}/api/nowhere?cursor=swordfish`).then((response) => response.body?.cancel());
  const text = JSON.stringify(test.log);
  assert(text.includes("/api/version") && text.includes("/api/nowhere"));
  assert(!text.includes("hunter2") && !text.includes("swordfish"));
});

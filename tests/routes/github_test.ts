/** Signing in at GitHub, with a fake of it as a real server: who gets in, as whom, and what happens to all others. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { addUser, setGithub } from "../../lib/admin/users.ts";
import { listUsers, readUserByLogin } from "../../lib/store/accounts.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { FakeGithub } from "../fakes/github.ts";

const MINUTE_MS = 60_000;

/** A browser with all its cookies, which follows no redirect by itself. */
class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #test: TestEdge;

  constructor(test: TestEdge) {
    this.#test = test;
  }

  async get(url: string, headers: Record<string, string> = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(new URL(url, this.#test.url), {
      redirect: "manual",
      headers: { accept: "text/html", ...cookie ? { cookie } : {}, ...headers },
    });
    const set = response.headers.getSetCookie();
    for (const line of set) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      value ? this.cookies.set(name!, value) : this.cookies.delete(name!);
    }
    const { status } = response;
    return { status, set, location: response.headers.get("location"), text: await response.text(), response };
  }

  /** To GitHub and back to the door: the address with code and state. */
  async setOut(): Promise<string> {
    const there = await this.get("/auth/github");
    assertEquals(there.status, 302, there.text);
    const back = await fetch(there.location!, { redirect: "manual" });
    await back.body?.cancel();
    return back.headers.get("location")!;
  }

  async signIn() {
    return await this.get(await this.setOut());
  }

  /** The login of who is signed in, or the status. */
  async me(): Promise<string | number> {
    const { status, text } = await this.get("/api/me");
    return status === 200 ? JSON.parse(text).user.login : status;
  }
}

async function withGithub(
  work: (bench: { test: TestEdge; github: FakeGithub; visitor: () => Visitor }) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  await using github = new FakeGithub();
  await using test = await startTestEdge({ still: true, env: { ...github.env, ...env } });
  await work({ test, github, visitor: () => new Visitor(test) });
}

async function invite(test: TestEdge, login: string, options: [string, string][] = []): Promise<void> {
  await addUser({ edge: test.edge, words: [login], options: new Map(options) });
}

Deno.test("a user that an admin made signs in at GitHub, and nothing secret is said on the way", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "Ada");
    const ada = visitor();
    assertStringIncludes((await ada.get("/signin")).text, 'href="/auth/github"');
    const there = await ada.get("/auth/github");
    const [, ...attributes] = there.set[0]!.split("; ");
    assertEquals(attributes.toSorted(), ["HttpOnly", "Max-Age=600", "Path=/auth/github", "SameSite=Lax"]);
    const back = await ada.signIn();
    assertEquals([back.status, back.location], [303, "/projects"]);
    assert(back.set.some((line) => /^hearth_login=[\w-]{43};.*HttpOnly; SameSite=Lax/.test(line)));
    assert(!ada.cookies.has("hearth_github"));
    assertEquals(await ada.me(), "Ada");
    const asked = Object.fromEntries(github.visits.at(-1)!);
    assertEquals([asked.redirect_uri, asked.scope], [`${test.url}/auth/github/callback`, undefined]);
    assertEquals((await readUserByLogin(test.edge.store, "ada"))?.github, { name: "Ada", id: 1, invited: true });
    const said = JSON.stringify(test.log);
    for (const secret of [...github.secrets, github.clientSecret, asked.state!]) assert(!said.includes(secret));
  }));

Deno.test("GITHUB_ALLOWED lets logins in as members of their own, the same one each time", () =>
  withGithub(async ({ test, github, visitor }) => {
    github.person = { id: 7, login: "Grace", name: "Grace Hopper" };
    const browsers = Array.from({ length: 4 }, visitor);
    const pages = await Promise.all(browsers.map((browser) => browser.signIn()));
    assertEquals(pages.map((page) => page.status), [303, 303, 303, 303], "also when they are the first at once");
    assertEquals(await Promise.all(browsers.map((browser) => browser.me())), ["Grace", "Grace", "Grace", "Grace"]);
    const users = await listUsers(test.edge.store);
    assertEquals(users.map((user) => [user.login, user.displayName, user.role]), [
      ["admin", "Admin", "admin"],
      ["Grace", "Grace Hopper", "member"],
    ]);
    // Somebody of that name is here already, and stays who they are.
    await test.addUser("linus");
    github.person = { id: 8, login: "linus" };
    const linus = visitor();
    await linus.signIn();
    assertEquals(await linus.me(), "linus-8");
  }, { GITHUB_ALLOWED: "grace, linus" }));

Deno.test("GITHUB_ALLOWED lets active members of organisations in, for as long as they are", () =>
  withGithub(async ({ github, visitor }) => {
    github.person = { id: 9, login: "edsger" };
    assertEquals((await visitor().signIn()).status, 403);
    github.memberships.set("acme/9", "pending");
    assertEquals((await visitor().signIn()).status, 403);
    github.memberships.set("acme/9", "active");
    const edsger = visitor();
    assertEquals((await edsger.signIn()).status, 303);
    assertEquals(await edsger.me(), "edsger");
    assertEquals(github.visits.at(-1)!.get("scope"), "read:org");
    github.memberships.delete("acme/9");
    assertEquals((await visitor().signIn()).status, 403);
  }, { GITHUB_ALLOWED: "grace org:acme" }));

Deno.test("nobody else is let in: 403 not_invited, and nothing is made", () =>
  withGithub(async ({ test, github, visitor }) => {
    github.person = { id: 3, login: "eve" };
    const eve = visitor();
    const page = await eve.signIn();
    assertEquals([page.status, await eve.me()], [403, 401]);
    assertStringIncludes(page.text, "GitHub's user eve is not invited here.");
    const answer = await eve.get(await eve.setOut(), { accept: "application/json" });
    assertEquals([answer.status, JSON.parse(answer.text).error], [403, "not_invited"]);
    // The first admin's name is the program's choice, and says nothing of who has it at GitHub.
    github.person = { id: 4, login: "admin" };
    assertEquals((await eve.signIn()).status, 403);
    assertEquals((await listUsers(test.edge.store)).length, 1);
  }, { GITHUB_ALLOWED: "grace,org:acme" }));

Deno.test("a name that was given up and taken by another opens nothing", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "ada");
    for (const login of ["ada", "grace"]) {
      const id = login.length;
      github.person = { id, login };
      assertEquals((await visitor().signIn()).status, 303);
      github.person = { id: 100 + id, login };
      assertEquals((await visitor().signIn()).status, 403, login);
      github.person = { id, login: `${login}-renamed` };
      const renamed = visitor();
      await renamed.signIn();
      assertEquals(await renamed.me(), login);
    }
    // A member of an organisation who took the name comes in as somebody else.
    github.person = { id: 103, login: "ada" };
    github.memberships.set("acme/103", "active");
    const other = visitor();
    await other.signIn();
    assertEquals(await other.me(), "ada-103");
    github.memberships.clear();
    assertEquals((await visitor().signIn()).status, 403);
  }, { GITHUB_ALLOWED: "ada,grace,org:acme" }));

Deno.test("an admin says who somebody is at GitHub, and takes it back", () =>
  withGithub(async ({ test, github, visitor }) => {
    const set = (...options: [string, string][]) =>
      setGithub({ edge: test.edge, words: ["admin"], options: new Map(options) });
    await set(["name", "ada"]);
    const ada = visitor();
    await ada.signIn();
    assertEquals(await ada.me(), "admin");
    await set(["name", "grace"]);
    assertEquals([await ada.me(), (await visitor().signIn()).status], [401, 403]);
    github.person = { id: 2, login: "grace" };
    const grace = visitor();
    await grace.signIn();
    assertEquals(await grace.me(), "admin");
    await set(["none", ""]);
    assertEquals([await grace.me(), (await visitor().signIn()).status], [401, 403]);
    await invite(test, "linus", [["github", "torvalds"]]);
    github.person = { id: 5, login: "torvalds" };
    const linus = visitor();
    await linus.signIn();
    assertEquals(await linus.me(), "linus");
    const taken = await set(["name", "Torvalds"]).catch((error: Error) => error.message);
    assertMatch(String(taken), /belongs to linus already/);
  }));

Deno.test("a disabled user does not come in by GitHub either", () =>
  withGithub(async ({ test, visitor }) => {
    await invite(test, "ada");
    const user = (await readUserByLogin(test.edge.store, "ada"))!;
    await test.edge.store.kv.set(["user", user.id], { ...user, disabled: true });
    const page = await visitor().signIn();
    assertEquals([page.status, page.set.some((line) => line.startsWith("hearth_login"))], [403, false]);
    assertStringIncludes(page.text, "disabled");
  }));

Deno.test("the way back counts only in the browser that set out, for ten minutes", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "ada");
    const [ada, other] = [visitor(), visitor()];
    const back = await ada.setOut();
    await other.setOut();
    for (const browser of [other, visitor()]) {
      const page = await browser.get(back);
      assertEquals([page.status, await browser.me()], [400, 401]);
      assertStringIncludes(page.text, "another browser");
    }
    const cookie = ada.cookies.get("hearth_github")!;
    const [state, expiresAt, signature] = cookie.split(".");
    const forged = [`${state}.${Number(expiresAt) + 1}.${signature}`, `${cookie.slice(0, -2)}AA`, `${state}.1.`, "x"];
    for (const value of forged) {
      const thief = visitor();
      thief.cookies.set("hearth_github", value);
      assertEquals((await thief.get(back)).status, 400, value);
    }
    assertEquals(github.calls, [], "GitHub is asked nothing");
    test.skewMs = 10 * MINUTE_MS;
    ada.cookies.set("hearth_github", cookie);
    assertEquals((await ada.get(back)).status, 400);
    test.skewMs = 9 * MINUTE_MS;
    ada.cookies.set("hearth_github", cookie);
    assertEquals((await ada.get(back)).status, 303);
  }));

Deno.test("the way back counts once, also when it is used twice at once", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "ada");
    const ada = visitor();
    const back = await ada.setOut();
    const cookie = ada.cookies.get("hearth_github")!;
    const use = async () => {
      const browser = visitor();
      browser.cookies.set("hearth_github", cookie);
      return (await browser.get(back)).status;
    };
    assertEquals((await Promise.all([use(), use(), use(), use()])).toSorted(), [303, 400, 400, 400]);
    assertEquals(await use(), 400);
    assertEquals(github.calls.filter((path) => path.endsWith("/access_token")).length, 1);
  }));

Deno.test("whatever GitHub or the person does instead is told on the sign-in page", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "ada");
    const answers: Record<string, () => Response> = {
      "status 500": () => new Response("oops", { status: 500 }),
      "a page": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      "half": () => new Response('{"access_token":'),
      "another shape": () => Response.json({ access_token: 5, id: "1", login: "ada" }),
      "another client": () => Response.json({ error: "incorrect_client_credentials" }),
      "elsewhere": () => new Response(null, { status: 302, headers: { location: github.url } }),
      "too much": () => new Response(`{"x":"${"x".repeat(300_000)}"}`),
    };
    for (const [name, answer] of Object.entries(answers)) {
      for (const path of ["/login/oauth/access_token", "/api/v3/user"]) {
        github.fault = (called) => called === path ? answer() : null;
        const browser = visitor();
        const page = await browser.signIn();
        assertEquals([page.status, await browser.me()], [503, 401], `${name} for ${path}`);
        assertStringIncludes(page.text, "GitHub did not answer as it should");
      }
    }
    github.fault = () => null;
    for (const [query, status, words] of QUERIES) {
      const browser = visitor();
      const { searchParams } = new URL(await browser.setOut());
      const page = await browser.get(`/auth/github/callback?state=${searchParams.get("state")}&${query}`);
      assertEquals([page.status, await browser.me()], [status, 401], query);
      assertStringIncludes(page.text, words);
      assert(!page.set.some((line) => line.startsWith("hearth_login")));
    }
    const said = JSON.stringify(test.log);
    for (const secret of [...github.secrets, github.clientSecret]) assert(!said.includes(secret));
    assertEquals((await visitor().signIn()).status, 303, "and then it works again");
  }));

const QUERIES: [query: string, status: number, words: string][] = [
  ["error=access_denied", 400, "You cancelled"],
  ["error=redirect_uri_mismatch", 503, "GitHub did not answer"],
  ["", 503, "GitHub did not answer"],
  [`code=${"x".repeat(501)}`, 503, "GitHub did not answer"],
  ["code=%00%0a", 503, "GitHub did not answer"],
  ["code=of-somebody-else", 401, "did not confirm"],
];

Deno.test("who fails too often has to wait, as with a wrong key", () =>
  withGithub(async ({ test, github, visitor }) => {
    await invite(test, "ada");
    github.person = { id: 3, login: "eve" };
    for (let i = 0; i < 3; i++) assertEquals((await visitor().signIn()).status, 403);
    const refused = await visitor().get("/auth/github");
    assertEquals([refused.status, refused.location], [429, null]);
    assertMatch(refused.response.headers.get("retry-after") ?? "", /^\d+$/);
    assertStringIncludes(refused.text, "Too many failed tries.");
  }, { RATE_SIGN_IN_PER_15_MIN: "3" }));

Deno.test("nothing in an address leads elsewhere, and a look ahead uses nothing up", () =>
  withGithub(async ({ test, visitor }) => {
    await invite(test, "ada");
    const ada = visitor();
    const elsewhere = "next=https://evil.example&redirect_uri=https://evil.example&return_to=//evil.example";
    const there = new URL((await ada.get(`/auth/github?${elsewhere}`)).location!);
    assertEquals(there.searchParams.get("redirect_uri"), `${test.url}/auth/github/callback`);
    const back = `${await ada.setOut()}&${elsewhere}`;
    assertEquals((await ada.get(back, { "sec-purpose": "prefetch" })).status, 204);
    assertEquals((await ada.get(back)).location, "/projects");
    // Begun under another name of the same machine, it goes on where the way back will lead.
    const { port } = new URL(test.url);
    assertEquals((await ada.get(`http://localhost:${port}/auth/github`)).location, `${test.url}/auth/github`);
  }));

Deno.test("without its configuration there is no such page and no link to it", async () => {
  await using test = await startTestEdge({ still: true });
  const visitor = new Visitor(test);
  for (const path of ["/auth/github", "/auth/github/callback?code=a&state=b"]) {
    assertEquals((await visitor.get(path)).status, 404);
  }
  assert(!(await visitor.get("/signin")).text.includes("GitHub"));
});

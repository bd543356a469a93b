import { assert, assertEquals } from "@std/assert";
import { alive, comesToEqual, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeMessage, makeNode, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

function edgeWithWork(): FixtureEdge {
  const edge = new FixtureEdge();
  const task = makeTask(10, { status: "failed", errorMessage: "The disk is full." });
  edge.tasks = [task, makeTask(11)];
  edge.sessions = [makeSession(task, { status: "error", lastSeq: 3 }), makeSession(edge.tasks[1]!)];
  edge.messages[task.sessionId] = [1, 2, 3].map((seq) => makeMessage(seq));
  edge.nodes = [makeNode(700, { status: "warm", warmUntil: ago(-20) })];
  return edge;
}

Deno.test("every page comes alive in a browser under the strict policy without a complaint", async () => {
  await using edge = edgeWithWork();
  const base = `/projects/${PROJECT.id}`;
  const paths = [
    "/signin",
    "/signin/github",
    "/projects",
    base,
    `${base}/board`,
    `${base}/settings`,
    "/nodes",
    "/credentials",
  ];
  for (const path of paths) {
    await using open = await openPage(edge.url + path);
    assertEquals(open.complaints, [], path);
    assert(await open.page.locator("h1").first().isVisible(), path);
  }
});

Deno.test("hydration keeps what the server wrote, and then tells times in the reader's zone", async () => {
  await using edge = edgeWithWork();
  edge.now = Date.now();
  edge.messages[id(510)] = [makeMessage(1, { createdAt: new Date(edge.now - 5 * 60_000).toISOString() })];
  edge.sessions[0]!.lastSeq = 1;
  await using open = await openPage(`${edge.url}/projects/${PROJECT.id}`, {
    timezoneId: "Asia/Tokyo",
    locale: "en-GB",
  });
  const time = open.page.locator(".message time").first();
  assertEquals(await time.textContent(), "5 min ago");
  await comesToEqual(async () => (await time.getAttribute("title"))?.includes("UTC"), false);
});

Deno.test("an island that says it is ready hears its keys, however late the browser paints", async () => {
  await using edge = edgeWithWork();
  await using open = await openPage("about:blank");
  const { page } = open;
  await page.addInitScript(() => {
    const wait = globalThis.setTimeout.bind(globalThis);
    const late = (act: () => void, ms = 0) => wait(act, ms + 300);
    Object.assign(globalThis, { requestAnimationFrame: late, setTimeout: late });
  });
  await page.goto(`${edge.url}/projects/${PROJECT.id}`);
  await alive(page);
  await page.keyboard.press("n");
  await page.locator("#task-text:focus").waitFor();
});

Deno.test("a page fits the width of a small phone", async () => {
  await using edge = edgeWithWork();
  const base = `/projects/${PROJECT.id}`;
  for (const width of [360, 375, 1280]) {
    for (const path of ["/signin", "/signin/github", "/projects", base, `${base}/settings`, "/nodes", "/credentials"]) {
      await using open = await openPage(edge.url + path, { viewport: { width, height: 700 } });
      const wide = await open.page.evaluate(() => document.documentElement.scrollWidth);
      assertEquals(wide, width, `${path} at ${width}`);
      const cut = await open.page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("button, input, textarea, a")].filter((element) => {
          const box = element.getBoundingClientRect();
          const shown = element.checkVisibility({ visibilityProperty: true }) && !element.closest(".view.away");
          return shown && box.width > 0 && box.right > innerWidth + 1;
        }).map((element) => element.outerHTML.slice(0, 120))
      );
      assertEquals(cut, [], `${path} at ${width}`);
    }
  }
});

Deno.test("the sign-in form posts without any script, and names the error at its field", async () => {
  await using edge = edgeWithWork();
  await using open = await openPage(`${edge.url}/signin/wrong`);
  assertEquals(await open.page.locator("script").count(), 0);
  const form = open.page.locator("form");
  assertEquals([await form.getAttribute("method"), await form.getAttribute("action")], ["post", "/signin"]);
  const field = open.page.getByLabel("API key");
  assertEquals([await field.getAttribute("name"), await field.getAttribute("aria-invalid")], ["apiKey", "true"]);
  const described = (await field.getAttribute("aria-describedby"))!.split(" ").at(-1);
  assertEquals(await open.page.locator(`#${described}`).textContent(), "This API key is not valid.");
});

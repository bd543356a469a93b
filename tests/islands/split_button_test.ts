import { assertEquals } from "@std/assert";
import type { Page } from "playwright";
import { comesToEqual, hasFocus, openPage, useBrowser } from "./browser.ts";
import { PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const primary = (page: Page) => page.getByRole("button", { name: "Run Now" });
const toggle = (page: Page) => page.getByRole("button", { name: "More ways to save" });
const item = (page: Page) => page.getByRole("menuitem", { name: /Save to Backlog/ });

function posted(edge: FixtureEdge): string[] {
  return edge.requests.filter((request) => request.method === "POST").map((request) => request.path);
}

Deno.test("T051-1 T051-3 the primary label and a chevron that opens the menu", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  assertEquals(await primary(open.page).isVisible(), true);
  assertEquals(await toggle(open.page).getAttribute("aria-expanded"), "false");
  assertEquals(await item(open.page).count(), 0);
  await toggle(open.page).click();
  await item(open.page).waitFor();
  assertEquals(await toggle(open.page).getAttribute("aria-expanded"), "true");
});

Deno.test("T051-2 the primary half does the primary action", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("textbox", { name: "New task", exact: true }).fill("go");
  await primary(open.page).click();
  await edge.until(() => posted(edge).length === 1, "the task was posted");
  assertEquals(posted(edge), ["/tasks/submit"]);
});

Deno.test("T051-4 an option does its action and closes the menu", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("textbox", { name: "New task", exact: true }).fill("later");
  await toggle(open.page).click();
  await item(open.page).click();
  await edge.until(() => posted(edge).length === 1, "the draft was posted");
  assertEquals(posted(edge), ["/tasks"]);
  await item(open.page).waitFor({ state: "detached" });
});

Deno.test("T051-5 Escape closes the menu and the keyboard goes on from its button", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await toggle(open.page).focus();
  await open.page.keyboard.press("ArrowDown");
  await item(open.page).waitFor();
  await hasFocus(item(open.page));
  await open.page.keyboard.press("Escape");
  await item(open.page).waitFor({ state: "detached" });
  await hasFocus(toggle(open.page));
});

Deno.test("T051-6 while disabled neither half does anything", async () => {
  await using edge = new FixtureEdge();
  const answer = Promise.withResolvers<Response>();
  edge.override = ({ method }) => method === "POST" ? answer.promise : null;
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("textbox", { name: "New task", exact: true }).fill("go");
  await primary(open.page).click();
  await edge.until(() => posted(edge).length === 1, "the task was posted");
  for (const half of [primary, toggle]) await comesToEqual(() => half(open.page).isDisabled(), true);
  await primary(open.page).click({ force: true });
  await toggle(open.page).click({ force: true });
  await open.page.keyboard.press("ArrowDown");
  assertEquals(await item(open.page).count(), 0);
  answer.resolve(new Response("{}", { status: 500 }));
  await open.page.locator(".toast").waitFor();
  assertEquals(posted(edge).length, 1);
});

Deno.test("T051-7 a click anywhere else closes the menu", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await toggle(open.page).click();
  await item(open.page).waitFor();
  await open.page.locator("h1").click();
  await item(open.page).waitFor({ state: "detached" });
});

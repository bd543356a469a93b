/** The board: drafts edited in place, the filter by priority, what a task waits for, and the keyboard. */
import { assertEquals } from "@std/assert";
import type { Page } from "playwright";
import { comesToEqual, hasFocus, isAt, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

const BOARD = `/projects/${PROJECT.id}/board`;
const URGENT = makeTask(21, { title: "Urgent", priority: 9 });
const NORMAL = makeTask(22, { title: "Normal", dependsOn: [id(21), id(24)] });
const LATER = makeTask(23, { title: "Later on", priority: -2 });
const DONE = makeTask(24, { title: "Done", status: "completed", priority: 9 });

function edgeWithBoard(): FixtureEdge {
  const edge = new FixtureEdge();
  edge.tasks = [URGENT, NORMAL, LATER, DONE];
  edge.sessions = edge.tasks.map((task) => makeSession(task));
  return edge;
}

const draftTitles = (page: Page) => page.locator('[data-status="draft"] .card-link').allTextContents();

Deno.test("a draft is edited in place, its title too, and started from its card", async () => {
  await using edge = edgeWithBoard();
  edge.override = ({ method, path, body }) =>
    method === "PATCH" && path === `/tasks/${URGENT.id}`
      ? Response.json({ ...URGENT, ...(body as object), updatedAt: ago(0) })
      : null;
  await using open = await openPage(edge.url + BOARD);
  const { page } = open;
  const column = page.locator('[data-status="draft"]');
  await page.locator(`[data-task="${URGENT.id}"]`).getByRole("button", { name: "Edit" }).click();
  const title = column.getByLabel("Title");
  assertEquals(await title.inputValue(), "Urgent");
  await hasFocus(title);
  await title.fill("  ");
  await column.getByRole("button", { name: "Save" }).click();
  await column.getByText("Give the task a title.").waitFor();
  assertEquals(edge.requests.filter(({ method }) => method === "PATCH"), []);
  await title.fill("Very urgent");
  await column.getByLabel("Description").fill("Do it better");
  await column.getByLabel("Waits for").selectOption("Later on");
  await column.getByRole("button", { name: "Save" }).click();
  await column.locator(".card-link", { hasText: "Very urgent" }).waitFor();
  assertEquals(edge.requests.find(({ method }) => method === "PATCH")!.body, {
    title: "Very urgent",
    description: "Do it better",
    priority: 9,
    agentHint: null,
    vmSize: null,
    dependsOn: [LATER.id],
  });
  await page.locator(`[data-task="${URGENT.id}"]`).getByRole("button", { name: "Run" }).click();
  await edge.until(() => edge.requests.find(({ path }) => path === `/tasks/${URGENT.id}/run`), "the task was run");
});

Deno.test("the board is filtered by priority, also for what comes later, and shows all again", async () => {
  await using edge = edgeWithBoard();
  await using open = await openPage(edge.url + BOARD);
  const { page } = open;
  await page.locator(".connection-connected").waitFor();
  await comesToEqual(() => draftTitles(page), ["Urgent", "Normal", "Later on"]);
  const filter = page.getByLabel("Priority", { exact: true });
  assertEquals(await filter.locator("option").allTextContents(), ["All", "9 and above", "0 and above"]);
  await filter.selectOption("0 and above");
  await page.locator(".card-link", { hasText: "Later on" }).waitFor({ state: "detached" });
  await comesToEqual(() => draftTitles(page), ["Urgent", "Normal"]);
  await filter.selectOption("9 and above");
  await page.locator(".card-link", { hasText: "Normal" }).waitFor({ state: "detached" });
  assertEquals(await page.locator('[data-status="failed"] .board-empty').textContent(), "No task of this priority.");
  edge.push({ type: "task.updated", task: { ...LATER, priority: 10, updatedAt: ago(0) } });
  await comesToEqual(() => draftTitles(page), ["Later on", "Urgent"]);
  // It stays while the chat is looked at.
  await page.keyboard.press("c");
  await page.locator(".view:not(.away) .transcript").waitFor();
  await page.keyboard.press("b");
  await page.locator(".view:not(.away) .board").waitFor();
  await comesToEqual(() => draftTitles(page), ["Later on", "Urgent"]);
  await page.getByRole("button", { name: "Show all" }).click();
  await comesToEqual(() => draftTitles(page), ["Later on", "Urgent", "Normal"]);
});

Deno.test("a card tells what its task waits for, until that is completed", async () => {
  await using edge = edgeWithBoard();
  await using open = await openPage(edge.url + BOARD);
  const { page } = open;
  await page.locator(".connection-connected").waitFor();
  const note = page.locator(`[data-task="${NORMAL.id}"] .card-note`);
  assertEquals(await note.textContent(), "Waits for Urgent");
  edge.push({ type: "task.updated", task: { ...URGENT, status: "completed", updatedAt: ago(0) } });
  await note.waitFor({ state: "detached" });
});

Deno.test("arrows move between cards, and Enter opens the one in focus", async () => {
  await using edge = edgeWithBoard();
  await using open = await openPage(edge.url + BOARD);
  const { page } = open;
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  await page.locator(".card-link").first().focus();
  await page.keyboard.press("ArrowDown");
  await comesToEqual(focused, "Normal");
  await page.keyboard.press("ArrowRight");
  await comesToEqual(focused, "Done");
  await page.keyboard.press("ArrowLeft");
  await comesToEqual(focused, "Urgent");
  await page.keyboard.press("Enter");
  await isAt(page, `/projects/${PROJECT.id}/chat/${URGENT.sessionId}`);
});

import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright";
import { comesToEqual, hasFocus, openPage, useBrowser } from "./browser.ts";
import { ago, makeMessage, makeNode, makeSession, makeTask, ME, PROJECT } from "./fixture_data.ts";
import { FixtureEdge, problem } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const topics = (page: Page) => page.locator(".session-topic").allTextContents();
const search = (page: Page) => page.getByRole("searchbox", { name: "Search the sessions" });

function edgeWithSessions(): FixtureEdge {
  const edge = new FixtureEdge();
  edge.tasks = [
    makeTask(10, { title: "Mend the lamp", status: "failed", updatedAt: ago(1) }),
    makeTask(11, { title: "Paint the door", updatedAt: ago(2) }),
  ];
  edge.sessions = edge.tasks.map((task) => makeSession(task));
  for (const session of edge.sessions) edge.messages[session.id] = [makeMessage(1, { content: session.topic! })];
  return edge;
}

Deno.test("search filters at once, finds older sessions at the edge, and Escape ends it", async () => {
  await using edge = edgeWithSessions();
  const old = makeSession(makeTask(50, { title: "Old lamp oil" }));
  edge.override = ({ path }) =>
    path.startsWith("/sessions?q=") ? Response.json({ items: [old, edge.sessions[0]], nextCursor: null }) : null;
  await using open = await openPage(edge.url + PATH);
  await open.page.keyboard.press("/");
  await hasFocus(search(open.page));
  // Keys of which each comes before the pause after the last one is over, on any machine.
  await search(open.page).evaluate((field: HTMLInputElement) => {
    for (const text of ["l", "la", "lam", "lamp"]) {
      field.value = text;
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }
  });
  await open.page.locator(".session-topic", { hasText: "Paint" }).waitFor({ state: "detached" });
  await open.page.locator(".session-topic", { hasText: "Old lamp oil" }).waitFor();
  await comesToEqual(() => topics(open.page), ["Mend the lamp", "Old lamp oil"]);
  assertEquals(edge.requests.filter(({ path }) => path.includes("?q=")).length, 1, "asked once, after the last key");
  await open.page.keyboard.press("Escape");
  await open.page.locator(".session-topic", { hasText: "Paint" }).waitFor();
  await comesToEqual(() => topics(open.page), ["Mend the lamp", "Paint the door"]);
});

Deno.test("a search that finds nothing says so and can be cleared", async () => {
  await using edge = edgeWithSessions();
  edge.override = ({ path }) => path.startsWith("/sessions?q=") ? Response.json({ items: [], nextCursor: null }) : null;
  await using open = await openPage(edge.url + PATH);
  await search(open.page).fill("submarine");
  await open.page.getByText("No session fits").waitFor();
  await open.page.getByRole("button", { name: "Clear the search" }).click();
  await comesToEqual(async () => (await topics(open.page)).length, 2);
});

Deno.test("a session's menu leads the owner of its machine to what was not delivered, and nobody else", async () => {
  await using edge = edgeWithSessions();
  const machine = makeNode(7, { deadLettersKept: 2, health: "unreachable" });
  const task = makeTask(12, { title: "Oil the hinge", status: "in_progress", nodeId: machine.id });
  edge.tasks = [task];
  edge.sessions = [makeSession(task)];
  for (const [ownerId, links] of [[ME.id, 1], [PROJECT.id, 0]] as const) {
    await using open = await openPage(edge.url + PATH);
    await open.page.locator(".connection-connected").waitFor();
    edge.push({ type: "node.updated", node: { ...machine, ownerId } });
    await open.page.locator(".machine").getByText("Unreachable").waitFor();
    await open.page.getByRole("button", { name: "More about this session" }).click();
    await open.page.getByRole("link", { name: "Export as Markdown" }).waitFor();
    assertEquals(await open.page.getByRole("link", { name: "Dead letters" }).count(), links);
  }
});

Deno.test("Ctrl+K finds a session by typing and goes to it, from inside a field too", async () => {
  await using edge = edgeWithSessions();
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("textbox", { name: "New task", exact: true }).focus();
  await open.page.keyboard.press("Control+K");
  await open.page.getByRole("combobox").waitFor();
  await open.page.keyboard.type("paint");
  await open.page.keyboard.press("Enter");
  await open.page.locator(".message-user", { hasText: "Paint the door" }).waitFor();
  await open.page.locator("dialog").waitFor({ state: "detached" });
});

Deno.test("the command menu moves by arrows, does what was chosen, and gives the keyboard back", async () => {
  await using edge = edgeWithSessions();
  await using open = await openPage(edge.url + PATH);
  const { page } = open;
  await page.keyboard.press("Control+K");
  await page.getByRole("combobox").waitFor();
  const chosen = () => page.locator('[role="option"][aria-selected="true"]').textContent();
  const first = await chosen();
  await page.keyboard.press("ArrowDown");
  await comesToEqual(async () => await chosen() === first, false);
  await page.keyboard.press("ArrowUp");
  await comesToEqual(chosen, first);
  await page.keyboard.type("show board");
  await page.keyboard.press("Enter");
  await page.locator(".view:not(.away) .board").waitFor();
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await dialog.waitFor();
  await page.keyboard.press("c");
  assert(await dialog.isVisible(), "the keys are the dialog's");
  assertEquals(await page.locator(".view:not(.away) .board").count(), 1);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.keyboard.press("c");
  await page.locator(".view:not(.away) .transcript").waitFor();
});

Deno.test("the history is read when it is asked for, and can be asked for again", async () => {
  await using edge = edgeWithSessions();
  let broken = true;
  const event = { n: 1, from: "queued", to: "failed", actor: "agent", reason: "No oil", at: ago(1) };
  edge.override = ({ path }) =>
    !path.endsWith("/events")
      ? null
      : broken
      ? problem(404, "not_found", "Not there.")
      : Response.json({ items: [event], nextCursor: null });
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("button", { name: "More about this session" }).click();
  await open.page.getByRole("button", { name: "History" }).click();
  await open.page.getByText("The history could not be loaded").waitFor();
  broken = false;
  await open.page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await open.page.locator(".history li", { hasText: "No oil" }).waitFor();
});

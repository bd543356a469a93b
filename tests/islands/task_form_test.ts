import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright";
import { comesToEqual, hasFocus, isAt, openPage, useBrowser } from "./browser.ts";
import { id, makeMessage, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge, problem } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const field = (page: Page) => page.getByRole("textbox", { name: "New task", exact: true });
const runNow = (page: Page) => page.getByRole("button", { name: "Run Now" });
const posts = (edge: FixtureEdge) => edge.requests.filter((request) => request.method === "POST");

async function saveToBacklog(page: Page): Promise<void> {
  await page.getByRole("button", { name: "More ways to save" }).click();
  await page.getByRole("menuitem", { name: /Save to Backlog/ }).click();
}

/** An edge that takes a task to run: it answers, and knows the task and its session. */
function edgeThatRuns(): { edge: FixtureEdge; sessionId: string } {
  const edge = new FixtureEdge();
  const task = makeTask(40, { title: "Turn the lamp", status: "queued", run: 1 });
  const session = makeSession(task, { status: "active" });
  edge.override = ({ method, path }) => {
    if (method !== "POST" || path !== "/tasks/submit") return null;
    edge.tasks = [task];
    edge.sessions = [session];
    edge.messages[session.id] = [makeMessage(1, { content: "Turn the lamp" })];
    return Response.json({ taskId: task.id, sessionId: session.id, status: "queued", branchName: "task/40" }, {
      status: 202,
    });
  };
  return { edge, sessionId: session.id };
}

Deno.test("T060-1 Run Now submits the task, and its session is shown with its messages at once", async () => {
  const { edge, sessionId } = edgeThatRuns();
  await using _edge = edge;
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("  Turn the lamp  ");
  await runNow(open.page).click();
  await open.page.locator(".message-user", { hasText: "Turn the lamp" }).waitFor();
  assertEquals(posts(edge)[0]!.path, "/tasks/submit");
  assertEquals(posts(edge)[0]!.body, {
    description: "Turn the lamp",
    priority: 0,
    agentHint: null,
    vmSize: null,
    dependsOn: [],
  });
  await isAt(open.page, `${PATH}/chat/${sessionId}`);
  await edge.until(() => edge.subscriptions.includes(sessionId), "the socket asked for the session");
  const live = { type: "message.live", sessionId, messageId: id(900), role: "assistant", rev: 1, at: 0 } as const;
  edge.push({ ...live, text: "Turning" });
  await open.page.locator(".message-assistant", { hasText: "Turning" }).waitFor();
});

Deno.test("T060-2 Save to Backlog creates a draft, which the board shows", async () => {
  await using edge = new FixtureEdge();
  edge.override = ({ method }) =>
    method === "POST" ? Response.json(makeTask(41, { title: "Later" }), { status: 201 }) : null;
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("Later");
  await saveToBacklog(open.page);
  await edge.until(() => posts(edge).length === 1, "the draft was posted");
  assertEquals(posts(edge)[0]!.path, "/tasks");
  await open.page.getByRole("link", { name: "Board" }).click();
  await open.page.locator('[data-status="draft"] .card', { hasText: "Later" }).waitFor();
});

Deno.test("T060-3 an empty task is refused at the field, and nothing is sent", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("   ");
  await runNow(open.page).click();
  await open.page.locator("#task-text-error").waitFor();
  await comesToEqual(() => field(open.page).getAttribute("aria-describedby"), "task-text-error");
  await hasFocus(field(open.page));
  assertEquals(posts(edge), []);
});

Deno.test("T060-4 missing credentials are told with the way to the settings", async () => {
  await using edge = new FixtureEdge();
  edge.override = ({ method }) =>
    method === "POST"
      ? problem(400, "credentials_missing", "Add an Anthropic key first.", { settingsUrl: "/settings/credentials" })
      : null;
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("go");
  await runNow(open.page).click();
  const failure = open.page.locator(".form-failure");
  await failure.waitFor();
  assertStringIncludes((await failure.textContent()) ?? "", "Add an Anthropic key first.");
  assertEquals(await failure.getByRole("link").getAttribute("href"), "/settings/credentials");
});

Deno.test("T060-5 options fold out and in, and go with the task", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  const options = open.page.getByRole("button", { name: "Options" });
  const priority = open.page.getByLabel("Priority");
  assertEquals(await priority.count(), 0);
  await options.click();
  await priority.fill("7");
  await open.page.getByLabel("VM size").selectOption("large");
  await open.page.getByLabel("Coding agent").selectOption("claude");
  await options.click();
  await priority.waitFor({ state: "detached" });
  await field(open.page).fill("go");
  await runNow(open.page).click();
  await edge.until(() => posts(edge).length === 1, "the task was posted");
  const chosen = { priority: 7, agentHint: "claude", vmSize: "large", dependsOn: [] };
  assertEquals(posts(edge)[0]!.body, { description: "go", ...chosen });
});

Deno.test("T060-6 T060-7 nothing can be sent twice, and success clears the text", async () => {
  const { edge } = edgeThatRuns();
  await using _edge = edge;
  const gate = Promise.withResolvers<void>();
  const answer = edge.override;
  edge.override = (request) => request.method === "POST" ? gate.promise.then(() => answer(request)!) : null;
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("go");
  await runNow(open.page).click();
  await edge.until(() => posts(edge).length === 1, "the task was posted");
  await comesToEqual(() => runNow(open.page).isDisabled(), true);
  await field(open.page).press("Control+Enter");
  gate.resolve();
  await open.page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>("#task-text")?.value === "");
  assertEquals(posts(edge).length, 1);
});

Deno.test("T060-8 a refusal is told in a toast, keeps the text, and goes again under the same key", async () => {
  const { edge } = edgeThatRuns();
  await using _edge = edge;
  const answer = edge.override;
  let refusals = 0;
  edge.override = (request) =>
    request.method === "POST" && refusals++ === 0
      ? problem(503, "store_busy", "The store is busy. Try again.")
      : answer(request);
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("go");
  await runNow(open.page).click();
  const toast = open.page.locator(".toast");
  await toast.waitFor();
  assertStringIncludes((await toast.textContent()) ?? "", "The store is busy. Try again.");
  assertEquals(await field(open.page).inputValue(), "go");
  await runNow(open.page).click();
  await edge.until(() => posts(edge).length === 2, "the task was posted again");
  assertMatch(posts(edge)[0]!.key ?? "", /^[0-9a-f-]{36}$/);
  assertEquals(posts(edge)[1]!.key, posts(edge)[0]!.key);
});

Deno.test("options that cannot be loaded say so, and are there when they are asked for again", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await open.page.context().setOffline(true);
  await open.page.getByRole("button", { name: "Options" }).click();
  const failure = open.page.locator("#task-advanced").getByRole("alert");
  await failure.getByText("This could not be loaded.").waitFor();
  await open.page.context().setOffline(false);
  await failure.getByRole("button", { name: "Retry" }).click();
  await open.page.getByLabel("VM size").waitFor();
  await failure.waitFor({ state: "detached" });
});

Deno.test("a task can be made to wait for others, of which those that are over are not offered", async () => {
  await using edge = new FixtureEdge();
  edge.tasks = [
    makeTask(51, { title: "First" }),
    makeTask(52, { title: "Second", status: "in_progress" }),
    makeTask(53, { title: "Third", status: "completed" }),
  ];
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("button", { name: "Options" }).click();
  const waits = open.page.getByLabel("Waits for");
  await waits.waitFor();
  assertEquals(await waits.locator("option").allTextContents(), ["No other task", "Second", "First"]);
  await waits.selectOption("First");
  await waits.selectOption("Second");
  await open.page.getByRole("button", { name: "Do not wait for Second" }).click();
  await comesToEqual(() => open.page.locator(".chip").allTextContents(), ["First"]);
  await field(open.page).fill("go");
  await saveToBacklog(open.page);
  await edge.until(() => posts(edge).length === 1, "the task was posted");
  assertEquals((posts(edge)[0]!.body as { dependsOn: string[] }).dependsOn, [id(51)]);
});

Deno.test("the text of a task outlives a reload", async () => {
  await using edge = new FixtureEdge();
  await using open = await openPage(edge.url + PATH);
  await field(open.page).fill("half a thought");
  await open.page.reload();
  await open.page.waitForFunction(() =>
    document.querySelector<HTMLTextAreaElement>("#task-text")?.value === "half a thought"
  );
});

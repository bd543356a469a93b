import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright";
import type { Message } from "../../lib/wire/message.ts";
import { comesToEqual, hasFocus, isAt, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeMessage, makeNode, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const LIVE = makeTask(10, { title: "Live one", status: "in_progress", run: 1, updatedAt: ago(1) });
const DONE = makeTask(11, { title: "Done one", status: "completed", run: 1, updatedAt: ago(20) });
const WORKSPACE = { id: id(70), status: "running", keptUntil: null } as const;

/** Two sessions: a live one with `count` messages, and an ended one with two. */
function edgeWith(count: number): FixtureEdge {
  const edge = new FixtureEdge();
  edge.tasks = [LIVE, DONE, makeTask(12, { title: "A draft" })];
  edge.sessions = [
    makeSession(LIVE, { status: "active", turn: "running", workspace: WORKSPACE, lastSeq: count }),
    makeSession(DONE, { status: "stopped", lastSeq: 2 }),
  ];
  edge.messages[LIVE.sessionId] = Array.from({ length: count }, (_, index) => makeMessage(index + 1));
  edge.messages[DONE.sessionId] = [1, 2].map((seq) => makeMessage(seq, { session: 2, content: `Done ${seq}` }));
  return edge;
}

/** Stores message `seq` of the live session and tells of it. */
function say(edge: FixtureEdge, seq: number, part: Partial<Message> = {}): void {
  const message = makeMessage(seq, part);
  edge.messages[LIVE.sessionId]!.push(message);
  edge.cursor = `c${seq}`;
  edge.push({ type: "message.new", sessionId: LIVE.sessionId, message, cursor: edge.cursor });
}

async function shown(page: Page): Promise<string[]> {
  return (await page.locator(".message .prose").allTextContents()).map((text) => text.trim());
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `Message ${from + index}`);
}

async function connected(page: Page): Promise<void> {
  await page.locator(".connection-connected").waitFor();
}

Deno.test("T053-5 a click on a session shows it, its address, and only its own messages", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  await open.page.locator(`[data-session="${DONE.sessionId}"]`).click();
  await open.page.locator(".message", { hasText: "Done 2" }).waitFor();
  await comesToEqual(() => shown(open.page), ["Done 1", "Done 2"]);
  await isAt(open.page, `${PATH}/chat/${DONE.sessionId}`);
  await edge.until(() => edge.subscriptions.at(-1) === DONE.sessionId, "the socket asked for it");
  say(edge, 4);
  edge.push({ type: "session.updated", session: { ...edge.sessions[1]!, topic: "Renamed", updatedAt: ago(0) } });
  await open.page.locator(".session-topic", { hasText: "Renamed" }).waitFor();
  assertEquals(await shown(open.page), ["Done 1", "Done 2"]);
});

Deno.test("T055-6 a new message appears as the socket brings it, and live text before it", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  const messageId = makeMessage(4).messageId;
  edge.push({
    type: "message.live",
    sessionId: LIVE.sessionId,
    messageId,
    role: "assistant",
    rev: 1,
    at: 0,
    text: "Mess",
  });
  await open.page.locator(".message[aria-busy]", { hasText: "Mess" }).waitFor();
  say(edge, 4);
  await open.page.locator(".message[aria-busy]").waitFor({ state: "detached" });
  await comesToEqual(() => shown(open.page), numbers(1, 4));
});

Deno.test("T055-3 the view follows new messages at the bottom, and offers a button elsewhere", async () => {
  await using edge = edgeWith(60);
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  await open.page.locator(".markdown").first().waitFor();
  const gap = () =>
    open.page.locator(".transcript").evaluate((each) =>
      Math.round(each.scrollHeight - each.scrollTop - each.clientHeight)
    );
  await comesToEqual(gap, 0);
  say(edge, 61);
  await open.page.locator(".message", { hasText: "Message 61" }).waitFor();
  await comesToEqual(gap, 0);
  // The page knows of it once the event has come, a frame later.
  await open.page.locator(".transcript").evaluate(async (each) => {
    const scrolled = new Promise((resolve) => each.addEventListener("scroll", resolve, { once: true }));
    each.scrollTo({ top: 0 });
    await scrolled;
  });
  const button = open.page.getByRole("button", { name: "New messages" });
  assertEquals(await button.count(), 0);
  say(edge, 62);
  await button.waitFor();
  assertEquals(await open.page.locator(".transcript").evaluate((each) => each.scrollTop), 0);
  await button.click();
  await button.waitFor({ state: "detached" });
  await comesToEqual(gap, 0);
});

Deno.test("after drops the page shows exactly what the store has", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  say(edge, 4);
  await open.page.locator(".message", { hasText: "Message 4" }).waitFor();
  for (let seq = 5; seq < 20; seq++) {
    edge.drop();
    await edge.until(() => edge.connects.length === seq - 3, "the page came back");
    await connected(open.page);
    // Every third is lost on the way, so that a jump shows and must be filled.
    if (seq % 3) say(edge, seq);
    else edge.messages[LIVE.sessionId]!.push(makeMessage(seq));
  }
  edge.push({ type: "session.updated", session: { ...edge.sessions[0]!, lastSeq: 19, updatedAt: ago(0) } });
  await open.page.locator(".message", { hasText: "Message 19" }).waitFor();
  await comesToEqual(() => shown(open.page), numbers(1, 19));
  const [first, second] = edge.connects;
  assertEquals([first!.after, second!.after], ["c0", "c4"], "each connect goes on from the last cursor taken in");
  // So that what was missed of it comes with the connection.
  assert(edge.connects.every(({ session }) => session === LIVE.sessionId), "each connect names the session");
});

Deno.test("a cursor that is too old makes the page read its lists anew", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  edge.tasks = [LIVE];
  edge.sessions = [{ ...edge.sessions[0]!, topic: "Read anew", lastSeq: 5, updatedAt: ago(0) }];
  edge.messages[LIVE.sessionId]!.push(makeMessage(4), makeMessage(5));
  edge.push({ type: "resync", reason: "too old", cursor: "c99" });
  await open.page.locator(".message", { hasText: "Message 5" }).waitFor();
  await comesToEqual(() => open.page.locator(".session-topic").allTextContents(), ["Read anew"]);
  edge.drop();
  await edge.until(() => edge.connects.length === 2, "the page came back");
  assertEquals(edge.connects[1]!.after, "c99");
});

Deno.test("the page says how its connection is", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  const mark = open.page.locator(".connection");
  await connected(open.page);
  await comesToEqual(async () => (await mark.textContent())?.trim(), "Connected");
  edge.refuseSockets = true;
  edge.drop();
  await open.page.locator(".connection-reconnecting").waitFor();
  await open.page.context().setOffline(true);
  await open.page.locator(".connection-offline").waitFor();
  edge.refuseSockets = false;
  await open.page.context().setOffline(false);
  await connected(open.page);
});

Deno.test("T066 views switch at once and keep the selection, the scroll positions and the texts", async () => {
  await using edge = edgeWith(80);
  edge.tasks.push(...Array.from({ length: 30 }, (_, n) => makeTask(100 + n)));
  await using open = await openPage(`${edge.url}${PATH}/chat/${LIVE.sessionId}`);
  const { page } = open;
  await page.locator(".markdown").first().waitFor();
  const place = () => page.locator(".transcript").evaluate((each) => each.scrollTop);
  await page.locator(".transcript").evaluate(async (each) => {
    each.scrollTo({ top: 1200 });
    // Rows are measured, and the place corrected, with the frames that follow.
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  });
  const read = await place();
  await page.getByRole("textbox", { name: "Follow-up" }).fill("half a prompt");
  await page.getByRole("textbox", { name: "New task", exact: true }).fill("half a task");
  await page.getByRole("link", { name: "Board" }).click();
  await isAt(page, `${PATH}/board`);
  const drafts = page.locator('[data-status="draft"] .cards');
  await drafts.waitFor();
  await drafts.evaluate((each) => each.scrollTo({ top: 500 }));
  const isInNextFrame = await page.evaluate(async () => {
    document.querySelector<HTMLElement>(".segment:not(.current)")!.click();
    await new Promise(requestAnimationFrame);
    return document.querySelector(".view:not(.away) .transcript") !== null;
  });
  assert(isInNextFrame, "the frame after the click shows the other view");
  await isAt(page, `${PATH}/chat/${LIVE.sessionId}`);
  await comesToEqual(place, read);
  assertEquals(await page.getByRole("textbox", { name: "Follow-up" }).inputValue(), "half a prompt");
  await page.goBack();
  await isAt(page, `${PATH}/board`);
  await comesToEqual(() => drafts.evaluate((each) => each.scrollTop), 500);
  assertEquals(await page.getByRole("textbox", { name: "New task", exact: true }).inputValue(), "half a task");
});

Deno.test("T063-6 T063-5 a card tells title and status, and opens the chat of its session", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(`${edge.url}${PATH}/board`);
  const card = open.page.locator(`[data-task="${DONE.id}"]`);
  assertEquals(await card.locator(".card-link").textContent(), "Done one");
  assertEquals(await card.locator(".badge").textContent(), "Completed");
  await card.locator(".card-link").click();
  await open.page.locator(".message", { hasText: "Done 2" }).waitFor();
  await isAt(open.page, `${PATH}/chat/${DONE.sessionId}`);
});

Deno.test("T063-9 a card of a live task has a spinner, and moves when its task does", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(`${edge.url}${PATH}/board`);
  await connected(open.page);
  const card = open.page.locator(`[data-task="${LIVE.id}"]`);
  await card.locator(".spinner").waitFor();
  edge.push({ type: "task.updated", task: { ...LIVE, status: "completed", updatedAt: ago(0) } });
  await open.page.locator(`[data-status="completed"] [data-task="${LIVE.id}"]`).waitFor();
  await card.locator(".spinner").waitFor({ state: "detached" });
});

Deno.test("follow-ups: Enter sends once under one id, Shift+Enter breaks the line, the queue shows and empties", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  const field = open.page.getByRole("textbox", { name: "Follow-up" });
  await field.fill("one");
  await field.press("Shift+Enter");
  await field.pressSequentially("two");
  await field.press("Enter");
  const sent = await edge.until(
    () => edge.requests.find((each) => each.path === `/sessions/${LIVE.sessionId}/prompts` && each.method === "POST"),
    "the prompt was sent",
  );
  const body = sent.body as { messageId: string; text: string };
  assertEquals(body.text, "one\ntwo");
  const waiting = open.page.locator(".waiting li");
  await waiting.waitFor();
  await comesToEqual(() => field.inputValue(), "");
  say(edge, 4, { messageId: body.messageId, role: "user", content: body.text });
  await waiting.waitFor({ state: "detached" });
  await open.page.keyboard.press("Control+Shift+X");
  await edge.until(() => edge.requests.find((each) => each.path.endsWith("/interrupt")), "the turn was interrupted");
});

Deno.test("a waiting prompt can be sent into the turn that runs where the session says so, and only then", async () => {
  await using edge = edgeWith(3);
  const prompt = { messageId: id(80), sessionId: LIVE.sessionId, text: "hurry", createdAt: ago(1) };
  edge.prompts = [{ ...prompt, state: "queued" }];
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  const waiting = open.page.locator(".waiting li");
  await waiting.waitFor();
  const button = waiting.getByRole("button", { name: "Send now" });
  assertEquals(await button.count(), 0);
  const session = edge.sessions.find((each) => each.id === LIVE.sessionId)!;
  edge.push({ type: "session.updated", session: { ...session, turn: "running", steering: true, updatedAt: ago(0) } });
  await button.click();
  await edge.until(
    () => edge.requests.find(({ path }) => path === `/sessions/${LIVE.sessionId}/prompts/${prompt.messageId}/steer`),
    "it was sent into the turn",
  );
  edge.push({ type: "prompt.updated", sessionId: LIVE.sessionId, prompt: { ...prompt, state: "sent" } });
  await waiting.getByText("Sent", { exact: true }).waitFor();
  await button.waitFor({ state: "detached" });
  edge.push({ type: "prompt.updated", sessionId: LIVE.sessionId, prompt: { ...prompt, state: "queued" } });
  await button.waitFor();
});

Deno.test("shortcuts switch views and sessions, and are silent while somebody types", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH);
  const { page } = open;
  const field = page.getByRole("textbox", { name: "New task", exact: true });
  await page.keyboard.press("b");
  await isAt(page, `${PATH}/board`);
  await page.keyboard.press("c");
  await isAt(page, `${PATH}/chat/${LIVE.sessionId}`);
  await page.keyboard.press("j");
  await isAt(page, `${PATH}/chat/${DONE.sessionId}`);
  await page.keyboard.press("k");
  await isAt(page, `${PATH}/chat/${LIVE.sessionId}`);
  await page.keyboard.press("n");
  await hasFocus(field);
  await page.keyboard.type("bcjk");
  await comesToEqual(() => field.inputValue(), "bcjk");
  await isAt(page, `${PATH}/chat/${LIVE.sessionId}`);
});

Deno.test("on a small screen the sessions lie in a drawer that a choice closes", async () => {
  await using edge = edgeWith(3);
  await using open = await openPage(edge.url + PATH, { viewport: { width: 375, height: 700 } });
  const link = open.page.locator(`[data-session="${DONE.sessionId}"]`);
  assertEquals(await link.isVisible(), false);
  await open.page.getByRole("button", { name: "Sessions" }).click();
  await link.click();
  await open.page.locator(".message", { hasText: "Done 2" }).waitFor();
  await link.waitFor({ state: "hidden" });
});

Deno.test("the whole of a long message is fetched when it is asked for", async () => {
  await using edge = edgeWith(1);
  const toolMetadata = { tool: "Read", target: "a.ts", status: "completed", toolCallId: "x" } as const;
  const whole = makeMessage(2, { role: "tool", content: "line\n".repeat(400) + "the end", toolMetadata });
  const cut = { ...whole, content: whole.content.slice(0, 600), truncated: true, contentBytes: 2007 };
  edge.messages[LIVE.sessionId]!.push(cut);
  edge.sessions[0]!.lastSeq = 2;
  edge.override = ({ path }) => path === `/sessions/${LIVE.sessionId}/messages/2` ? Response.json(whole) : null;
  await using open = await openPage(edge.url + PATH);
  await open.page.getByRole("button", { name: /Show all/ }).click();
  await open.page.locator(".tool-output", { hasText: "the end" }).waitFor();
});

Deno.test("messages that cannot be read are told, with a way to try again", async () => {
  await using edge = edgeWith(3);
  let broken = true;
  edge.override = ({ path }) =>
    broken && path.startsWith(`/sessions/${DONE.sessionId}/messages`)
      ? new Response("<html>", { status: 404, headers: { "content-type": "text/html" } })
      : null;
  await using open = await openPage(edge.url + PATH);
  await open.page.locator(`[data-session="${DONE.sessionId}"]`).click();
  await open.page.locator(".notice-error").waitFor();
  broken = false;
  await open.page.getByRole("button", { name: "Retry" }).click();
  await open.page.locator(".message", { hasText: "Done 2" }).waitFor();
  await open.page.locator(".notice-error").waitFor({ state: "detached" });
});

Deno.test("the header tells of a machine that cannot be reached, apart from the reader's own connection", async () => {
  await using edge = edgeWith(3);
  edge.tasks[0] = { ...LIVE, nodeId: id(700) };
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  const machine = open.page.locator(".session-header .machine");
  assertEquals(await machine.textContent(), "00000700");
  edge.push({ type: "node.updated", node: makeNode(700, { health: "unreachable" }) });
  await machine.getByText("Unreachable").waitFor();
  assert(await open.page.locator(".connection-connected").isVisible());
  edge.push({ type: "node.updated", node: makeNode(700) });
  await machine.getByText("Unreachable").waitFor({ state: "detached" });
});

Deno.test("an answer that comes after the reader has gone on belongs to its own session", async () => {
  await using edge = edgeWith(3);
  const late = Promise.withResolvers<void>();
  let asked = false;
  edge.override = async ({ path }) => {
    if (!path.startsWith(`/sessions/${DONE.sessionId}/messages`)) return null;
    asked = true;
    await late.promise;
    return null;
  };
  await using open = await openPage(edge.url + PATH);
  await connected(open.page);
  await open.page.locator(`[data-session="${DONE.sessionId}"]`).click();
  await edge.until(() => asked, "the messages were asked for");
  await open.page.locator(`[data-session="${LIVE.sessionId}"]`).click();
  await open.page.locator(".message", { hasText: "Message 3" }).waitFor();
  const answered = open.page.waitForResponse((response) => response.url().includes(`${DONE.sessionId}/messages`));
  late.resolve();
  await answered;
  const live = { type: "message.live", messageId: id(900), role: "assistant", rev: 1, at: 0 } as const;
  edge.push({ ...live, sessionId: DONE.sessionId, text: "Of the other one" });
  say(edge, 4);
  await open.page.locator(".message", { hasText: "Message 4" }).waitFor();
  await comesToEqual(() => shown(open.page), numbers(1, 4));
  await open.page.locator(`[data-session="${DONE.sessionId}"]`).click();
  await open.page.locator(".message", { hasText: "Done 2" }).waitFor();
  await comesToEqual(async () => (await shown(open.page)).join().includes("Message"), false);
});

Deno.test("what is typed while a follow-up is being sent is kept for the next one", async () => {
  await using edge = edgeWith(3);
  const gate = Promise.withResolvers<void>();
  edge.override = async ({ method, path }) => {
    if (method === "POST" && path.endsWith("/prompts")) await gate.promise;
    return null;
  };
  await using open = await openPage(edge.url + PATH);
  const field = open.page.getByRole("textbox", { name: "Follow-up" });
  await field.fill("one");
  await field.press("Enter");
  await edge.until(() => edge.requests.some(({ path }) => path.endsWith("/prompts")), "it was sent");
  await field.pressSequentially(" and two");
  gate.resolve();
  await open.page.locator(".waiting li").waitFor();
  await open.page.waitForFunction(() =>
    document.querySelector<HTMLTextAreaElement>(".composer textarea")!.value === "and two"
  );
});

import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright";
import type { Message } from "../../lib/wire/message.ts";
import { comesToEqual, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeMessage, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const TASK = makeTask(10, { status: "in_progress", run: 1, updatedAt: ago(1) });
const WORKSPACE = { id: id(70), status: "running", keptUntil: null } as const;

/** A live session with these messages. */
function edgeWith(messages: Message[]): FixtureEdge {
  const edge = new FixtureEdge();
  edge.tasks = [TASK];
  const session = makeSession(TASK, { status: "active", turn: "running", workspace: WORKSPACE });
  edge.sessions = [{ ...session, lastSeq: messages.length }];
  edge.messages[TASK.sessionId] = messages;
  return edge;
}

/** `count` messages of one turn, of very different heights. */
function uneven(count: number): Message[] {
  return Array.from({ length: count }, (_, index) => {
    const seq = index + 1;
    return makeMessage(seq, { content: `Message ${seq}.` + " and so on".repeat((seq * 7919) % 90) });
  });
}

interface Walk {
  /** Every message that was seen, in the order in which it was first seen. */
  seen: number[];
  /** The most elements that the transcript ever held. */
  elementsMax: number;
  /** Steps after which a message that stayed in view was not where the scroll had put it. */
  jumps: string[];
  /** Steps after which the middle of the view was empty, or messages in the document were not in a row. */
  faults: string[];
}

/** Scrolls in steps to the very top (-1) or bottom (1) and looks at each step. */
function walk(page: Page, direction: -1 | 1): Promise<Walk> {
  return page.locator(".transcript").evaluate(async (scroller, direction): Promise<Walk> => {
    const frames = async (count: number) => {
      for (let frame = 0; frame < count; frame++) await new Promise(requestAnimationFrame);
    };
    const numbers = () =>
      [...scroller.querySelectorAll("[data-row] .prose")].map((each) =>
        Number(/Message (\d+)/.exec(each.textContent!)![1])
      );
    const topOf = (seq: number) =>
      [...scroller.querySelectorAll("[data-row]")].find((row) => row.textContent!.includes(`Message ${seq}.`))
        ?.getBoundingClientRect().top;
    const result: Walk = { seen: [], elementsMax: 0, jumps: [], faults: [] };
    const seen = new Set<number>();
    const atEnd = () =>
      direction < 0
        ? scroller.scrollTop <= 0 && !scroller.querySelector(".column > .button")
        : scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 2;
    for (let step = 0; step < 20_000; step++) {
      const now = numbers();
      now.forEach((seq) => seen.add(seq));
      if (now.some((seq, at) => at > 0 && seq !== now[at - 1]! + 1)) result.faults.push(`not in a row: ${now}`);
      result.elementsMax = Math.max(result.elementsMax, scroller.querySelectorAll("*").length);
      const box = scroller.getBoundingClientRect();
      const middle = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (!middle?.closest("[data-row]")) result.faults.push(`empty at ${Math.round(scroller.scrollTop)}`);
      if (atEnd()) break;
      const watched = Number(/Message (\d+)/.exec(middle?.closest("[data-row]")?.textContent ?? "")?.[1]);
      const before = topOf(watched);
      const from = scroller.scrollTop;
      scroller.scrollBy(0, direction * 600);
      const moved = scroller.scrollTop - from;
      await frames(2);
      const after = topOf(watched);
      if (before !== undefined && after !== undefined && Math.abs(after - (before - moved)) > 2) {
        result.jumps.push(`${watched} by ${Math.round(after - (before - moved))}`);
      }
    }
    result.seen = [...seen];
    return result;
  }, direction);
}

Deno.test("500 uneven messages are read to the top and back: no hole, no jump, and the document stays small", async () => {
  await using edge = edgeWith(uneven(500));
  await using open = await openPage(edge.url + PATH);
  await open.page.locator(".markdown").first().waitFor();
  for (const direction of [-1, 1] as const) {
    const { seen, elementsMax, jumps, faults } = await walk(open.page, direction);
    assertEquals([jumps, faults], [[], []], `direction ${direction}`);
    const missing = Array.from({ length: 500 }, (_, at) => at + 1).filter((seq) => !seen.includes(seq));
    assertEquals(missing, [], "every message was in the document once");
    assert(elementsMax < 1_000, `${elementsMax} elements`);
  }
});

Deno.test("a jump with the scroll bar shows what is there", async () => {
  await using edge = edgeWith(uneven(500));
  edge.pageSize = 500;
  await using open = await openPage(edge.url + PATH);
  await open.page.locator(".markdown").first().waitFor();
  const middle = () =>
    open.page.locator(".transcript").evaluate(async (scroller) => {
      scroller.scrollTop = scroller.scrollHeight / 2;
      for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
      const box = scroller.getBoundingClientRect();
      return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)?.closest("[data-row]")
        ?.textContent ?? "";
    });
  const seq = Number(/Message (\d+)\./.exec(await middle())?.[1]);
  assert(seq > 150 && seq < 350, `message ${seq} is in the middle`);
});

Deno.test("what is read stays in its place while new messages and live text come at the end", async () => {
  await using edge = edgeWith(uneven(100));
  await using open = await openPage(edge.url + PATH);
  const { page } = open;
  await page.locator(".connection-connected").waitFor();
  await page.locator(".markdown").first().waitFor();
  const place = () =>
    page.locator('[data-row]:has-text("Message 50.")').evaluate((row) => row.getBoundingClientRect().top);
  await page.locator(".transcript").evaluate(async (scroller) => {
    scroller.scrollTop = scroller.scrollHeight / 2;
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  });
  const before = await place();
  const sessionId = TASK.sessionId;
  for (let seq = 101; seq <= 110; seq++) {
    const live = { type: "message.live", sessionId, messageId: makeMessage(seq).messageId, role: "assistant" } as const;
    edge.push({ ...live, rev: 1, at: 0, text: "On its way ".repeat(30) });
    edge.push({ type: "message.new", sessionId, message: makeMessage(seq), cursor: `c${seq}` });
  }
  await page.getByRole("button", { name: "New messages" }).waitFor();
  assert(Math.abs(await place() - before) < 2);
  await page.getByRole("button", { name: "New messages" }).click();
  await page.locator(".message", { hasText: "Message 110" }).waitFor();
});

/** A prompt, `steps` tool calls and an answer, from `seq` on. */
function turn(seq: number, steps: number): Message[] {
  const tool = { tool: "execute", target: "ls", status: "completed", toolCallId: "x" } as const;
  return [
    makeMessage(seq, { role: "user", content: `Prompt ${seq}`, createdAt: ago(30) }),
    ...Array.from(
      { length: steps },
      (_, index) => makeMessage(seq + 1 + index, { role: "tool", content: `step ${index}`, toolMetadata: tool }),
    ),
    makeMessage(seq + steps + 1, { content: `Answer ${seq}`, createdAt: ago(26) }),
  ];
}

Deno.test("a long turn that is over is folded to prompt, work and answer, and opens; the one that runs is not", async () => {
  await using edge = edgeWith([...turn(1, 37), ...turn(40, 3), ...turn(45, 9)]);
  await using open = await openPage(edge.url + PATH, { viewport: { width: 1280, height: 4_000 } });
  const { page } = open;
  const fold = page.locator(".fold");
  await comesToEqual(() => fold.allTextContents(), ["Worked 4 min, 37 steps"]);
  await comesToEqual(() => page.locator(".message-tool").count(), 12);
  await page.getByText("Answer 1", { exact: true }).waitFor();
  await fold.click();
  await fold.waitFor({ state: "detached" });
  await comesToEqual(() => page.locator(".message-tool").count(), 49);
  // What stood open stays open when its turn is over.
  const session = { ...edge.sessions[0]!, turn: "idle" as const, updatedAt: ago(0) };
  edge.sessions = [session];
  edge.push({ type: "session.updated", session });
  await page.locator(".composer button", { hasText: "Stop" }).waitFor({ state: "detached" });
  assertEquals(await fold.count(), 0);
});

Deno.test("the end stays in view when the window gets narrow, wide and narrow again", async () => {
  const long = (seq: number) => makeMessage(seq, { content: `Message ${seq}.` + " and so on".repeat(40) });
  await using edge = edgeWith([1, 2, 3, 4, 5, 6, 7, 8].map(long));
  await using open = await openPage(edge.url + PATH);
  const { page } = open;
  await page.locator(".markdown").first().waitFor();
  const toEnd = () =>
    page.locator(".transcript").evaluate(async (scroller) => {
      for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
      return { width: innerWidth, px: Math.round(scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight) };
    });
  for (const width of [1280, 375, 1280, 375]) {
    await page.setViewportSize({ width, height: 812 });
    await comesToEqual(toEnd, { width, px: 0 });
  }
});

Deno.test("the end stays in view when the window changes while text streams in", async () => {
  await using edge = edgeWith([1, 2, 3].map((seq) => makeMessage(seq, { content: "And so on. ".repeat(90) })));
  await using open = await openPage(edge.url + PATH);
  const { page } = open;
  await page.locator(".connection-connected").waitFor();
  await edge.until(() => edge.subscriptions.length > 0, "the page follows the session");
  const live = { type: "message.live", sessionId: TASK.sessionId, messageId: id(900), role: "assistant" } as const;
  let [rev, length] = [0, 0];
  const grow = () => {
    const text = `word${rev} and more `;
    edge.push({ ...live, rev: ++rev, at: length, text });
    length += text.length;
  };
  grow();
  await page.locator(".message[aria-busy]").waitFor();
  const timer = setInterval(grow, 5);
  try {
    for (const width of [375, 1280, 500, 1280, 375, 900]) {
      await page.setViewportSize({ width, height: 500 + (width % 300) });
      const before = rev;
      await edge.until(() => rev > before + 20, "more was said");
    }
  } finally {
    clearInterval(timer);
  }
  await page.locator(".message[aria-busy]", { hasText: `word${rev - 1}` }).waitFor();
  await page.waitForFunction(() => {
    const scroller = document.querySelector(".transcript")!;
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 2;
  });
  await page.locator(".new-messages").waitFor({ state: "detached" });
});

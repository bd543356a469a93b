/** The chat engine's page in a browser, against a real server with the demo coding agent. */
import { assert, assertEquals } from "@std/assert";
import type { Browser, Page } from "playwright";
import { launchBrowser } from "../../browser.ts";
import { Gate } from "../../gate.ts";
import { comesToEqual } from "../../islands/browser.ts";
import { KEY, TestServer } from "./server.ts";
import { shellAgent } from "./shell_agent.ts";

const NEW = { name: "New Session", exact: true };
const INPUT = { name: "Follow-up to this session" };
/** What a page has not done by then it does not do. */
const WAIT_MAX_MS = 30_000;

async function openPage(browser: Browser, server: TestServer, options: { signIn?: boolean } = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MAX_MS);
  await page.goto(server.url);
  if (options.signIn ?? true) await signIn(page, KEY);
  return page;
}

async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Connects anew, and keeps what the page sends from there on. */
async function framesOf(page: Page): Promise<string[]> {
  const sent: string[] = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.reload();
  return sent;
}

/** Makes a session and waits until it is the one that is shown. Answers its id. */
async function newSession(page: Page): Promise<string> {
  await page.getByText("Connected", { exact: true }).waitFor();
  const known = await page.locator(".engine-session").evaluateAll((rows) =>
    rows.map((row) => row.getAttribute("data-session"))
  );
  await page.getByRole("button", NEW).click();
  const handle = await page.waitForFunction((ids) => {
    const shown = document.querySelector(".engine-id")?.textContent ?? null;
    return shown !== null && !ids.includes(shown) ? shown : null;
  }, known);
  return (await handle.jsonValue())!;
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", INPUT).fill(text);
  await page.getByRole("textbox", INPUT).press("Enter");
}

const log = (page: Page) => page.getByRole("log");
const answer = (page: Page, text: string) => log(page).locator(".message-assistant", { hasText: text });

Deno.test({
  name: "the page of the chat engine",
  // Playwright keeps timers and pipes of its own.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using server = await TestServer.start({ env: { MAX_SESSIONS: "20" } });
    await using browser = await launchBrowser();

    await t.step("TASK-025-AC3 the gate holds until the key is right, and names a wrong one", async () => {
      const page = await openPage(browser, server, { signIn: false });
      await signIn(page, "wrong-key");
      await page.getByRole("alert").filter({ hasText: "does not know this key" }).waitFor();
      assertEquals(await page.getByRole("button", NEW).count(), 0);
      await signIn(page, KEY);
      await page.getByRole("button", NEW).waitFor();
      assertEquals(await page.evaluate(() => localStorage.getItem("hearth-api-key")), KEY);
      await page.reload();
      await page.getByRole("button", NEW).waitFor();
      await page.context().close();
    });

    await t.step("TASK-027-AC1, TASK-024-AC1, TASK-021-AC1, TASK-015-AC4 from the key to an answer", async () => {
      const page = await openPage(browser, server);
      await page.getByText("Connected", { exact: true }).waitFor();
      await newSession(page);
      await say(page, "say hello from the demo");
      await answer(page, "hello from the demo").waitFor();
      await log(page).locator(".message-user", { hasText: "say hello from the demo" }).waitFor();
      await comesToEqual(() => page.getByRole("textbox", INPUT).inputValue(), "");
      await page.context().close();
    });

    await t.step(
      "TASK-023-AC1, TASK-020-AC1, TASK-021-AC2 an answer grows with a caret, and stays when it is done",
      async () => {
        const page = await openPage(browser, server);
        await newSession(page);
        await say(page, "stream 400 20");
        // Both at one moment: some of the words, and the caret behind them.
        await page.waitForFunction(() => {
          const answer = document.querySelector(".message-assistant:has(.caret)")?.textContent ?? "";
          return answer.includes("word5 ") && !answer.includes("word400");
        });
        await answer(page, "word400").waitFor();
        await log(page).locator(".caret").waitFor({ state: "detached" });
        await page.context().close();
      },
    );

    await t.step(
      "TASK-023-AC2, TASK-023-AC3 a tool is executing, then complete with its time, or a red error",
      async () => {
        await using gate = await Gate.make();
        const page = await openPage(browser, server);
        await newSession(page);
        await say(page, `run ${gate.wait}; echo done\nrun echo broken; exit 3`);
        await log(page).getByText("Executing…").first().waitFor();
        await gate.open();
        await log(page).getByText(/^Complete \(<?[\d.]+ s\)$/).waitFor();
        const failed = log(page).locator(".tool-failed");
        await failed.getByText(/^Error/).waitFor();
        await failed.getByText("broken").first().waitFor();
        const colour = await failed.locator(".tool-status").evaluate((element) => getComputedStyle(element).color);
        const [red = 0, green = 0, blue = 0] = colour.match(/\d+/g)!.map(Number);
        assert(red > green + 50 && red > blue + 50, colour);
        await page.context().close();
      },
    );

    await t.step("TASK-023-AC4 the list follows what is new", async () => {
      const page = await openPage(browser, server);
      await newSession(page);
      await say(page, Array.from({ length: 60 }, (_, i) => `run echo line ${i}`).join("\n"));
      await say(page, "say the very end");
      await answer(page, "the very end").waitFor();
      const isAtEnd = () =>
        log(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 60);
      await comesToEqual(isAtEnd, true);
      await page.context().close();
    });

    await t.step(
      "TASK-024-AC2, TASK-020-AC3, TASK-024-AC4 Ctrl+Shift+X ends the answer, and typing goes on meanwhile",
      async () => {
        const page = await openPage(browser, server);
        await newSession(page);
        await say(page, "stream 2000 10");
        await answer(page, "word5 ").waitFor();
        await page.getByRole("button", { name: "Stop" }).waitFor();
        await page.getByRole("textbox", INPUT).fill("half a thought");
        assertEquals(await page.getByRole("textbox", INPUT).inputValue(), "half a thought");
        await page.keyboard.press("Control+Shift+X");
        await log(page).getByText("[Response interrupted]").waitFor();
        await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
        await comesToEqual(() => page.getByRole("textbox", INPUT).inputValue(), "half a thought");
        await page.context().close();
      },
    );

    await t.step("TASK-024-AC3 an empty message is not sent", async () => {
      const page = await openPage(browser, server);
      const sent = await framesOf(page);
      await newSession(page);
      await say(page, "   ");
      await say(page, "say marker");
      await answer(page, "marker").waitFor();
      const messages = sent.filter((frame) => frame.includes("user_message"));
      assertEquals(messages.length, 1);
      await page.context().close();
    });

    await t.step("TASK-021-AC3 a message goes out with its session and a number", async () => {
      const page = await openPage(browser, server);
      const sent = await framesOf(page);
      await newSession(page);
      await say(page, "say one");
      await answer(page, "one").waitFor();
      const id = await page.locator(".engine-id").textContent();
      const frames = sent.map((frame) => JSON.parse(frame)).filter((frame) => frame.type === "user_message");
      assertEquals(frames, [{ type: "user_message", session_id: id, text: "say one", seq: 1 }]);
      await page.context().close();
    });

    await t.step("a message that is written during an answer waits, and is sent after it", async () => {
      const page = await openPage(browser, server);
      await using gate = await Gate.make();
      await newSession(page);
      await say(page, `say before\nrun ${gate.wait}`);
      await answer(page, "before").waitFor();
      await say(page, "say afterwards");
      await page.getByLabel("Waiting prompts").getByText("say afterwards").waitFor();
      await gate.open();
      await answer(page, "afterwards").waitFor();
      await page.context().close();
    });

    await t.step(
      "TASK-022-AC1, TASK-022-AC2, TASK-027-AC2, TASK-020-AC2 sessions are listed, and each keeps its messages",
      async () => {
        const page = await openPage(browser, server);
        await newSession(page);
        await say(page, "say in the first");
        await answer(page, "in the first").waitFor();
        const first = await page.locator(".engine-id").textContent();
        await newSession(page);
        await say(page, "say in the second");
        await answer(page, "in the second").waitFor();
        await answer(page, "in the first").waitFor({ state: "detached" });
        const row = page.locator(`[data-session="${first}"]`);
        await row.locator(".engine-session-status").getByText(/Active|Idle/).waitFor();
        await row.filter({ hasText: "2 messages" }).waitFor();
        await comesToEqual(() => row.locator("time").count(), 1);
        await row.click();
        await answer(page, "in the first").waitFor();
        await answer(page, "in the second").waitFor({ state: "detached" });
        await page.context().close();
      },
    );

    await t.step(
      "TASK-025-AC1, TASK-021-AC4 the bar says Connected and Reconnecting…, and it connects again after 3 s",
      async () => {
        let drop = () => {};
        const other = await browser.newContext();
        const cut = await other.newPage();
        cut.setDefaultTimeout(WAIT_MAX_MS);
        let opened = 0;
        const times: number[] = [];
        await cut.routeWebSocket(/\/ws\/v1\/chat/, (socket) => {
          opened++;
          times.push(Date.now());
          const real = socket.connectToServer();
          drop = () => void Promise.all([real.close(), socket.close({ code: 1012 })]);
        });
        await cut.goto(server.url);
        await signIn(cut, KEY);
        await cut.getByText("Connected", { exact: true }).waitFor();
        const dropped = Date.now();
        drop();
        await cut.getByText("Reconnecting…", { exact: true }).waitFor();
        await cut.getByText("Connected", { exact: true }).waitFor();
        assertEquals(opened, 2);
        assert(times[1]! - dropped >= 2_900, `${times[1]! - dropped} ms`);
        await other.close();
      },
    );

    await t.step("a key that is not valid any more is asked for again, and its socket stays closed", async () => {
      const page = await (await browser.newContext()).newPage();
      page.setDefaultTimeout(WAIT_MAX_MS);
      let drop = () => {};
      let opened = 0;
      await page.routeWebSocket(/\/ws\/v1\/chat/, (socket) => {
        opened++;
        const real = socket.connectToServer();
        drop = () => void Promise.all([real.close(), socket.close({ code: 1012 })]);
      });
      await page.goto(server.url);
      await signIn(page, KEY);
      await page.getByText("Connected", { exact: true }).waitFor();
      await page.route("**/api/v1/ws-ticket", (route) => route.fulfill({ status: 401 }));
      drop();
      await page.getByRole("alert").filter({ hasText: "does not know this key" }).waitFor();
      await page.unroute("**/api/v1/ws-ticket");
      await signIn(page, KEY);
      await newSession(page);
      await page.evaluate(() => dispatchEvent(new Event("online")));
      await say(page, "say still the one");
      await answer(page, "still the one").waitFor();
      assertEquals(opened, 2);
      await page.context().close();
    });

    await t.step("TASK-027-AC3 no sideways scrolling at 360 px", async () => {
      const page = await openPage(browser, server);
      await newSession(page);
      await say(page, `say ${"long ".repeat(40)}${"x".repeat(300)}`);
      await page.setViewportSize({ width: 360, height: 640 });
      await answer(page, "long long").waitFor();
      await comesToEqual(() => page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
      await page.context().close();
    });

    await t.step("TASK-026-AC1 an error comes with a Retry that sends the message again", async () => {
      const page = await openPage(browser, server);
      await newSession(page);
      await say(page, "fail the model said something secret");
      const alert = page.getByRole("alert");
      await alert.getByText("You can retry").waitFor();
      assert(!(await alert.textContent())!.includes("secret"));
      await alert.getByRole("button", { name: "Retry" }).click();
      await log(page).locator(".message-user").nth(1).waitFor();
      await page.context().close();
    });
  },
});

Deno.test({
  name: "the page of the chat engine, with a slow coding agent that costs something, and a session that ends",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using browser = await launchBrowser();

    await t.step(
      "TASK-022-AC3, TASK-025-AC2 New Session shows that one is made; the bar shows what an answer cost",
      async () => {
        const folder = await Deno.makeTempDir();
        const onPrompt =
          `update '{"sessionUpdate":"usage_update","used":1,"size":2,"cost":{"amount":0.42,"currency":"USD"}}'` +
          `; update '{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"dear"}}'` +
          `; answer '{"stopReason":"end_turn"}'`;
        const command = await shellAgent(folder, { onStart: "sleep 1", onPrompt });
        {
          await using server = await TestServer.start({ folder, env: { CODING_AGENT_COMMAND: command } });
          const page = await openPage(browser, server);
          const sent = await framesOf(page);
          await newSession(page);
          const making = page.getByText("Creating a session…").waitFor();
          await newSession(page);
          await making;
          await page.getByText("Creating a session…").waitFor({ state: "detached" });
          assertEquals(sent.filter((frame) => frame === '{"type":"create_session"}').length, 2);
          await page.locator(".engine-cost", { hasText: "$0.0000" }).waitFor();
          await say(page, "anything");
          await page.locator(".engine-cost", { hasText: "$0.4200" }).waitFor();
          await page.context().close();
        }
        await Deno.remove(folder, { recursive: true });
      },
    );

    await t.step("TASK-026-AC2, TASK-026-AC3 a warning counts down; an end says why, and offers to go on", async () => {
      await using server = await TestServer.start({
        config: { maxSessionDurationMs: 20_000, durationWarningPercent: 30 },
        options: { monitor: { durationEveryMs: 100 } },
      });
      const page = await openPage(browser, server);
      await newSession(page);
      await say(page, "say before the end");
      await answer(page, "before the end").waitFor();
      await page.locator(".notice-warning", { hasText: /\d s left/ }).waitFor();
      const ended = page.locator(".notice-warning", { hasText: "The session ended" });
      await ended.getByText("longest duration").waitFor();
      await ended.getByRole("button", { name: "Start New Session" }).waitFor();
      await ended.getByRole("button", { name: "Resume" }).click();
      await ended.waitFor({ state: "detached" });
      await say(page, "say after it");
      await answer(page, "after it").waitFor();
      await answer(page, "before the end").waitFor();
      await page.context().close();
    });
  },
});

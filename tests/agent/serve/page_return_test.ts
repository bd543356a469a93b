/** The chat engine's page for who comes back: in the middle of a tool, after a restart of the server, to a long session. */
import { assertEquals } from "@std/assert";
import type { Browser, Page } from "playwright";
import { launchBrowser } from "../../browser.ts";
import { Gate } from "../../gate.ts";
import { comesToEqual } from "../../islands/browser.ts";
import { KEY, said, TestServer } from "./server.ts";

const INPUT = { name: "Follow-up to this session" };

async function openPage(browser: Browser, server: TestServer): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(server.url);
  await page.getByLabel("API key").fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  return page;
}

const log = (page: Page) => page.getByRole("log");
const stop = (page: Page) => page.getByRole("button", { name: "Stop" });

Deno.test({
  name: "the chat engine's page for who comes back",
  // Playwright keeps timers and pipes of its own.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using browser = await launchBrowser();

    await t.step("in the middle of a silent tool the turn is shown as running, and the tool once", async () => {
      await using server = await TestServer.start();
      await using gate = await Gate.make();
      const page = await openPage(browser, server);
      await page.getByRole("button", { name: "New Session", exact: true }).click();
      await page.locator(".engine-id").waitFor();
      await page.getByRole("textbox", INPUT).fill(`say before\nrun ${gate.wait}; echo went\nsay after`);
      await page.getByRole("textbox", INPUT).press("Enter");
      await log(page).getByText("Executing…").waitFor();
      await page.reload();
      await log(page).getByText("Executing…").waitFor();
      await stop(page).waitFor();
      await gate.open();
      await log(page).locator(".message-assistant", { hasText: "after" }).waitFor();
      await stop(page).waitFor({ state: "detached" });
      await comesToEqual(() => log(page).getByText("Executing…").count(), 0);
      await comesToEqual(() => log(page).getByText(/^Complete/).count(), 1);
      await page.context().close();
    });

    await t.step("in the middle of an answer its beginning is not marked as interrupted", async () => {
      await using server = await TestServer.start();
      const page = await openPage(browser, server);
      await page.getByRole("button", { name: "New Session", exact: true }).click();
      await page.locator(".engine-id").waitFor();
      const prompt = `run true\nsay the beginning\nwait 60000`;
      await page.getByRole("textbox", INPUT).fill(prompt);
      await page.getByRole("textbox", INPUT).press("Enter");
      await log(page).locator(".message-assistant", { hasText: "the beginning" }).waitFor();
      await page.reload();
      await log(page).locator(".message-assistant", { hasText: "the beginning" }).waitFor();
      await stop(page).waitFor();
      assertEquals(await log(page).getByText("[Response interrupted]").count(), 0);
      await stop(page).click();
      await log(page).getByText("[Response interrupted]").waitFor();
      await page.context().close();
    });

    await t.step("a long session comes in pages, and after a restart of the server new answers are shown", async () => {
      const folder = await Deno.makeTempDir();
      const first = await TestServer.start({ folder });
      const port = Number(new URL(first.url).port);
      const client = await first.connect();
      const id = await client.create();
      for (let n = 1; n <= 130; n++) assertEquals(said(await client.turn(id, `say answer ${n}!`)), `answer ${n}!`);
      await client.close();
      const page = await openPage(browser, first);
      await log(page).getByText("answer 130!", { exact: true }).waitFor();
      await comesToEqual(async () => {
        await log(page).evaluate((element) => element.scrollTop = 0);
        return await log(page).getByText("answer 1!", { exact: true }).count();
      }, 1);
      await page.getByRole("button", { name: "Load older messages" }).waitFor({ state: "detached" });

      await first[Symbol.asyncDispose]();
      await page.getByText("Reconnecting…", { exact: true }).waitFor();
      await using _second = await TestServer.start({ folder, config: { port } });
      await page.getByText("Connected", { exact: true }).waitFor();
      await page.getByRole("textbox", INPUT).fill("say numbers begin anew");
      await page.getByRole("textbox", INPUT).press("Enter");
      await comesToEqual(async () => {
        await log(page).evaluate((element) => element.scrollTop = element.scrollHeight);
        return await log(page).locator(".message-assistant", { hasText: "numbers begin anew" }).count();
      }, 1);
      await page.context().close();
    });
  },
});

/**
 * A real Chromium for tests of the page. One browser for all tests of a file, a fresh context for each test, and
 * whatever the page complains of (errors, refused by policy) collected, so that a test can insist on silence.
 */
import { assertEquals } from "@std/assert";
import { isDeepStrictEqual } from "node:util";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright";
import { launchBrowser } from "../browser.ts";

/** A page that has not done it by then does not do it. */
const WAIT_MAX_MS = 30_000;

let browser: Browser | undefined;

/** Call once in a test file: the browser starts before its tests and ends after them. */
export function useBrowser(): void {
  Deno.test.beforeAll(async () => {
    browser = await launchBrowser();
  });
  Deno.test.afterAll(async () => {
    await browser?.close();
    browser = undefined;
  });
}

export interface OpenPage extends AsyncDisposable {
  page: Page;
  complaints: string[];
}

/** `url` in a fresh context, once its islands are alive. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser!.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await alive(page);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** Waits until the islands of the page as it is now are alive: what is pressed from here on is heard. */
export async function alive(page: Page): Promise<void> {
  await page.waitForFunction(() => !document.querySelector("hearth-island:not([data-ready])"));
}

/** Waits until `locator` has the keyboard, which many a page gives it an event after what asked for it. */
export async function hasFocus(locator: Locator): Promise<void> {
  await locator.and(locator.page().locator(":focus")).waitFor();
}

/** Waits until the address has this path: the browser tells of it some time after the click. */
export async function isAt(page: Page, path: string): Promise<void> {
  await page.waitForURL((url) => url.pathname === path);
}

/** Asserts that what is read of the page comes to equal `expected`; for what no locator can wait for. */
export async function comesToEqual<T>(read: () => T | Promise<T>, expected: T): Promise<void> {
  for (const deadline = performance.now() + WAIT_MAX_MS; performance.now() < deadline;) {
    if (isDeepStrictEqual(await read(), expected)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(await read(), expected);
}

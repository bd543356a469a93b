/**
 * A real Chromium for tests of the page. One browser for all tests of a file, a fresh context for each test, and
 * whatever the page complains of (errors, refused by policy) collected, so that a test can insist on silence.
 */
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { launchBrowser } from "../browser.ts";

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
  await page.waitForFunction(() => !document.querySelector("hearth-island:not([data-ready])"));
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

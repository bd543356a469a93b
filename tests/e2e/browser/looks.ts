/** A page in each of its looks, light and dark, wide and narrow: a picture of it, and what axe finds wrong with it. */
import { assertEquals } from "@std/assert";
import axe from "axe-core";
import type { Page } from "playwright";
import { inEveryLook, savePicture } from "./scene.ts";

const RULES = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };

interface Found {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** Takes the pictures of the page as it is now and insists that axe finds nothing in any of them, and no overflow. */
export async function checkLooks(page: Page, name: string): Promise<void> {
  // Read as the page's own script by the debugger, which the policy does not concern.
  await page.evaluate(axe.source);
  await inEveryLook(page, async (look) => {
    await savePicture(page, `${name}-${look}`);
    const found = await page.evaluate<Found, typeof RULES>(
      (rules) => (globalThis as unknown as { axe: typeof axe }).axe.run(document, rules) as Promise<Found>,
      RULES,
    );
    const sentences = found.violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary ?? ""}`)
    );
    assertEquals(sentences, [], `${name} ${look}`);
    const wider = await page.evaluate(() =>
      document.documentElement.scrollWidth - document.documentElement.clientWidth
    );
    assertEquals(wider, 0, `${name} ${look} is wider than the window`);
  });
}

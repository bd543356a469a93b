/** The same work on a phone: 375 px, dark, by touch. What is pressed must lie inside the window and be large enough. */
import { assert, assertEquals } from "@std/assert";
import type { Locator } from "playwright";
import { useBrowser } from "../../islands/browser.ts";
import { followUp, openScene, PHONE, picture, statusIs, taskField } from "./scene.ts";

useBrowser();

/** The least side of what is pressed, by WCAG 2.2. */
const TARGET_MIN_PX = 24;

/** Taps, after a look at where it is. */
async function tap(target: Locator): Promise<void> {
  await target.tap({ trial: true });
  const box = (await target.boundingBox())!;
  assert(box.x >= 0 && box.x + box.width <= PHONE.viewport.width + 1, `${target} lies outside`);
  assert(Math.min(box.width, box.height) >= TARGET_MIN_PX, `${target} is ${box.width} by ${box.height}`);
  await target.tap();
}

Deno.test("on a phone: a task is run, followed up, interrupted and looked at on the board, and back", async () => {
  await using scene = await openScene({ browser: PHONE });
  const { page, open } = scene;
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });
  await taskField(page).fill("say Working.\nstream 5000 20");
  await tap(button("Run Now"));
  await page.locator(".message[aria-busy]", { hasText: "word5" }).waitFor();
  await followUp(page).fill("say First");
  await tap(button("Send"));
  await followUp(page).fill("say Never");
  await tap(button("Send"));
  const waiting = page.locator(".waiting li");
  await waiting.nth(1).waitFor();
  await tap(waiting.nth(1).getByRole("button", { name: /Remove/ }));
  await waiting.nth(1).waitFor({ state: "detached" });
  await tap(waiting.first().getByRole("button", { name: /Edit/ }));
  await page.getByRole("textbox", { name: "Waiting prompt" }).fill("say Edited.");
  await tap(button("Save"));
  await waiting.filter({ hasText: "say Edited." }).waitFor();
  await picture(page, "phone-waiting");
  await tap(button("Stop"));
  await page.locator(".message-assistant", { hasText: "[Response interrupted]" }).waitFor();
  await page.locator(".message-assistant", { hasText: "Edited." }).waitFor();
  await statusIs(page, "completed");
  assert(!(await page.locator(".transcript").textContent())!.includes("Never"));

  await tap(page.getByRole("link", { name: "Board" }));
  // The whole card is the link.
  await page.locator('[data-status="completed"] .card-link').tap();
  await page.locator(".view:not(.away) .transcript").waitFor();
  await page.goBack();
  await page.locator(".view:not(.away) .board").waitFor();
  await page.goForward();
  await page.locator(".view:not(.away) .transcript").waitFor();
  await tap(button("Sessions"));
  await page.locator(".sidebar.open .session-link.selected").waitFor();
  await picture(page, "phone-sessions");
  await tap(button("Close the list of sessions"));
  assertEquals(open.complaints, []);
});

Deno.test("on a phone: a draft is edited on its card and run, cancelled and retried", async () => {
  await using scene = await openScene({ browser: PHONE });
  const { page } = scene;
  await taskField(page).fill("say not this");
  await tap(page.getByRole("button", { name: "More ways to save" }));
  await tap(page.getByRole("menuitem", { name: /Save to Backlog/ }));
  await tap(page.getByRole("link", { name: "Board" }));
  const draft = page.locator('[data-status="draft"] .card');
  await tap(draft.getByRole("button", { name: "Edit" }));
  await draft.getByRole("textbox", { name: "Title" }).fill("Wait for me");
  await draft.getByRole("textbox", { name: "Description" }).fill("say Begun.\nwait 60000");
  await tap(draft.getByRole("button", { name: "Save" }));
  await tap(draft.getByRole("button", { name: "Run" }));
  await page.locator('[data-status="in_progress"] .card-link', { hasText: "Wait for me" }).tap();
  await page.locator(".message-assistant", { hasText: "Begun." }).waitFor();
  await tap(page.locator(".session-header").getByRole("button", { name: "Cancel" }));
  await statusIs(page, "cancelled");
  await picture(page, "phone-cancelled");
  await tap(page.locator(".session-header").getByRole("button", { name: "Retry" }));
  await statusIs(page, "in_progress");
  await page.locator(".session-header", { hasText: "Run 2" }).waitFor();
});

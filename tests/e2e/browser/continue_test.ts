/** Under a completed task stands the field that goes on from it. */
import { assertEquals } from "@std/assert";
import { comesToEqual, isAt, useBrowser } from "../../islands/browser.ts";
import { checkLooks } from "./looks.ts";
import { openScene, runNow, statusIs, transcriptOf } from "./scene.ts";

useBrowser();

Deno.test("what is sent under a completed task becomes a new one, from its branch, and is shown at once", async () => {
  await using scene = await openScene();
  const { page, open, repository, projectId } = scene;
  await runNow(page, "write one.txt: one\nsay The first is done.");
  await statusIs(page, "completed");
  const first = await page.locator(".session-link.selected").getAttribute("data-session");
  const field = page.getByRole("textbox", { name: "Continue with a new task" });
  await checkLooks(page, "continue");
  await field.fill("run cat one.txt");
  await page.keyboard.press("Enter");
  await page.locator(".system-line", { hasText: "Goes on with" }).waitFor();
  await statusIs(page, "completed");
  const selected = page.locator(".session-link.selected");
  await comesToEqual(async () => await selected.getAttribute("data-session") === first, false);
  await isAt(page, `/projects/${projectId}/chat/${await selected.getAttribute("data-session")}`);
  await comesToEqual(async () => (await transcriptOf(page)).at(-1), "tool: one");
  assertEquals((await repository.branches()).length, 2, "nothing new to push");
  assertEquals(open.complaints, []);
});

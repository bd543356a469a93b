/** Ways through a project with several sessions: the sidebar, the address, back and forward, two tabs, the keyboard. */
import { assertEquals } from "@std/assert";
import { Gate } from "../../gate.ts";
import { comesToEqual, isAt, useBrowser } from "../../islands/browser.ts";
import { alive, openScene, picture, runNow, type Scene, show, statusIs, transcriptOf } from "./scene.ts";

useBrowser();

const RUN_MAX_MS = 60_000;

/** Runs a task to its end by the API and gives its session. */
async function ran(scene: Scene, description: string): Promise<string> {
  const { taskId, sessionId } = await scene.edge.call(`POST /api/projects/${scene.projectId}/tasks/submit`, {
    description,
  });
  let status = "";
  for (const deadline = Date.now() + RUN_MAX_MS; Date.now() < deadline && status !== "failed";) {
    ({ status } = await scene.edge.call(`GET /api/projects/${scene.projectId}/tasks/${taskId}`));
    if (status === "completed") return sessionId;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the run did not complete: it is ${status}`);
}

Deno.test("T075 the newest session shows first, the sidebar switches, and the live one pulses", async () => {
  await using scene = await openScene();
  const { page, projectUrl, open } = scene;
  const first = await ran(scene, "say The first answer.");
  const second = await ran(scene, "say The second answer.");
  await show(page, projectUrl);
  await comesToEqual(async () => (await transcriptOf(page)).at(-1), "assistant: The second answer.");
  assertEquals(await page.locator(".session-link.selected").getAttribute("data-session"), second);

  await page.locator(`[data-session="${first}"]`).click();
  await page.locator(".message-assistant", { hasText: "The first answer." }).waitFor();
  await comesToEqual(async () => (await transcriptOf(page)).join().includes("second"), false);
  await isAt(page, `/projects/${scene.projectId}/chat/${first}`);

  await using gate = await Gate.make();
  await runNow(page, `say Working.\nrun ${gate.wait}\nsay Over.`);
  const live = page.locator(".session-link.selected .dot");
  await page.locator(".session-link.selected .dot.pulse").waitFor();
  await comesToEqual(async () => (await live.textContent())?.trim(), "Live");
  await page.locator(`[data-session="${first}"]`).click();
  await page.locator(".session-link:not(.selected) .dot.pulse").waitFor();
  await gate.open();
  await page.locator(".dot.pulse").first().waitFor({ state: "detached" });
  await comesToEqual(async () => (await transcriptOf(page)).at(-1), "assistant: The first answer.");
  await picture(page, "sessions");
  assertEquals(open.complaints, []);
});

Deno.test("T075 back and forward go through sessions and views, and an address leads straight to its session", async () => {
  await using scene = await openScene();
  const { page, projectUrl } = scene;
  const first = await ran(scene, "say The first answer.");
  const second = await ran(scene, "say The second answer.");
  await show(page, projectUrl);
  await page.locator(`[data-session="${first}"]`).click();
  await page.getByRole("link", { name: "Board" }).click();
  await page.locator('[data-status="completed"] .card').first().waitFor();
  await page.goBack();
  await page.locator(".message-assistant", { hasText: "The first answer." }).waitFor();
  await page.goBack();
  await page.locator(".message-assistant", { hasText: "The second answer." }).waitFor();
  await page.goForward();
  await page.locator(".message-assistant", { hasText: "The first answer." }).waitFor();
  await show(page, `${projectUrl}/chat/${second}`);
  await page.locator(".message-assistant", { hasText: "The second answer." }).waitFor();
});

Deno.test("two tabs show the same while one of them works", async () => {
  await using scene = await openScene();
  const other = await scene.page.context().newPage();
  await show(other, scene.projectUrl);
  await runNow(scene.page, "stream 100 10\nsay Both see this.");
  await other.locator(".session-link").click();
  for (const page of [scene.page, other]) {
    await statusIs(page, "completed");
    await page.locator(".message-assistant", { hasText: "Both see this." }).waitFor();
  }
  await comesToEqual(() => transcriptOf(other), await transcriptOf(scene.page));
});

Deno.test("the main job needs no mouse", async () => {
  await using scene = await openScene();
  const { page } = scene;
  await page.keyboard.press("n");
  await page.locator("#task-text:focus").waitFor();
  await page.keyboard.type("write key.txt: board");
  // On to Options and Run Now, each seen with a focus ring.
  for (const name of ["Options", "Run Now"]) {
    await page.keyboard.press("Tab");
    const button = page.getByRole("button", { name, exact: true });
    await button.and(page.locator(":focus-visible")).waitFor();
  }
  await page.keyboard.press("Enter");
  await statusIs(page, "completed");
  await page.locator("body").click({ position: { x: 5, y: 400 } });
  await page.keyboard.press("b");
  await page.locator('[data-status="completed"] .card').waitFor();
  await page.locator(".card-link").focus();
  await page.keyboard.press("Enter");
  await page.locator(".message-tool").waitFor();
  await page.keyboard.press("b");
  await page.locator(".view:not(.away) .board").waitFor();
  await page.keyboard.press("c");
  await page.locator(".view:not(.away) .transcript").waitFor();
  await page.reload();
  await alive(page);
});

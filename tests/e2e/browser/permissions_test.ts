/** A coding agent asks and people answer in the browser: on two devices at once, by keyboard, over a crash of the edge. */
import { assertEquals } from "@std/assert";
import { comesToEqual, useBrowser } from "../../islands/browser.ts";
import { checkLooks } from "./looks.ts";
import { alive, openScene, runNow, show, statusIs } from "./scene.ts";

useBrowser();

const TASK = "ask echo one > one.txt\nask write ../out.txt: leaves the checkout\nask echo two > two.txt\nsay All done.";

Deno.test("what the coding agent asks shows on every device, is answered from any, and outlives a crash of the edge", async () => {
  await using scene = await openScene();
  const { page, edge, projectId, projectUrl, open, repository } = scene;
  await edge.call(`PATCH /api/projects/${projectId}`, { permissionMode: "ask" });
  await runNow(page, TASK);
  const cards = page.locator(".permission");
  await cards.getByText("echo one > one.txt").waitFor();
  await page.locator(".session-link.selected .badge-asks").waitFor();
  await page.waitForFunction(() => document.title.startsWith("(1) "));
  await page.locator(".tool-status", { hasText: "Waiting for permission" }).waitFor();

  const phone = await page.context().newPage();
  await phone.setViewportSize({ width: 375, height: 812 });
  await show(phone, projectUrl);
  await phone.locator(".permission").waitFor();
  await phone.getByRole("link", { name: "Board" }).click();
  await phone.locator('[data-status="in_progress"] .badge-asks').waitFor();
  await phone.getByRole("link", { name: "Chat" }).click();
  await checkLooks(page, "permission");

  // By keyboard: the first button allows.
  await cards.getByRole("button", { name: "Allow once" }).focus();
  await page.keyboard.press("Enter");
  await cards.getByText("out.txt").waitFor();
  await cards.locator(".diff-line", { hasText: "+leaves the checkout" }).waitFor();
  await checkLooks(page, "permission-diff");

  // From the phone; here it goes, and says who.
  await phone.locator(".permission").getByRole("button", { name: "Reject" }).click();
  await cards.getByText("echo two > two.txt").waitFor();
  await comesToEqual(() => cards.count(), 1);
  await page.locator(".tool-permission", { hasText: "Allowed by admin" }).waitFor();
  await page.locator(".tool-permission", { hasText: "Rejected by admin" }).waitFor();

  await edge.kill();
  await edge.start();
  await page.locator(".connection-connected").waitFor();
  await show(phone, projectUrl);
  await phone.locator(".permission").getByText("echo two > two.txt").waitFor();
  await page.locator(".permission").getByRole("button", { name: "Allow once" }).click();
  await statusIs(page, "completed");
  await phone.locator(".permission").waitFor({ state: "detached" });
  await comesToEqual(() => page.locator(".badge-asks").count(), 0);
  await page.waitForFunction(() => !document.title.startsWith("("));
  const [branch] = (await repository.branches()).filter((name) => name !== "main");
  const files = await repository.git(["ls-tree", "--name-only", branch!]);
  assertEquals(files.split("\n").filter((name) => name.endsWith(".txt")), ["one.txt", "two.txt"]);
  // A dead edge is complained of, nothing else.
  assertEquals(open.complaints.filter((each) => !/WebSocket|ERR_CONNECTION|Failed to load/.test(each)), []);
});

Deno.test("the settings say what goes ahead without asking, and save it", async () => {
  await using scene = await openScene();
  const { page, edge, projectId, projectUrl } = scene;
  await show(page, `${projectUrl}/settings`);
  const policy = page.getByLabel("What goes ahead without asking");
  for (
    const [field, choice] of [
      [page.getByLabel("Permissions of the coding agent"), "ask"],
      [policy, "edits"],
      [policy, "all"],
    ] as const
  ) {
    const saved = page.waitForResponse((response) => response.request().method() === "PATCH");
    await field.selectOption(choice);
    assertEquals((await saved).status(), 200);
  }
  await page.reload();
  await alive(page);
  await policy.waitFor();
  assertEquals(await page.getByLabel("Permissions of the coding agent").inputValue(), "ask");
  assertEquals(await policy.inputValue(), "all");
  assertEquals((await edge.call(`GET /api/projects/${projectId}`)).settings, {
    askBeforeReads: true,
    askBeforeEdits: true,
  });
  await checkLooks(page, "settings-ask");
});

/** No page and no state of a page has a fault that axe can find, in light and dark, wide and narrow. */
import { useBrowser } from "../../islands/browser.ts";
import { checkLooks as check } from "./looks.ts";
import { openScene, runNow, show, statusIs, taskField } from "./scene.ts";

useBrowser();

Deno.test("axe finds no violation on any page", async () => {
  await using scene = await openScene();
  const { page, edge, projectUrl, projectId } = scene;
  await check(page, "project-empty");
  await taskField(page).fill("   ");
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByRole("button", { name: "Run Now" }).click();
  await page.locator("#task-text-error").waitFor();
  await check(page, "task-form-open");
  await page.getByRole("button", { name: "More ways to save" }).click();
  await page.getByRole("menuitem").first().waitFor();
  await check(page, "task-form-menu");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Options" }).click();
  const all = "think A thought.\nplan One; Two\nwrite a.txt: b\nrun cat a.txt\nrun false\nsay Done.\nfail It broke.";
  await runNow(page, all);
  await statusIs(page, "failed");
  await check(page, "session-failed");
  await page.getByRole("button", { name: /^took / }).click();
  await check(page, "session-phases");
  await page.getByRole("button", { name: "More about this session" }).click();
  await check(page, "session-menu");
  await page.getByRole("button", { name: "History" }).click();
  await page.locator(".history li").first().waitFor();
  await check(page, "history");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Control+K");
  await page.getByRole("dialog", { name: "Commands" }).waitFor();
  await check(page, "commands");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.locator("h1").click();
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await check(page, "shortcuts");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await edge.call(`POST /api/projects/${projectId}/tasks`, { description: "say later", priority: 5 });
  await page.getByRole("link", { name: "Board" }).click();
  await page.locator('[data-status="draft"] .card').waitFor();
  await check(page, "board");
  const pages = { settings: `${projectUrl}/settings`, projects: "/projects", nodes: "/nodes", api: "/docs/api" };
  for (const [name, path] of Object.entries(pages)) {
    await show(page, new URL(path, edge.url).href);
    await check(page, name);
  }
  await page.goto(`${edge.url}/projects/${crypto.randomUUID()}`);
  await check(page, "error-not-found");
  await page.context().clearCookies();
  await page.goto(`${edge.url}/signin`);
  await check(page, "sign-in");
  await page.getByLabel("API key").fill("hk_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".field-error").waitFor();
  await check(page, "sign-in-wrong");
});

/** What a run may cost stands on its task; the nodes page stops everything after a second press. */
import { assertEquals } from "@std/assert";
import { useBrowser } from "../../islands/browser.ts";
import { checkLooks } from "./looks.ts";
import { openScene, runNow, show, statusIs } from "./scene.ts";

useBrowser();

Deno.test("a run's cost is shown beside its limit, and everything stops from the nodes page", async () => {
  await using scene = await openScene();
  const { page, edge, projectId, projectUrl, open } = scene;
  await show(page, `${projectUrl}/settings`);
  for (const [label, value] of [["Most cost of a run, in US$", "2"], ["Most turns of a run", "50"]] as const) {
    const saved = page.waitForResponse((response) => response.request().method() === "PATCH");
    await page.getByLabel(label).fill(value);
    await page.keyboard.press("Enter");
    assertEquals((await saved).status(), 200);
  }
  assertEquals((await edge.call(`GET /api/projects/${projectId}`)).settings, {
    maxCostUsdPerRun: 2,
    maxTurnsPerRun: 50,
  });
  await show(page, projectUrl);
  await runNow(page, "spend 0.5\nrun sleep 600");
  await page.locator(".facts").getByText("$0.50 of $2.00").waitFor();
  await show(page, `${edge.url}/nodes`);
  const stop = page.getByRole("button", { name: "Stop everything" });
  await stop.click();
  await page.getByRole("button", { name: "Stop everything now?" }).waitFor();
  await checkLooks(page, "stop-everything");
  await page.getByRole("button", { name: "Stop everything now?" }).click();
  await page.getByText("1 task cancelled, 0 workspaces closed, 1 machine shutting down when empty.").waitFor();
  await show(page, projectUrl);
  await statusIs(page, "cancelled");
  assertEquals(open.complaints, []);
});

/** The page through what connections and servers do: the edge dies and comes back, the network goes and comes. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { useBrowser } from "../../islands/browser.ts";
import { alive, openScene, picture, runNow, statusIs, transcriptOf } from "./scene.ts";

useBrowser();

const connection = (status: string) => `.connection-${status}`;

Deno.test("the edge is killed while text streams and started again: nothing is lost and nothing is shown twice", async () => {
  await using scene = await openScene();
  const { page, edge } = scene;
  await runNow(page, "say Before.\nstream 400 10\nsay After.");
  await page.locator(".message[aria-busy]", { hasText: "word30" }).waitFor();
  await edge.kill();
  await page.locator(connection("reconnecting")).waitFor();
  await picture(page, "session-reconnecting");
  await edge.start();
  await page.locator(connection("connected")).waitFor();
  await statusIs(page, "completed");
  await page.locator(".message-assistant", { hasText: "After." }).waitFor();
  const shown = await transcriptOf(page);
  const words = Array.from({ length: 400 }, (_, index) => `word${index + 1}`).join(" ");
  assertStringIncludes(shown.join("\n"), words);
  assertEquals(shown.join("\n").split("word400").length, 2, "the text is there once");
  await page.reload();
  await alive(page);
  assertEquals(await transcriptOf(page), shown);
});

Deno.test("offline the page says so and keeps what it has; back online it catches up by itself", async () => {
  await using scene = await openScene();
  const { page, edge, projectId } = scene;
  await runNow(page, "say Seen.\nwait 1500\nsay Missed.");
  await page.locator(".message-assistant", { hasText: "Seen." }).waitFor();
  await page.context().setOffline(true);
  await page.locator(connection("offline")).waitFor();
  assertEquals((await page.locator(".connection").textContent())?.trim(), "Offline");
  assertStringIncludes((await transcriptOf(page)).join(), "Seen.");
  await picture(page, "session-offline");
  for (let status = ""; status !== "completed";) {
    const { items } = await edge.call(`GET /api/projects/${projectId}/tasks`);
    status = items[0].status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await page.context().setOffline(false);
  await page.locator(connection("connected")).waitFor();
  await page.locator(".message-assistant", { hasText: "Missed." }).waitFor();
  await statusIs(page, "completed");
});

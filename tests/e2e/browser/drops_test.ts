/**
 * The page through what connections and servers do, on a desk and on a phone: the edge dies and comes back, the network
 * goes and comes.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Gate } from "../../gate.ts";
import { comesToEqual, useBrowser } from "../../islands/browser.ts";
import { alive, endOfRun, openScene, PHONE, picture, runNow, statusIs, transcriptOf } from "./scene.ts";

useBrowser();

const connection = (status: string) => `.connection-${status}`;

const PLACES = { "on a desk": {}, "on a phone": PHONE };

for (const [place, browser] of Object.entries(PLACES)) {
  Deno.test(`${place}: the edge is killed while text streams and started again: nothing is lost and nothing is shown twice`, async () => {
    await using scene = await openScene({ browser });
    const { page, edge } = scene;
    await runNow(page, "say Before.\nstream 800 10\nsay After.");
    await page.locator(".message[aria-busy]", { hasText: "word30" }).waitFor();
    await edge.kill();
    await page.locator(connection("reconnecting")).waitFor();
    await picture(page, "session-reconnecting");
    await edge.start();
    await page.locator(connection("connected")).waitFor();
    await statusIs(page, "completed");
    await page.locator(".message-assistant", { hasText: "After." }).waitFor();
    const shown = await transcriptOf(page);
    const words = Array.from({ length: 800 }, (_, index) => `word${index + 1}`).join(" ");
    assertStringIncludes(shown.join("\n"), words);
    assertEquals(shown.join("\n").split("word800").length, 2, "the text is there once");
    await page.reload();
    await alive(page);
    await comesToEqual(() => transcriptOf(page), shown);
  });

  Deno.test(`${place}: offline the page says so and keeps what it has; back online it catches up by itself`, async () => {
    await using scene = await openScene({ browser });
    await using gate = await Gate.make();
    const { page } = scene;
    await runNow(page, `say Seen.\nrun ${gate.wait}\nsay Missed.`);
    await page.locator(".message-assistant", { hasText: "Seen." }).waitFor();
    await page.context().setOffline(true);
    await page.locator(connection("offline")).waitFor();
    await comesToEqual(async () => (await page.locator(".connection").textContent())?.trim(), "Offline");
    assertStringIncludes((await transcriptOf(page)).join(), "Seen.");
    await picture(page, "session-offline");
    await gate.open();
    assertEquals(await endOfRun(scene), "completed");
    await page.context().setOffline(false);
    await page.locator(connection("connected")).waitFor();
    await page.locator(".message-assistant", { hasText: "Missed." }).waitFor();
    await statusIs(page, "completed");
  });
}

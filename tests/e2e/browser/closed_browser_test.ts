/** The page only reads what is said: what it sends, and what is there when it was closed in the middle. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Gate } from "../../gate.ts";
import { useBrowser } from "../../islands/browser.ts";
import { alive, endOfRun, followUp, openScene, runNow, show, statusIs, transcriptOf } from "./scene.ts";

useBrowser();

const UUID = /[0-9a-f]{8}-[0-9a-f-]{27}/g;

Deno.test("T029 through a whole job the page sends tasks, prompts and commands, and never a message", async () => {
  await using scene = await openScene();
  const { page } = scene;
  const sent: string[] = [];
  const frames = new Set<string>();
  page.on("request", (request) => {
    const path = new URL(request.url()).pathname.replaceAll(UUID, ":id");
    if (request.method() !== "GET") sent.push(`${request.method()} ${path}`);
  });
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => void frames.add(JSON.parse(String(payload)).type));
  });
  await page.reload();
  await alive(page);
  await using gate = await Gate.make();
  await runNow(page, `say One.\nwrite a.txt: b\nrun ${gate.wait}\nsay Two.`);
  await page.locator(".message-assistant", { hasText: "One." }).waitFor();
  await followUp(page).fill("say Three.");
  await followUp(page).press("Enter");
  await page.locator(".waiting li", { hasText: "say Three." }).waitFor();
  await gate.open();
  await statusIs(page, "completed");
  await page.locator(".message-assistant", { hasText: "Three." }).waitFor();
  assertEquals(sent, ["POST /api/projects/:id/tasks/submit", "POST /api/projects/:id/sessions/:id/prompts"]);
  assertEquals([...frames].filter((type) => type !== "subscribe" && type !== "pong"), []);
});

Deno.test("T029 a browser that is closed in the middle of a turn costs no message", async () => {
  await using scene = await openScene();
  const { page } = scene;
  await runNow(page, "say Before.\nstream 800 10\nsay After.");
  await page.locator(".message[aria-busy]", { hasText: "word20" }).waitFor();
  const context = page.context();
  await page.close();
  assertEquals(await endOfRun(scene), "completed");
  const again = await context.newPage();
  await show(again, scene.projectUrl);
  await statusIs(again, "completed");
  await again.locator(".message-assistant", { hasText: "After." }).waitFor();
  const shown = await transcriptOf(again);
  const words = Array.from({ length: 800 }, (_, index) => `word${index + 1}`).join(" ");
  assertEquals(shown.map((each) => each.split(":")[0]), ["user", "assistant", "assistant", "assistant"]);
  assertStringIncludes(shown[2]!, words);
  assertStringIncludes(shown[3]!, "After.");
});

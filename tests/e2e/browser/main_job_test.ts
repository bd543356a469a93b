/** The main job as a person does it, with nothing replaced: edge, agent, coding agent, Git and browser are real. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Gate } from "../../gate.ts";
import { comesToEqual, useBrowser } from "../../islands/browser.ts";
import { alive, followUp, openScene, picture, runNow, show, statusIs, taskField, transcriptOf } from "./scene.ts";

useBrowser();

const workUntil = (gate: Gate) =>
  [
    "say I will add a keeper's log and check it.",
    "think The log belongs beside the notes.",
    "plan Write the log; Read it back; Report",
    "write log/keeper.md: The lamp was lit at dusk.",
    `run ${gate.wait}; cat log/keeper.md`,
    "say The log is written and reads back as it should.",
  ].join("\n");

Deno.test("T074 a task typed and run shows in the sidebar, streams its messages and moves over the board", async () => {
  await using scene = await openScene();
  await using gate = await Gate.make();
  const { page, repository, open } = scene;
  await page.locator(".sidebar", { hasText: "No sessions yet" }).waitFor();
  await picture(page, "project-empty");

  await taskField(page).fill(workUntil(gate));
  await page.getByRole("button", { name: "Run Now" }).click();
  await page.locator(".session-list .session-link.selected", { hasText: "I will add a keeper's log" }).waitFor();
  await page.locator(".message-user").waitFor();
  await comesToEqual(() => taskField(page).inputValue(), "");

  // From here on nothing is reloaded: a mark on the window would be lost.
  await page.evaluate(() => void Object.assign(globalThis, { sameDocument: true }));
  await page.locator(".session-header .badge-in_progress").waitFor();
  await page.getByRole("link", { name: "Board" }).click();
  await page.locator('[data-status="in_progress"] .card').waitFor();
  await gate.open();
  await page.locator('[data-status="completed"] .card', { hasText: "I will add a keeper's log" }).waitFor();
  await page.locator('[data-status="in_progress"] .card').waitFor({ state: "detached" });
  await picture(page, "board-completed");

  await page.locator('[data-status="completed"] .card-link').click();
  await statusIs(page, "completed");
  await page.locator(".message-assistant", { hasText: "reads back as it should" }).waitFor();
  const shown = await transcriptOf(page);
  assertEquals(shown.map((line) => line.split(":")[0]), [
    "user",
    "assistant",
    "thinking",
    "plan",
    "tool",
    "tool",
    "assistant",
  ]);
  assertStringIncludes(shown[4]!, "+The lamp was lit at dusk.");
  assertStringIncludes(shown[5]!, "The lamp was lit at dusk.");
  assert(await page.evaluate(() => "sameDocument" in globalThis), "the page was reloaded");
  await picture(page, "session-completed");

  const branch = (await page.locator(".branch code").textContent())!;
  assertEquals(await repository.show(branch, "log/keeper.md"), "The lamp was lit at dusk.");
  assertEquals(open.complaints, []);
});

Deno.test("T074 live text is shown while it is written, and stays the same when the page is read anew", async () => {
  await using scene = await openScene();
  const { page } = scene;
  await runNow(page, "stream 800 10\nsay And done.");
  const open = page.locator(".message[aria-busy]");
  await open.waitFor();
  const early = (await open.textContent())!.length;
  await page.waitForFunction((length) => {
    const text = document.querySelector(".message[aria-busy]")?.textContent;
    return text !== undefined && text !== null && text.length > length;
  }, early);
  await picture(page, "session-streaming");
  await statusIs(page, "completed");
  await page.locator(".message-assistant", { hasText: "And done." }).waitFor();
  const before = await transcriptOf(page);
  assertStringIncludes(before.join(" "), "word799 word800");
  await page.reload();
  await alive(page);
  await comesToEqual(() => transcriptOf(page), before);
});

Deno.test("a draft is saved to the backlog, edited on its card and run from there", async () => {
  await using scene = await openScene();
  const { page, repository } = scene;
  await taskField(page).fill("say not this");
  await page.getByRole("button", { name: "More ways to save" }).click();
  await page.getByRole("menuitem", { name: /Save to Backlog/ }).click();
  await page.getByRole("link", { name: "Board" }).click();
  const draft = page.locator('[data-status="draft"] .card');
  await draft.getByRole("button", { name: "Edit" }).click();
  await draft.getByRole("textbox", { name: "Description" }).fill("write lamp.txt: lit");
  await picture(page, "board-editing");
  await draft.getByRole("button", { name: "Save" }).click();
  await draft.getByRole("button", { name: "Run" }).click();
  await page.locator('[data-status="completed"] .card').waitFor();
  await page.locator('[data-status="completed"] .card-link').click();
  await statusIs(page, "completed");
  const branch = (await page.locator(".branch code").textContent())!;
  assertEquals(await repository.show(branch, "lamp.txt"), "lit");
});

Deno.test("a task is cancelled while it works, and retried in the same session", async () => {
  await using scene = await openScene();
  await using gate = await Gate.make();
  const { page } = scene;
  await runNow(page, `say Before.\nrun ${gate.wait}\nsay After.`);
  await page.locator(".message-assistant", { hasText: "Before." }).waitFor();
  await page.locator(".session-header").getByRole("button", { name: "Cancel" }).click();
  await statusIs(page, "cancelled");
  await picture(page, "session-cancelled");
  await gate.open();
  const address = page.url();
  await page.locator(".session-header").getByRole("button", { name: "Retry" }).click();
  await statusIs(page, "completed");
  await page.locator(".message-assistant", { hasText: "After." }).waitFor();
  assertEquals(page.url(), address);
  assertEquals(await page.locator(".session-link").count(), 1);
});

Deno.test("a follow-up waits while a turn runs; it is edited, another one is taken back; the first is done next", async () => {
  await using scene = await openScene();
  await using gate = await Gate.make();
  const { page, repository } = scene;
  await runNow(page, `say Working.\nrun ${gate.wait}\nsay First turn over.`);
  await page.locator(".message-assistant", { hasText: "Working." }).waitFor();
  await followUp(page).fill("write follow.txt: down");
  await followUp(page).press("Enter");
  const waiting = page.getByRole("list", { name: "Waiting prompts" });
  await waiting.getByText("write follow.txt: down").waitFor();
  await waiting.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Waiting prompt" }).fill("write follow.txt: up");
  await page.keyboard.press("Enter");
  await waiting.getByText("write follow.txt: up").waitFor();
  await followUp(page).fill("write never.txt: no");
  await followUp(page).press("Enter");
  await waiting.getByText("write never.txt: no").waitFor();
  await picture(page, "session-waiting");
  await waiting.getByRole("listitem").filter({ hasText: "never" }).getByRole("button", { name: "Remove" }).click();
  await waiting.getByText("write never.txt: no").waitFor({ state: "detached" });
  await gate.open();
  await statusIs(page, "completed");
  await page.locator(".message-user", { hasText: "follow.txt" }).waitFor();
  const branch = (await page.locator(".branch code").textContent())!;
  assertEquals(await repository.show(branch, "follow.txt"), "up");
  assert(!(await repository.git(["ls-tree", "--name-only", branch])).includes("never"));
});

Deno.test("Stop interrupts the turn, and the answer so far stays with its mark", async () => {
  await using scene = await openScene();
  const { page } = scene;
  await runNow(page, "stream 5000 10");
  await page.locator(".message[aria-busy]", { hasText: "word20" }).waitFor();
  // Words may be shown before the page knows of the turn that can be stopped.
  await page.getByRole("button", { name: "Stop", exact: true }).waitFor();
  await page.keyboard.press("Control+Shift+X");
  await page.locator(".message-assistant", { hasText: "[Response interrupted]" }).waitFor();
  assertStringIncludes((await transcriptOf(page)).join(" "), "word20");
});

Deno.test("a run that fails says why; its workspace is kept longer, and then discarded", async () => {
  await using scene = await openScene();
  const { page } = scene;
  await runNow(page, "write half.txt: half\nfail The lamp has no oil.");
  await statusIs(page, "failed");
  await page.locator(".notice-error", { hasText: "The lamp has no oil." }).waitFor();
  await page.getByRole("button", { name: "Retry" }).waitFor();
  await picture(page, "session-failed");
  const kept = page.getByRole("group", { name: "Kept workspace" });
  const before = await kept.textContent();
  await kept.getByRole("button", { name: "Keep 2 h longer" }).click();
  await page.waitForFunction((text) => document.querySelector(".kept")?.textContent !== text, before);
  await kept.getByRole("button", { name: "Discard workspace" }).click();
  await kept.getByRole("button", { name: "Discard its files for good?" }).click();
  await page.locator(".session-header .archived").waitFor();
  await kept.waitFor({ state: "detached" });
  await show(page, `${scene.edge.url}/nodes`);
  await page.locator(".node").waitFor();
  await picture(page, "nodes");
});

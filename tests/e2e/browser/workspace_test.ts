/** The workspace page in a real browser on a real edge, with a real agent and a real shell. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import type { Page } from "playwright";
import { z } from "zod";
import { comesToEqual, useBrowser } from "../../islands/browser.ts";
import { checkLooks } from "./looks.ts";
import { alive, followUp, openScene, runNow, type Scene, show, statusIs } from "./scene.ts";

useBrowser();

/** One that reads nothing of whoever runs the tests. */
const SHELL = { SHELL: "/bin/sh" };

const tab = (page: Page, name: string) => page.getByRole("tab", { name });
const screen = (page: Page) => page.locator(".xterm-rows");
const link = (page: Page) => page.getByRole("link", { name: "Open workspace" });

/** Starts a run and opens its workspace as soon as that can be done. */
async function openWorkspace({ page }: Scene, description: string): Promise<void> {
  await runNow(page, description);
  await link(page).click();
  await page.waitForURL(/\/workspaces\//);
  await alive(page);
}

/** Opens the terminal's tab and waits for the shell's prompt. */
async function openTerminal(page: Page): Promise<void> {
  await tab(page, "Terminal").click();
  await page.locator('.terminal[data-state="open"]').waitFor();
  await screen(page).getByText(/[#$] *$/).first().waitFor();
}

/** What the shell says of its terminal's size: rows and columns. */
async function sizeOf(page: Page, mark: string): Promise<number[]> {
  await page.keyboard.type(`echo ${mark}''=$(stty size)=\n`);
  const line = screen(page).getByText(new RegExp(`^${mark}=\\d+ \\d+=`));
  await line.waitFor();
  return /=(\d+) (\d+)=/.exec((await line.textContent())!)!.slice(1).map(Number);
}

Deno.test("T055-7 “Open workspace” leads to the conversation, the changes and a terminal while the run is live", async () => {
  await using scene = await openScene({ env: SHELL });
  const { page } = scene;
  await openWorkspace(scene, "say I begin.\nwrite notes/hello.txt: Hello from the agent\nwait 600000");
  await page.locator(".message-assistant", { hasText: "I begin." }).waitFor();
  await page.locator(".git .diff-add", { hasText: "Hello from the agent" }).waitFor();
  assertStringIncludes(await page.locator(".git-files").innerText(), "notes/hello.txt");
  await checkLooks(page, "workspace-changes");
  await openTerminal(page);
  await page.keyboard.type("cat notes/hello.txt; echo $((6 * 7))-and-more\n");
  await screen(page).getByText("42-and-more", { exact: true }).waitFor();
  await screen(page).getByText("Hello from the agent", { exact: true }).waitFor();
  await page.keyboard.type("ls --color=always -d notes; printf '\\e[38;2;200;40;90mvivid\\e[0m\\n'\n");
  await screen(page).getByText("vivid", { exact: true }).last().waitFor();
  await checkLooks(page, "workspace-terminal");
  await tab(page, "Changes").click();
  await page.getByRole("textbox", { name: "Follow-up" }).fill("say And on.");
  await followUp(page).press("Enter");
  await page.getByText("say And on.").waitFor();
  assertEquals(scene.open.complaints, []);
});

Deno.test("the terminal follows the window, takes a flood, and is left and entered by keyboard", async () => {
  await using scene = await openScene({ env: SHELL });
  const { page } = scene;
  await openWorkspace(scene, "wait 600000");
  await openTerminal(page);
  const [, wide] = await sizeOf(page, "wide");
  await page.setViewportSize({ width: 375, height: 812 });
  await tab(page, "Chat").waitFor();
  await page.waitForFunction(() => document.querySelector<HTMLElement>(".xterm-screen")!.clientWidth < 375);
  const [, narrow] = await sizeOf(page, "narrow");
  assert(narrow! < wide! && narrow! > 20, `${wide} columns, then ${narrow}`);
  await page.keyboard.type("seq 1 200000; echo all''shown\n");
  await screen(page).getByText("allshown", { exact: true }).waitFor();
  await screen(page).getByText("200000", { exact: true }).waitFor();
  // Tab is the shell's, so another key leads out.
  await page.keyboard.press("Tab");
  await comesToEqual(() => page.evaluate(() => document.activeElement?.className), "xterm-helper-textarea");
  await page.keyboard.press("Control+U");
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  await page.keyboard.press("Control+Shift+L");
  await comesToEqual(focused, "Type in the terminal");
  await page.keyboard.press("Enter");
  await page.keyboard.type("echo back''again\n");
  await screen(page).getByText("backagain", { exact: true }).waitFor();
  await page.keyboard.press("Control+Shift+L");
  await page.keyboard.press("Shift+Tab");
  await tab(page, "Terminal").focus();
  await page.keyboard.press("ArrowLeft");
  await comesToEqual(focused, "Changes");
  await openTerminal(page);
  await page.getByRole("button", { name: "Type in the terminal" }).click();
  await page.keyboard.type("exit 3\n");
  await page.getByText("The shell ended with code 3.").waitFor();
  await page.getByRole("button", { name: "New terminal" }).click();
  await page.locator('.terminal[data-state="open"]').waitFor();
  assertEquals(scene.open.complaints, []);
});

Deno.test("T055-8 a workspace that is gone has a mark and no link; kept it can be looked into until it is discarded", async () => {
  await using scene = await openScene({ env: SHELL });
  const { page } = scene;
  await runNow(page, "write left.txt: not pushed\nfail It broke.");
  await statusIs(page, "failed");
  const address = await link(page).getAttribute("href");
  await link(page).click();
  await alive(page);
  await page.getByText("Kept for inspection").waitFor();
  await openTerminal(page);
  await page.keyboard.type("cat left.txt\n");
  await screen(page).getByText("not pushed", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Discard workspace" }).click();
  await page.getByRole("button", { name: "Discard its files for good?" }).click();
  await page.getByText("The terminal is closed").waitFor();
  await page.getByText("The workspace is gone", { exact: true }).waitFor();
  await page.getByRole("button", { name: "New terminal" }).waitFor({ state: "detached" });
  await checkLooks(page, "workspace-gone");
  await page.getByRole("link", { name: "Back to the project" }).click();
  await alive(page);
  await page.locator(".session-header").getByText("Workspace is gone").waitFor();
  await link(page).waitFor({ state: "detached" });
  await show(page, new URL(address!, scene.edge.url).href);
  await tab(page, "Terminal").click();
  await page.getByText("No terminal").waitFor();
  await page.locator(".message-user").first().waitFor();
  assertEquals(scene.open.complaints, []);
});

Deno.test("a machine that is not heard of is named, and the terminal and the changes say why they cannot be had", async () => {
  const env = { ...SHELL, HEARTBEAT_INTERVAL_MS: "300", HEARTBEAT_STALE_MS: "1000" };
  await using scene = await openScene({ env });
  const { page, edge } = scene;
  await openWorkspace(scene, "wait 600000");
  await statusIs(page, "in_progress");
  const { items: [node] } = await edge.call("GET /api/nodes");
  const written = await Deno.readTextFile(join(edge.directory, "nodes", node.id, "pid.json"));
  const { pid } = z.looseObject({ pid: z.int() }).parse(JSON.parse(written));
  Deno.kill(pid, "SIGSTOP");
  await comesToEqual(async () => {
    await edge.call("POST /api/admin/sweep", {});
    return (await edge.call(`GET /api/nodes/${node.id}`)).health;
  }, "unreachable");
  await page.reload();
  await alive(page);
  await page.getByText("The machine is unreachable").waitFor();
  await page.getByText("The changes could not be read").waitFor();
  await tab(page, "Terminal").click();
  await page.getByText("The terminal is closed").waitFor();
  await checkLooks(page, "workspace-unreachable");
  Deno.kill(pid, "SIGCONT");
  await comesToEqual(async () => (await edge.call(`GET /api/nodes/${node.id}`)).health, "ok");
  await page.getByRole("button", { name: "New terminal" }).click();
  await page.locator('.terminal[data-state="open"]').waitFor();
});

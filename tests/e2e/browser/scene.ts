/** What the browser tests of the whole program share: a signed-in page on a project of a running edge, and pictures. */
import type { BrowserContextOptions, Page } from "playwright";
import { isLive } from "../../../lib/store/tasks.ts";
import { TestRepository } from "../../repository.ts";
import { alive, type OpenPage, openPage } from "../../islands/browser.ts";
import { EdgeProcess } from "./edge_process.ts";

export { alive };

const PICTURES = new URL("../../output/screens/", import.meta.url).pathname;
const WIDTHS = [1280, 375];

/** A browser as a phone has it: narrow, dark, by touch. */
export const PHONE = {
  viewport: { width: 375, height: 812 },
  colorScheme: "dark",
  hasTouch: true,
  isMobile: true,
} as const;
/** A run that has not ended by then does not end. */
const RUN_MAX_MS = 120_000;

export interface Scene extends AsyncDisposable {
  edge: EdgeProcess;
  repository: TestRepository;
  open: OpenPage;
  page: Page;
  projectId: string;
  projectUrl: string;
}

/** Starts an edge, signs in by the printed link and opens a new project's page. */
export async function openScene(
  { name = "Lighthouse", env, browser }: {
    name?: string;
    env?: Record<string, string>;
    browser?: BrowserContextOptions;
  } = {},
): Promise<Scene> {
  const repository = await TestRepository.make();
  const edge = await EdgeProcess.start(env);
  const project = await edge.call("POST /api/projects", { name, repositoryUrl: repository.path });
  const open = await openPage(edge.signInLink, browser);
  await show(open.page, `${edge.url}/projects/${project.id}`);
  return {
    edge,
    repository,
    open,
    page: open.page,
    projectId: project.id,
    projectUrl: `${edge.url}/projects/${project.id}`,
    async [Symbol.asyncDispose]() {
      await open[Symbol.asyncDispose]();
      await edge[Symbol.asyncDispose]();
      await repository[Symbol.asyncDispose]();
    },
  };
}

/** Goes to an address and waits until its islands are alive. */
export async function show(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await alive(page);
}

export const taskField = (page: Page) => page.getByRole("textbox", { name: "New task", exact: true });
export const followUp = (page: Page) => page.getByRole("textbox", { name: "Follow-up" });

/** Types a task into the form and presses Run Now. */
export async function runNow(page: Page, description: string): Promise<void> {
  await taskField(page).fill(description);
  await page.getByRole("button", { name: "Run Now" }).click();
  await page.locator(".message-user").first().waitFor();
}

/** How the newest task of the project ended, once none of them runs any more. */
export async function endOfRun({ edge, projectId }: Scene): Promise<string> {
  for (const deadline = performance.now() + RUN_MAX_MS; performance.now() < deadline;) {
    const { items } = await edge.call(`GET /api/projects/${projectId}/tasks`);
    if (!items.some(isLive)) return items[0].status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the run did not end");
}

/** The status that the header of the shown session names. */
export function statusIs(page: Page, status: string): Promise<void> {
  return page.locator(`.session-header .badge-${status}`).waitFor();
}

/** Roles and texts of the messages that are shown, in order. */
export function transcriptOf(page: Page): Promise<string[]> {
  return page.locator(".transcript .message").evaluateAll((messages) =>
    messages.map((message) => {
      const role = message.className.replace(/.*message-(\w+).*/, "$1");
      const text = message.querySelector(".prose, .tool-output, .diff, .plan")?.textContent ?? "";
      return `${role}: ${text.trim().replace(/\s+/g, " ")}`;
    })
  );
}

/** Runs `act` with the page in each of its looks, light and dark, wide and narrow; puts it back as it was. */
export async function inEveryLook(page: Page, act: (look: string) => Promise<void>): Promise<void> {
  const before = page.viewportSize();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 812 });
      await settled(page);
      await act(`${width}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  if (before) await page.setViewportSize(before);
  await settled(page);
}

/** Waits until the new colours are drawn and no transition between the old and the new ones runs any more. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    // Told of another scheme by the debugger, Chromium may leave what inherits the root's colour as it was.
    document.documentElement.style.setProperty("color", "red");
    getComputedStyle(document.body).color;
    document.documentElement.style.removeProperty("color");
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(null))));
    const passing = document.getAnimations().filter((each) => each instanceof CSSTransition);
    await Promise.allSettled(passing.map((each) => each.finished));
  });
}

/** Saves what is shown in every look below `tests/output/screens`. */
export async function picture(page: Page, name: string): Promise<void> {
  await inEveryLook(page, (look) => savePicture(page, `${name}-${look}`));
}

/** Saves what is shown now. */
export async function savePicture(page: Page, name: string): Promise<void> {
  await Deno.mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}${name}.png` });
}

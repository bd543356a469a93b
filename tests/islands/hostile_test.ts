/** Whatever people, repositories, machines and coding agents put into a field, every page shows it as text. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright";
import { openPage, useBrowser } from "./browser.ts";
import { ago, id, makeMessage, makeNode, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge, problem } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const ATTACKS = [
  `"><img src=x onerror="globalThis.hit=1">`,
  `</script><script>globalThis.hit=1</script>`,
  `<svg><script>globalThis.hit=1</script><animate onbegin="globalThis.hit=1"/></svg>`,
  `<a href="javascript:globalThis.hit=1">x</a>`,
  `{{constructor.constructor('globalThis.hit=1')()}} \${globalThis.hit=1}`,
];

/** An edge of which every text is `bad`. */
function edgeOf(bad: string): FixtureEdge {
  const edge = new FixtureEdge();
  edge.project = { ...PROJECT, name: bad, repositoryUrl: bad, defaultBranch: bad, codingAgent: bad };
  edge.projects = [edge.project];
  const task = makeTask(10, {
    title: bad,
    description: bad,
    status: "in_progress",
    run: 2,
    executionStep: "running",
    agentHint: bad,
    outputBranch: bad,
    outputCommit: bad,
    outputPrUrl: "javascript:globalThis.hit=1",
    outputSummary: bad,
    warning: bad,
    nodeId: id(9),
    updatedAt: ago(1),
  });
  edge.tasks = [task, makeTask(12, { title: bad, description: bad, dependsOn: [task.id] })];
  const workspace = { id: id(70), status: "running", keptUntil: null } as const;
  edge.sessions = [makeSession(task, { topic: bad, status: "active", turn: "running", lastSeq: 8, workspace })];
  const tool = { tool: bad, target: bad, status: "failed", toolCallId: bad, diff: `+${bad}`, input: bad } as const;
  const roles = ["user", "assistant", "thinking", "plan", "system", "tool", "tool", "assistant"] as const;
  edge.messages[task.sessionId] = roles.map((role, index) =>
    makeMessage(index + 1, { role, content: bad, toolMetadata: role === "tool" ? tool : null })
  );
  edge.prompts = [{ messageId: id(80), sessionId: task.sessionId, text: bad, state: "queued", createdAt: ago(1) }];
  const work = { id: task.id, title: bad, projectId: PROJECT.id, sessionId: task.sessionId };
  edge.nodes = [makeNode(700, { location: bad, errorMessage: bad, agentVersion: bad, tasks: [work] })];
  edge.members = [
    { userId: id(1), login: bad, displayName: bad, role: "owner", addedAt: ago(9) },
    { userId: id(2), login: "b", displayName: bad, role: "member", addedAt: ago(9) },
  ];
  edge.credentials = [{ provider: "anthropic", host: null, createdAt: ago(9), updatedAt: ago(9) }];
  const event = { n: 1, from: "queued", to: "failed", actor: "agent", reason: bad, at: ago(1) };
  edge.override = ({ method, path }) => {
    if (path.endsWith("/check")) return Response.json({ ok: false, message: bad });
    if (path.endsWith("/events")) return Response.json({ items: [event], nextCursor: null });
    return method === "POST" || method === "PATCH" ? problem(400, "invalid_request", bad) : null;
  };
  return edge;
}

/** Goes through what can be opened on a page, and waits until `bad` is there. */
const PLACES: Record<string, (page: Page) => Promise<void>> = {
  [PATH]: async (page) => {
    await page.locator(".markdown").first().waitFor();
    await page.locator(".waiting li").waitFor();
    await page.getByRole("textbox", { name: "New task", exact: true }).fill("go");
    await page.getByRole("button", { name: "Run Now" }).click();
    await page.locator(".toast").waitFor();
    await page.getByRole("button", { name: "More about this session" }).click();
    await page.getByRole("button", { name: "History" }).click();
    await page.locator(".history li").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("Control+K");
    await page.getByRole("option").first().waitFor();
  },
  [`${PATH}/board`]: async (page) => {
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Title").waitFor();
  },
  [`${PATH}/settings`]: async (page) => {
    await page.getByLabel("Default VM size").selectOption("large");
    await page.getByRole("alert").waitFor();
  },
  "/projects": (page) => page.locator(".project-link").waitFor(),
  "/nodes": (page) => page.locator(".node").waitFor(),
  "/credentials": async (page) => {
    await page.getByRole("button", { name: "Check" }).click();
    await page.locator(".notice").waitFor();
  },
};

for (const bad of ATTACKS) {
  Deno.test(`every field of every page shows as text: ${bad.slice(0, 24)}`, async () => {
    for (const [path, go] of Object.entries(PLACES)) {
      await using edge = edgeOf(bad);
      await using open = await openPage(edge.url + path);
      const { page, complaints } = open;
      await go(page);
      assert((await page.locator("body").innerText()).includes(bad.slice(0, 20)), `${path} does not show it`);
      const planted = 'img, animate, iframe, object, [onerror], [onbegin], a[href^="javascript" i]';
      assertEquals(await page.locator(planted).count(), 0, path);
      assertEquals(await page.evaluate(() => "hit" in globalThis), false, path);
      const refused = complaints.filter((each) => !/the server responded with a status of (400|404)/.test(each));
      assertEquals(refused, [], `${path}: the policy had nothing to refuse`);
    }
  });
}

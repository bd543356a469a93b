/** States that take long, or luck, to reach by hand: each looked at in light and dark, wide and narrow, by axe too. */
import type { Page } from "playwright";
import { useBrowser } from "../../islands/browser.ts";
import { openPage } from "../../islands/browser.ts";
import { ago, id, makeMessage, makeNode, makeSession, makeTask, ME, PROJECT } from "../../islands/fixture_data.ts";
import { FixtureEdge, problem } from "../../islands/fixture_edge.ts";
import { checkLooks } from "./looks.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const HOSTILE = "Ünïcödé‮txt.exe <b>bold</b> " + "unbroken".repeat(20);

/** A page of the edge, from `path`. */
async function look(edge: FixtureEdge, path: string, act: (page: Page) => Promise<void>): Promise<void> {
  await using open = await openPage(edge.url + path);
  await act(open.page);
}

/** A run that is over, with everything that a header can show, and a session whose checkout is gone. */
function edgeWithRuns(): FixtureEdge {
  const edge = new FixtureEdge();
  const done = makeTask(10, {
    title: "Mend the tide table test",
    status: "completed",
    run: 1,
    outputBranch: "task/mend-the-tide-table",
    outputPrUrl: "https://example.com/pull/7",
    costUsd: 0.42,
    warning: "The branch could not be pushed. Its workspace is kept.",
    nodeId: id(9),
    startedAt: ago(50),
    completedAt: ago(46),
    updatedAt: ago(3),
  });
  const running = makeTask(11, { title: HOSTILE, status: "in_progress", run: 1, nodeId: id(9), updatedAt: ago(1) });
  const draft = makeTask(12, { title: "A draft", updatedAt: ago(9) });
  edge.tasks = [running, done, draft];
  const live = { id: id(70), status: "running", keptUntil: null } as const;
  edge.sessions = [
    makeSession(running, { status: "active", turn: "running", workspace: live, lastSeq: 2 }),
    makeSession(done, { status: "stopped", workspace: { ...live, status: "stopped" }, lastSeq: 14 }),
    makeSession(draft),
  ];
  const tool = { tool: "execute", target: HOSTILE, status: "executing", toolCallId: "x" } as const;
  edge.messages[running.sessionId] = [
    makeMessage(1, { content: HOSTILE }),
    makeMessage(2, { role: "tool", content: HOSTILE, toolMetadata: tool }),
  ];
  edge.messages[done.sessionId] = Array.from({ length: 14 }, (_, at) =>
    makeMessage(at + 1, {
      session: 2,
      createdAt: ago(60 - at),
      ...(at > 0 && at < 13 ? { role: "thinking", content: "Let me see." } : {}),
      ...(at === 13 ? { content: "All **14** tests pass." } : {}),
    }));
  edge.messages[draft.sessionId] = [makeMessage(1, { session: 3, content: "Do thing 12" })];
  return edge;
}

Deno.test("sessions that run, ended, were never run, or cannot be read", async () => {
  await using edge = edgeWithRuns();
  const [, done, draft] = edge.sessions;
  await look(edge, PATH, async (page) => {
    await page.locator(".connection-connected").waitFor();
    await checkLooks(page, "state-session-running");
  });
  await look(edge, `${PATH}/chat/${done!.id}`, async (page) => {
    await page.locator(".fold").waitFor();
    await checkLooks(page, "state-session-ended");
  });
  await look(edge, `${PATH}/chat/${draft!.id}`, (page) => checkLooks(page, "state-session-draft"));
  await look(edge, PATH, async (page) => {
    let broken = false;
    const slow = Promise.withResolvers<Response>();
    edge.override = ({ path }) =>
      !path.startsWith(`/sessions/${done!.id}/messages`)
        ? null
        : broken
        ? problem(404, "not_found", "This session does not exist any more.")
        : slow.promise;
    await page.locator(`[data-session="${done!.id}"]`).click();
    await page.locator(".transcript .skeleton").waitFor();
    await checkLooks(page, "state-messages-loading");
    slow.resolve(problem(404, "not_found", "This session does not exist any more."));
    broken = true;
    await page.locator(`[data-session="${draft!.id}"]`).click();
    await page.locator(`[data-session="${done!.id}"]`).click();
    await page.locator(".notice-error").waitFor();
    await checkLooks(page, "state-messages-error");
    edge.override = ({ method }) =>
      method === "POST" ? problem(503, "store_busy", "The store is busy. Try again.") : null;
    await page.getByRole("textbox", { name: "New task", exact: true }).fill("Count ships");
    await page.getByRole("button", { name: "Run Now" }).click();
    await page.locator(".toast").waitFor();
    await checkLooks(page, "state-toast");
    await page.keyboard.press("Escape");
  });
  await look(edge, PATH, async (page) => {
    edge.override = ({ path }) =>
      path.startsWith("/sessions?q=") ? Response.json({ items: [], nextCursor: null }) : null;
    await page.getByRole("searchbox").fill("submarine");
    await page.getByText("No session fits").waitFor();
    await checkLooks(page, "state-search-empty");
  });
});

Deno.test("machines in every state, and the command for a new one", async () => {
  await using edge = new FixtureEdge();
  await look(edge, "/nodes", (page) => checkLooks(page, "state-nodes-empty"));
  const claim = { taskId: id(10), workspaceId: id(70), at: ago(5) };
  edge.nodes = [
    makeNode(700, {
      provider: "hetzner",
      location: "nbg1",
      priceHour: 0.006,
      costSoFar: 0.012,
      claims: [claim, { ...claim, workspaceId: id(71) }],
      tasks: [{ id: id(10), title: HOSTILE, projectId: PROJECT.id, sessionId: id(510) }],
    }),
    makeNode(701, { status: "warm", warmUntil: ago(-12) }),
    makeNode(702, {
      health: "unreachable",
      heartbeat: { at: ago(20), load: 3.5, outboxDepth: 41, deadLetters: 3, dropped: 0, heldLines: 0 },
    }),
    makeNode(703, { status: "error", errorMessage: "The provider has no machine of this size left.", heartbeat: null }),
    makeNode(704, { status: "destroying" }),
    makeNode(705, { status: "provisioning", heartbeat: null, agentVersion: null }),
    makeNode(706, { draining: true }),
  ];
  const command = `{ echo NODE_ID=x; echo BOOTSTRAP_TOKEN=${"y".repeat(60)}; curl -fsSL https://e/install; } | sudo sh`;
  edge.override = ({ method }) =>
    method === "POST" ? Response.json({ node: makeNode(710), command, expiresAt: ago(-30) }, { status: 201 }) : null;
  await look(edge, "/nodes", async (page) => {
    await page.getByRole("button", { name: "Destroy" }).first().click();
    await checkLooks(page, "state-nodes");
    await page.getByRole("button", { name: "Add a machine" }).click();
    await page.getByText(command).waitFor();
    await page.getByText(command).scrollIntoViewIfNeeded();
    await checkLooks(page, "state-nodes-add");
  });
});

Deno.test("credentials that are stored, checked and refused", async () => {
  await using edge = new FixtureEdge();
  const stored = { provider: "anthropic" as const, host: null, createdAt: ago(60), updatedAt: ago(60) };
  edge.credentials = [stored];
  edge.override = ({ method, path }) =>
    path.endsWith("/check")
      ? Response.json({ ok: false, message: "The provider does not accept this key." })
      : method === "PUT"
      ? problem(400, "invalid_request", "The body does not fit.", {
        issues: [{ field: "secret", message: "is too short" }],
      })
      : null;
  await look(edge, "/credentials", async (page) => {
    await checkLooks(page, "state-credentials");
    await page.getByRole("region", { name: "Anthropic" }).getByRole("button", { name: "Check" }).click();
    await page.getByText("The provider does not accept this key.").waitFor();
    const openai = page.getByRole("region", { name: "OpenAI" });
    await openai.locator("input").first().fill("x");
    await openai.getByRole("button", { name: "Store" }).click();
    await openai.getByRole("alert").waitFor();
    await checkLooks(page, "state-credentials-refused");
  });
});

Deno.test("projects, their settings, and what went wrong", async () => {
  await using edge = new FixtureEdge();
  edge.projects = [];
  await look(edge, "/projects", async (page) => {
    await checkLooks(page, "state-projects-empty");
    await page.getByRole("button", { name: "Create project" }).click();
    await page.getByRole("alert").waitFor();
    await checkLooks(page, "state-project-refused");
  });
  const member = (n: number, name: string) => ({ userId: id(n), login: name, displayName: name, addedAt: ago(n) });
  edge.members = [{ ...member(1, "ada"), role: "owner" }, { ...member(31, HOSTILE.slice(0, 90)), role: "member" }];
  edge.override = ({ method }) => method === "GET" ? null : problem(503, "store_busy", "The store is busy. Try again.");
  await look(edge, `${PATH}/settings`, async (page) => {
    await page.getByLabel("Default VM size").selectOption("large");
    await page.getByRole("alert").waitFor();
    await page.getByRole("button", { name: "Remove" }).click();
    await checkLooks(page, "state-settings-refused");
  });
  edge.me = { ...ME, id: id(31), role: "member" };
  await look(edge, `${PATH}/settings`, (page) => checkLooks(page, "state-settings-member"));
  await look(edge, "/error", (page) => checkLooks(page, "state-error"));
});

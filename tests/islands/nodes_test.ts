/** The page of machines: what works on them, and what can be done to them by hand. */
import { assertEquals } from "@std/assert";
import { comesToEqual, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeNode, PROJECT } from "./fixture_data.ts";
import { FixtureEdge, problem } from "./fixture_edge.ts";

useBrowser();

const CLAIM = { taskId: id(10), workspaceId: id(70), at: ago(5) };
const TASK = { id: id(10), title: "Mend the lamp", projectId: PROJECT.id, sessionId: id(510) };
const BUSY = makeNode(700, { claims: [CLAIM], tasks: [TASK] });
const WARM = makeNode(701, { status: "warm", warmUntil: ago(-12) });

function edgeWithNodes(): FixtureEdge {
  const edge = new FixtureEdge();
  edge.nodes = [BUSY, WARM];
  return edge;
}

Deno.test("a machine names the tasks on it, each with the way to its conversation", async () => {
  await using edge = edgeWithNodes();
  await using open = await openPage(`${edge.url}/nodes`);
  const busy = open.page.getByRole("article", { name: `Machine ${BUSY.id.slice(-8)}` });
  const link = busy.getByRole("list", { name: "Tasks on it" }).getByRole("link", { name: "Mend the lamp" });
  assertEquals(await link.getAttribute("href"), `/projects/${PROJECT.id}/chat/${TASK.sessionId}`);
  assertEquals(await open.page.getByRole("list", { name: "Tasks on it" }).count(), 1);
  assertEquals(open.complaints, []);
});

Deno.test("what a machine could not deliver is counted, with the way to it", async () => {
  await using edge = edgeWithNodes();
  const heartbeat = { ...BUSY.heartbeat!, deadLetters: 2, dropped: 7, heldLines: 1 };
  edge.nodes = [{ ...BUSY, heartbeat, deadLettersKept: 3 }, WARM];
  await using open = await openPage(`${edge.url}/nodes`);
  const busy = open.page.getByRole("article", { name: `Machine ${BUSY.id.slice(-8)}` });
  const link = busy.getByRole("link", { name: "5", exact: true });
  assertEquals(await link.getAttribute("href"), `/nodes/${BUSY.id}/dead-letters`);
  await busy.getByText("7 messages").waitFor();
  await busy.getByText("1 workspace", { exact: true }).waitFor();
  assertEquals(await open.page.locator(`a[href="/nodes/${WARM.id}/dead-letters"]`).count(), 0);
});

Deno.test("a machine is drained by one press, and destroyed by two, which name the tasks that would fail", async () => {
  await using edge = edgeWithNodes();
  edge.override = ({ method, path }) => {
    if (method === "POST" && path === `/api/nodes/${BUSY.id}/drain`) return Response.json({ ...BUSY, draining: true });
    if (method !== "DELETE") return null;
    const node = path.includes(BUSY.id) ? BUSY : WARM;
    return Response.json({ ...node, claims: [], status: "destroying" }, { status: 202 });
  };
  await using open = await openPage(`${edge.url}/nodes`);
  const busy = open.page.getByRole("article", { name: `Machine ${BUSY.id.slice(-8)}` });
  const warm = open.page.getByRole("article", { name: `Machine ${WARM.id.slice(-8)}` });
  await busy.getByRole("button", { name: "Drain" }).click();
  await busy.getByText("Draining").waitFor();
  await busy.getByRole("button", { name: "Drain" }).waitFor({ state: "detached" });
  await busy.getByRole("button", { name: "Destroy" }).click();
  await busy.getByRole("button", { name: "Destroy it and fail its tasks?" }).click();
  await busy.getByText("Shutting down").waitFor();
  await warm.getByRole("button", { name: "Destroy" }).click();
  await warm.getByRole("button", { name: "Destroy it?" }).click();
  await warm.getByText("Shutting down").waitFor();
  await comesToEqual(() => open.page.getByRole("button", { name: "Destroy" }).count(), 0);
  assertEquals(edge.requests.map(({ method, path }) => `${method} ${path}`), [
    `POST /api/nodes/${BUSY.id}/drain`,
    `DELETE /api/nodes/${BUSY.id}?force=true`,
    `DELETE /api/nodes/${WARM.id}`,
  ]);
});

Deno.test("the place of a machine is named where there was one to choose", async () => {
  await using edge = edgeWithNodes();
  edge.nodes = [BUSY, { ...WARM, provider: "hetzner", location: "nbg1" }];
  await using open = await openPage(`${edge.url}/nodes`);
  await open.page.getByText("Small · local", { exact: true }).waitFor();
  await open.page.getByText("Small · hetzner · nbg1", { exact: true }).waitFor();
});

Deno.test("a machine of one's own is removed, not destroyed", async () => {
  await using edge = edgeWithNodes();
  edge.nodes = [{ ...WARM, provider: "manual", autoProvisioned: false, status: "active" }];
  edge.override = ({ method }) =>
    method === "DELETE" ? Response.json({ ...edge.nodes[0], status: "destroying" }, { status: 202 }) : null;
  await using open = await openPage(`${edge.url}/nodes`);
  assertEquals(await open.page.getByRole("button", { name: "Destroy" }).count(), 0);
  await open.page.getByRole("button", { name: "Remove" }).click();
  await open.page.getByRole("button", { name: "Remove it?" }).click();
  await open.page.getByText("Shutting down").waitFor();
});

Deno.test("a machine that cannot be destroyed says why, and stays", async () => {
  await using edge = edgeWithNodes();
  edge.override = ({ method }) =>
    method === "DELETE" ? problem(409, "node_busy", "1 workspace(s) are on this node. Cancel their tasks.") : null;
  await using open = await openPage(`${edge.url}/nodes`);
  const warm = open.page.getByRole("article", { name: `Machine ${WARM.id.slice(-8)}` });
  await warm.getByRole("button", { name: "Destroy" }).click();
  await warm.getByRole("button", { name: "Destroy it?" }).click();
  await warm.getByRole("alert").getByText("1 workspace(s) are on this node.").waitFor();
  await warm.getByText("Warm", { exact: true }).waitFor();
});

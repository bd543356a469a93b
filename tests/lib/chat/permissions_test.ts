/** Requests for permission at the edge: stored once, ended once, told to everybody. The agent is one by hand. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { PERMISSIONS_OPEN_MAX } from "../../../lib/wire/limits.ts";
import type { PermissionRequest } from "../../../lib/wire/permission.ts";
import { LiveClient } from "../../live_client.ts";
import { type RunningTask, startRunningTask } from "./fixture.ts";

const OPTIONS = [
  { optionId: "yes", name: "Allow once", kind: "allow_once" },
  { optionId: "no", name: "Reject", kind: "reject_once" },
];

const requestOf = (change: Record<string, unknown> = {}) => ({
  requestId: newId(),
  toolCallId: "t1",
  title: "rm -r build",
  options: OPTIONS,
  ...change,
});

async function ask(running: RunningTask, body: Record<string, unknown> = requestOf()): Promise<PermissionRequest> {
  const answer = await post(running, body);
  assertEquals(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

const post = (running: RunningTask, body: unknown) =>
  running.agent.asWorkspace(running.workspaceId, `POST /api/workspaces/${running.workspaceId}/permissions`, body);

const close = (running: RunningTask, requestId: string, outcome: string) => {
  const path = `/api/workspaces/${running.workspaceId}/permissions/${requestId}/close` as const;
  return running.agent.asWorkspace(running.workspaceId, `POST ${path}`, { outcome });
};

const answer = (running: RunningTask, requestId: string, optionId: string) =>
  running.test.admin.call(`POST ${running.session}/permissions/${requestId}`, { optionId });

async function list(running: RunningTask, query = ""): Promise<PermissionRequest[]> {
  return (await running.test.admin.call(`GET ${running.session}/permissions${query}`)).body.items;
}

const resolved = (live: LiveClient, requestId: string) =>
  live.until(
    "the request resolved",
    (frame) => frame.type === "permission.resolved" && frame.requestId === requestId,
  ) as Promise<{ outcome: string; by: string | null }>;

Deno.test("a request is stored once however often it is posted, shown to every device, and counted at its session", async () => {
  await using running = await startRunningTask();
  await using live = await LiveClient.open(running.test, running.projectId);
  const body = requestOf({
    toolMetadata: { tool: "Bash", target: "rm -r build", status: "executing", toolCallId: "t1" },
  });
  const asked = await ask(running, body);
  assertEquals(await ask(running, body), asked);
  assertEquals([asked.status, asked.answer, asked.answeredBy, asked.title], ["pending", null, null, "rm -r build"]);
  assertEquals(Date.parse(asked.expiresAt) - Date.parse(asked.createdAt), 3_600_000);
  assertEquals(await list(running), [asked]);
  assertEquals((await running.readSession()).pendingPermissions, 1);
  const frame = await live.until("the request", (each) => each.type === "permission.requested");
  assertEquals(frame.type === "permission.requested" && frame.request, asked);
  await live.until(
    "the session's count",
    (each) => each.type === "session.updated" && each.session.pendingPermissions === 1,
  );
  assertEquals(live.frames.filter((each) => each.type === "permission.requested").length, 1);
});

Deno.test("the first answer counts: it goes to the agent as a command, a second one is told who was first", async () => {
  await using running = await startRunningTask();
  await using live = await LiveClient.open(running.test, running.projectId);
  const { requestId } = await ask(running);
  assertEquals((await answer(running, requestId, "perhaps")).status, 400);
  const both = await Promise.all([answer(running, requestId, "yes"), answer(running, requestId, "no")]);
  const [first, second] = both[0]!.status === 200 ? both : both.toReversed();
  assertEquals([first!.status, second!.status, second!.body.error], [200, 409, "already_answered"]);
  assertEquals([first!.body.status, first!.body.answeredBy], ["answered", "admin"]);
  assertStringIncludes(second!.body.message, "admin");
  const command = await running.agent.command("permission.respond", running.workspaceId);
  assertEquals([command.requestId, command.outcome, command.optionId, command.by], [
    requestId,
    "answered",
    first!.body.answer,
    "admin",
  ]);
  const told = await resolved(live, requestId);
  const kind = OPTIONS.find((option) => option.optionId === first!.body.answer)!.kind;
  assertEquals([told.outcome, told.by], [kind, "admin"]);
  assertEquals(await list(running, "?status=pending"), []);
  assertEquals((await list(running, "?status=answered")).length, 1);
  assertEquals((await running.readSession()).pendingPermissions, 0);
  assertEquals((await close(running, requestId, "cancelled")).body.status, "answered", "an answer stays");
});

Deno.test("a request that nobody answers expires: refused, told to the agent, and said in the conversation", async () => {
  await using running = await startRunningTask({ env: { PERMISSION_TIMEOUT_MS: "1000" } });
  await using live = await LiveClient.open(running.test, running.projectId);
  const { requestId } = await ask(running);
  assertEquals((await resolved(live, requestId)).outcome, "expired");
  const command = await running.agent.command("permission.respond", running.workspaceId);
  assertEquals([command.requestId, command.outcome, command.optionId], [requestId, "expired", null]);
  const said = (await running.messages()).at(-1)!;
  assertEquals(said.role, "system");
  assertEquals(said.content, "Nobody answered within 1 second, so this was refused: rm -r build");
  const late = await answer(running, requestId, "yes");
  assertEquals([late.status, late.body.error], [409, "already_answered"]);
  assertEquals((await running.readSession()).pendingPermissions, 0);
});

Deno.test("the end of a turn and the end of a run close what waits, once and for everybody", async () => {
  await using running = await startRunningTask();
  await using live = await LiveClient.open(running.test, running.projectId);
  const turn = (body: Record<string, unknown>) =>
    running.agent.asWorkspace(running.workspaceId, `POST /api/workspaces/${running.workspaceId}/turns`, body);
  const promptId = running.runtime.prompt!.messageId;
  const [one, two] = [await ask(running), await ask(running)];
  await turn({ promptId, event: "ended", interrupted: true, resumable: true });
  for (const { requestId } of [one, two]) assertEquals((await resolved(live, requestId)).outcome, "cancelled");
  assertEquals((await list(running)).map((each) => each.status), ["cancelled", "cancelled"]);

  const three = await ask(running);
  assertEquals((await close(running, three.requestId, "cancelled")).body.status, "cancelled");
  const four = await ask(running);
  assertEquals((await running.readSession()).pendingPermissions, 1);
  await running.test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/cancel`);
  assertEquals((await resolved(live, four.requestId)).outcome, "cancelled");
  assertEquals((await running.readSession()).pendingPermissions, 0);
  const late = await post(running, requestOf());
  assertEquals([late.status, late.body.error], [409, "session_not_live"]);
  assertEquals((await answer(running, four.requestId, "yes")).body.error, "already_answered");
});

Deno.test("bad, foreign and too many requests are refused in a sentence and change nothing", async () => {
  await using running = await startRunningTask();
  const { requestId } = await ask(running);
  const stranger = await running.test.addUser("stranger");
  const path = `${running.session}/permissions` as const;
  assertEquals((await stranger.call(`GET ${path}`)).status, 404);
  assertEquals((await stranger.call(`POST ${path}/${requestId}`, { optionId: "yes" })).status, 404);
  assertEquals((await answer(running, newId(), "yes")).status, 404);
  assertEquals((await close(running, newId(), "cancelled")).status, 404);
  assertEquals((await close(running, requestId, "answered")).status, 400);
  const bad = [{ title: "" }, { options: [] }, { requestId: "1" }, { title: "x".repeat(1_001) }, {
    toolMetadata: { tool: "Bash", status: "executing", toolCallId: "t1", diff: "x".repeat(9_000) },
  }];
  for (const change of bad) assertEquals((await post(running, requestOf(change))).status, 400, JSON.stringify(change));
  for (let n = 1; n < PERMISSIONS_OPEN_MAX; n++) await ask(running);
  const more = await post(running, requestOf());
  assertEquals([more.status, more.body.error], [409, "limit_reached"]);
  assertEquals((await running.readSession()).pendingPermissions, PERMISSIONS_OPEN_MAX);
  assert((await list(running)).every((each) => each.status === "pending"));
});

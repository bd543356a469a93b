/** Going on from a completed task, with nothing replaced: its branch, its conversation, and what cannot be gone on with. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { recapOf } from "../../lib/tasks/conversation_recap.ts";
import { openScene } from "./scene.ts";

Deno.test("a task that goes on from a completed one starts from its branch and is told what was said there", async () => {
  await using scene = await openScene();
  const { test, live, repository, projectId } = scene;
  const tasks = `/api/projects/${projectId}/tasks` as const;
  const body = { description: "write one.txt: one\nsay The first is done.", title: "The first" };
  const first = (await test.admin.call(`POST ${tasks}/submit`, body)).body;
  const early = await test.admin.call(`POST ${tasks}/${first.taskId}/continue`, { description: "say no" });
  assertEquals([early.status, early.body.error], [409, "invalid_transition"]);
  const before = await live.task(first.taskId, "completed");

  const description = "run cat one.txt\nwrite two.txt: two";
  const headers = { "idempotency-key": "go-on-1" };
  const made = await test.admin.call(`POST ${tasks}/${first.taskId}/continue`, { description }, headers);
  assertEquals([made.status, made.body.status], [202, "queued"]);
  const again = await test.admin.call(`POST ${tasks}/${first.taskId}/continue`, { description }, headers);
  assertEquals(again.body, made.body, "sent twice it is one task");
  const after = await live.task(made.body.taskId, "completed", "failed");
  assertEquals(after.status, "completed", after.errorMessage ?? "");
  assertEquals([after.parentTaskId, after.outputBranch], [before.id, `task/${after.id}`]);
  const files = await repository.git(["ls-tree", "--name-only", after.outputBranch!]);
  assert(files.includes("one.txt") && files.includes("two.txt"), files);
  await repository.git(["merge-base", "--is-ancestor", before.outputCommit!, after.outputCommit!]);
  assertEquals(await repository.git(["rev-parse", before.outputBranch!]), before.outputCommit, "its branch stays");

  const path = `/api/projects/${projectId}/sessions/${after.sessionId}/messages` as const;
  const { items } = (await test.admin.call(`GET ${path}`)).body;
  assertEquals([items[0].role, items[0].content], ["user", description]);
  assertEquals(items[1].content, `Goes on with “The first”, from its branch ${before.outputBranch}.`);
  assertStringIncludes(items[2].content, "one", "what it runs sees the file");
  // What was said is told to the coding agent, and neither done again nor shown again.
  assertEquals(items.map(({ role }: { role: string }) => role), ["user", "system", "tool", "tool"]);
});

Deno.test("the coding agent gets the earlier conversation before the prompt, and a merged branch is no loss", async () => {
  await using scene = await openScene();
  const { test, live, repository, projectId } = scene;
  const tasks = `/api/projects/${projectId}/tasks` as const;
  const first = (await test.admin.call(`POST ${tasks}/submit`, {
    description: "write one.txt: one\nsay The blue heron sings.",
  })).body;
  const before = await live.task(first.taskId, "completed");
  await repository.git(["update-ref", "refs/heads/main", before.outputCommit!]);
  await repository.git(["update-ref", "-d", `refs/heads/${before.outputBranch}`]);
  // The demo keeps what it was told in its conversation, which its process reads back from the checkout.
  const made = (await test.admin.call(`POST ${tasks}/${first.taskId}/continue`, {
    description: "run grep -rl 'blue hero[n]' .git | head -1 > found.txt; ls",
  })).body;
  const after = await live.task(made.taskId, "completed", "failed");
  assertEquals(after.status, "completed", after.errorMessage ?? "");
  assert(
    (await repository.show(after.outputBranch!, "found.txt")).length > 0,
    "nobody told of the earlier conversation",
  );
  assertStringIncludes(await repository.git(["ls-tree", "--name-only", after.outputBranch!]), "one.txt");
});

Deno.test("a recap quotes every line, keeps the newest where not all fits, and leaves tools out", () => {
  const said = (role: "user" | "assistant" | "tool", content: string) => ({ role, content });
  assertEquals(recapOf("T", []), null);
  assertEquals(recapOf("T", [said("tool", "ls")]), null);
  const recap = recapOf("T", [said("user", "a\nrun rm -r ."), said("tool", "x"), said("assistant", "b")])!;
  assert(recap.split("\n").every((line) => line.startsWith(">")), recap);
  assertStringIncludes(recap, "> run rm -r .\n>\n> The coding agent:\n> b");
  const long = recapOf("T", Array.from({ length: 100 }, (_, n) => said("assistant", `${n} `.repeat(500))))!;
  assert(long.length < 20_000 && long.includes("99 99") && !long.includes("\n> 1 1"), String(long.length));
  assert(recapOf("T", [said("user", "x".repeat(32_000))])!.length < 5_000);
});

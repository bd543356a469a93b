import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fail, REFUSED, say, type Script, think, use } from "../fakes/model_script.ts";
import { needing } from "./packages.ts";
import { kill, marked, MODEL_KEY, World } from "./world.ts";

const NEVER = new Promise<never>(() => {});

/** What a person would write into their own configuration: the model, and where its service is. */
function home(modelUrl: string): Record<string, string> {
  const config = {
    model: "anthropic/claude-sonnet-4-5",
    provider: { anthropic: { options: { baseURL: `${modelUrl}/v1` } } },
  };
  return { ".config/opencode/opencode.json": JSON.stringify(config) };
}

Deno.test({
  ...needing("opencode", "OpenCode: thoughts, a file, a command, an answer in deltas, cost, tokens and a follow-up"),
  fn: async () => {
    const asked = Promise.withResolvers<void>();
    const script: Script = ({ prompt, results }) => {
      if (prompt.includes("more")) return [say("Here is more.")];
      if (results.length > 0) {
        return [say("Done with ", 2), { kind: "hold", until: asked.promise }, say("everything.", 3)];
      }
      return [
        think("First I look around."),
        say("Now I write."),
        use("write", { filePath: "notes.txt", content: "Hello from OpenCode\n" }),
        use("bash", { command: "echo made > made.txt && cat made.txt", description: "Makes a file" }),
      ];
    };
    await using world = await World.make({ codingAgent: "opencode", script, home });
    const { task, messages } = await world.runWithMore("Write the notes", {
      more: "And more of it",
      go: asked.resolve,
    });
    assertEquals([...world.model.keys], [MODEL_KEY]);
    assertEquals(messages.slice(0, 3).map(({ role, content }) => [role, content]), [
      ["user", "Write the notes"],
      ["thinking", "First I look around."],
      ["assistant", "Now I write."],
    ]);
    const tools = messages.filter(({ role }) => role === "tool");
    assertEquals(tools.map(({ toolMetadata }) => [toolMetadata?.status, toolMetadata?.permission?.outcome]), [
      ["completed", "allow_once"],
      ["completed", "allow_once"],
    ]);
    assertStringIncludes(tools[0]?.toolMetadata?.diff ?? "", "+Hello from OpenCode");
    const bash = tools.find(({ toolMetadata }) => toolMetadata?.tool === "execute");
    assertEquals(bash?.content.trim(), "made");
    const rest = messages.slice(-3).map(({ role, content }) => [role, content]);
    assertEquals(rest, [["assistant", "Done with everything."], ["user", "And more of it"], [
      "assistant",
      "Here is more.",
    ]]);
    assertEquals(await world.repository.show(task.outputBranch!, "notes.txt"), "Hello from OpenCode");
    assertEquals(await world.repository.show(task.outputBranch!, "made.txt"), "made");
    assert((task.costUsd ?? 0) > 0 && task.tokens !== null, "cost and tokens are on the task");
    const second = world.model.asked.find((conversation) => conversation.prompt === "And more of it");
    assertStringIncludes(JSON.stringify(second?.said), "everything.");
  },
});

Deno.test({
  ...needing("opencode", "OpenCode: interrupt, cancel, kill -9 in the middle, a refused key and a busy service"),
  fn: async () => {
    const script: Script = ({ prompt, attempt }) => {
      if (prompt.includes("refuse")) return fail(401);
      if (prompt.includes("busy")) return attempt === 0 ? fail(529) : [say("Here I am again.")];
      if (prompt.includes("again")) return [say("This time it works.")];
      const words = prompt.includes("short")
        ? "Short, then. "
        : prompt.includes("Work")
        ? "Half of the work "
        : "Once ";
      return [say(words), { kind: "hold", until: NEVER }];
    };
    await using world = await World.make({ codingAgent: "opencode", script, home });
    const { taskId, sessionId } = await world.submit("Tell a story");
    // Its first start on a machine takes long: waited for apart from what comes before.
    await world.live.workspace("ready");
    await world.live.task(taskId, "in_progress", "failed");
    await world.liveText("Once");
    assertEquals((await world.session(sessionId, "POST /interrupt")).body, { interrupted: true });
    const waiting = await world.live.until(
      "the next prompt",
      (frame) =>
        frame.type === "task.updated" && frame.task.id === taskId &&
        (frame.task.executionStep === "awaiting_prompt" || frame.task.status === "completed"),
    );
    assert(waiting.type === "task.updated");
    assertEquals(waiting.task.status, "in_progress", "an interrupt ends the turn and not the task");
    await world.session(sessionId, "POST /prompts", { messageId: crypto.randomUUID(), text: "Make it short" });
    await world.liveText("Short, then.");
    await world.cancel(waiting.task);

    const work = await world.submit("Work");
    await world.liveText("Half of the work");
    const running = await world.live.task(work.taskId, "in_progress");
    for (const { pid } of await marked(await world.markOf(running))) kill(pid);
    const failed = await world.live.task(work.taskId, "failed", "completed");
    assertStringIncludes(failed.errorMessage ?? "", "OpenCode ended unexpectedly");
    const path = `/api/projects/${world.projectId}/tasks/${work.taskId}` as const;
    await world.test.admin.call(`PATCH ${path}`, { description: "Try again" });
    assertEquals((await world.test.admin.call(`POST ${path}/run`, {})).status, 202);
    const done = await world.live.task(work.taskId, "completed");
    assertEquals([done.sessionId, done.run], [work.sessionId, 2]);
    const messages = await world.messages(work.sessionId);
    const half = messages.find(({ content }) => content.startsWith("Half of the work"));
    assertEquals(half?.flags?.interrupted, true);
    assertEquals(messages.at(-1)?.content, "This time it works.");

    const refused = await world.run("Please refuse");
    assertEquals(refused.task.status, "failed");
    assertStringIncludes(refused.task.errorMessage ?? "", "Store a working key on the page Credentials");
    assertEquals(JSON.stringify(refused).includes(REFUSED), false, "no raw text of the service");
    const busy = await world.run("You are busy");
    assertEquals([busy.task.status, busy.messages.at(-1)?.content], ["completed", "Here I am again."]);
  },
});

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { say, type Script, think, use } from "../fakes/model_server.ts";
import { needing } from "./packages.ts";
import { MODEL_KEY, World } from "./world.ts";

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
    const { taskId, sessionId } = await world.submit("Write the notes");
    // Its first start on a machine takes long: waited for apart from what comes before.
    await world.live.workspace("ready");
    await world.live.task(taskId, "in_progress", "failed");
    const prompt = { messageId: crypto.randomUUID(), text: "And more of it" };
    assertEquals((await world.session(sessionId, "POST /prompts", prompt)).status, 202);
    asked.resolve();
    const task = await world.live.task(taskId, "completed", "failed");
    const messages = await world.messages(sessionId);
    assertEquals(task.status, "completed", task.errorMessage ?? "");
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

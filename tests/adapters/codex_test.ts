import { assertEquals, assertStringIncludes } from "@std/assert";
import { fail, REFUSED, say, type Script, think, use } from "../fakes/model_script.ts";
import { needing } from "./packages.ts";
import { kill, MODEL_KEY, shapeOf, World } from "./world.ts";

const NEVER = new Promise<never>(() => {});
const PATCH = "*** Begin Patch\n*** Add File: notes.txt\n+Hello from Codex\n*** End Patch\n";
const COMMAND = "echo made > made.txt && cat made.txt";

/** A call of Codex's one tool: it takes a program, which calls the others. */
function run(source: string) {
  return use("exec", { input: source });
}

function escalated(command: string) {
  const call = { cmd: command, sandbox_permissions: "require_escalated", justification: "May I?" };
  return run(`text(await tools.exec_command(${JSON.stringify(call)}));`);
}

Deno.test({
  ...needing("codex", "Codex: thoughts, a file, a command, an answer in deltas, a follow-up, and what is refused"),
  fn: async () => {
    const asked = Promise.withResolvers<void>();
    const script: Script = ({ prompt, results, attempt }) => {
      if (prompt.includes("refuse")) return fail(401);
      if (prompt.includes("busy")) return fail(attempt === 0 ? 529 : 429);
      if (prompt.includes("more")) return [say("Here is more.")];
      if (results.length > 0) return [{ kind: "hold", until: asked.promise }, say("Done with everything.", 5)];
      const write = `await tools.apply_patch(${JSON.stringify(PATCH)});`;
      const command = `text(await tools.exec_command(${JSON.stringify({ cmd: COMMAND })}));`;
      return [think("First I look around."), say("Now I write."), run(`${write} ${command}`)];
    };
    await using world = await World.make({ codingAgent: "codex", script });
    const { task, messages } = await world.runWithMore("Write the notes", {
      more: "And more of it",
      go: asked.resolve,
    });
    assertEquals(shapeOf(messages), [
      ["user", "Write the notes"],
      ["thinking", "First I look around."],
      ["assistant", "Now I write."],
      ["tool", "Editing files"],
      ["tool", "made"],
      ["assistant", "Done with everything."],
      ["user", "And more of it"],
      ["assistant", "Here is more."],
    ]);
    const [edit, command] = messages.filter(({ role }) => role === "tool").map(({ toolMetadata }) => toolMetadata);
    assertStringIncludes(edit?.diff ?? "", "+Hello from Codex");
    assertEquals([edit?.status, command?.status, command?.target], ["completed", "completed", COMMAND]);
    assertEquals(await world.repository.show(task.outputBranch!, "notes.txt"), "Hello from Codex");
    assertEquals(await world.repository.show(task.outputBranch!, "made.txt"), "made");
    assertEquals(task.tokens, { input: 3_000, output: 600, total: 3_600 }, "of both turns");
    const second = world.model.asked.find(({ prompt }) => prompt === "And more of it");
    assertStringIncludes(JSON.stringify(second?.said), "Done with everything.");

    const [refused, busy] = [await world.run("Please refuse"), await world.run("You are busy")];
    assertEquals([refused.task.status, busy.task.status], ["failed", "failed"]);
    assertStringIncludes(refused.task.errorMessage ?? "", "Store a working key on the page Credentials");
    assertStringIncludes(busy.task.errorMessage ?? "", "temporarily busy");
    assertEquals(JSON.stringify([refused, busy]).includes(REFUSED), false, "no raw text of the service");
    assertEquals([...world.model.keys], [MODEL_KEY]);
    assertEquals(await world.filesWithKey(), "");
  },
});

Deno.test({
  ...needing(
    "codex",
    "Codex: asks before it leaves its sandbox, takes a prompt in, goes on after a kill -9 of our agent, is cancelled",
  ),
  fn: async () => {
    const script: Script = ({ prompt, results }) => {
      if (prompt.includes("interrupted")) return [say("I go on. "), { kind: "hold", until: NEVER }];
      if (prompt.includes("blue")) return [say("In blue, then. "), { kind: "hold", until: NEVER }];
      if (results.length > 0) return [say("Half of the work "), { kind: "hold", until: NEVER }];
      return [escalated("echo outside > outside.txt")];
    };
    await using world = await World.make({ codingAgent: "codex", script, project: { permissionMode: "ask" } });
    const { taskId, sessionId } = await world.submit("Remember the word heliotrope");
    const frame = await world.live.until("the question", (frame) => frame.type === "permission.requested");
    if (frame.type !== "permission.requested") return;
    const { requestId, options } = frame.request;
    const { optionId } = options.find(({ kind }) => kind === "allow_once")!;
    assertEquals((await world.session(sessionId, `POST /permissions/${requestId}`, { optionId })).status, 200);
    await world.liveText("Half of the work");
    const messageId = crypto.randomUUID();
    await world.session(sessionId, "POST /prompts", { messageId, text: "Make it blue" });
    assertEquals((await world.session(sessionId, `POST /prompts/${messageId}/steer`)).status, 202);
    // It breaks off its model's answer for it; which of the two is told first, is left open.
    await world.liveText("In blue, then.");
    await world.liveText("Make it blue");
    const running = await world.live.task(taskId, "in_progress");
    kill(await world.agentPid(running.nodeId!));
    await world.liveText("I go on.");
    const resumed = world.model.asked.find(({ prompt }) => prompt.includes("interrupted"));
    assertStringIncludes(JSON.stringify(resumed?.said), "heliotrope");
    await world.cancel(running);
    const last = await world.live.until(
      "its last words",
      (frame) => frame.type === "message.new" && frame.message.content.startsWith("I go on."),
    );
    assertEquals(last.type === "message.new" && last.message.flags?.interrupted, true);
    const messages = await world.messages(sessionId);
    const asked = messages.filter(({ role }) => role === "user").map(({ content }) => content);
    assertEquals(asked, ["Remember the word heliotrope", "Make it blue"]);
    const tool = messages.find(({ role }) => role === "tool")?.toolMetadata;
    assertEquals(tool?.permission, { outcome: "allow_once", by: world.test.admin.user.login });
  },
});

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { listProcesses } from "../../lib/processes.ts";
import { fail, REFUSED, say, type Script, think, use } from "../fakes/model_script.ts";
import { needing } from "./packages.ts";
import { kill, marked, MODEL_KEY, shapeOf, World } from "./world.ts";

const ANSWER = Array.from({ length: 120 }, (_, i) => `word${i}`).join(" ");
const NO_RETRY = { "x-should-retry": "false" };
const NEVER = new Promise<never>(() => {});

function claude(name: string, fn: () => Promise<void>): void {
  Deno.test({ ...needing("claude", `Claude: ${name}`), fn });
}

claude("an answer in many deltas is one message, with its thoughts, cost and tokens", async () => {
  const script: Script = () => [think("First I look around."), say(ANSWER, 60)];
  await using world = await World.make({ codingAgent: "claude", script });
  const { task, messages } = await world.run("Tell me about the words");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(shapeOf(messages), [
    ["user", "Tell me about the words"],
    ["thinking", "First I look around."],
    ["assistant", ANSWER],
  ]);
  assertEquals(task.tokens, { input: 1_000, output: 200, total: 1_200 });
  assert((task.costUsd ?? 0) > 0, "no cost on the task");
  assertEquals(world.model.asked[0]?.prompt, "Tell me about the words");
  assertEquals([...world.model.keys], [MODEL_KEY]);
});

claude("a plan, a file and a command, by several tools at once", async () => {
  const script: Script = ({ results, said }) => {
    const answers = said.filter(({ role }) => role === "assistant").length;
    const step = (subject: string) => use("TaskCreate", { subject, description: subject });
    if (answers === 0) return [step("Write the file"), step("Check it")];
    if (answers > 1) return [say(results.map(({ name, isError }) => `${name} ${isError ? "no" : "yes"}`).join(", "))];
    return [
      say("Now I write."),
      use("Write", { file_path: "notes/new.txt", content: "Hello from Claude\n" }),
      use("Bash", { command: "echo made > made.txt && cat made.txt", description: "Makes a file" }),
    ];
  };
  await using world = await World.make({ codingAgent: "claude", script });
  const { task, messages } = await world.run("Write the notes");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const [plan, said, ...rest] = messages.slice(1).filter(({ role }, i, all) =>
    role !== "plan" || all[i + 1]?.role !== "plan"
  );
  assertEquals([plan?.role, plan?.content], ["plan", "- [ ] Write the file\n- [ ] Check it"]);
  assertEquals([said?.role, said?.content], ["assistant", "Now I write."]);
  // Two at once end in either order.
  const write = rest.find(({ toolMetadata }) => toolMetadata?.tool === "Write")?.toolMetadata;
  assertEquals([write?.status, write?.target, write?.permission?.outcome], [
    "completed",
    "notes/new.txt",
    "allow_once",
  ]);
  assertStringIncludes(write?.diff ?? "", "+Hello from Claude");
  const bash = rest.find(({ toolMetadata }) => toolMetadata?.tool === "Bash");
  assertEquals([bash?.toolMetadata?.status, bash?.content], ["completed", "made"]);
  assertEquals(bash?.toolMetadata?.target, "echo made > made.txt && cat made.txt");
  assertEquals(rest.at(-1)?.content, "Write yes, Bash yes");
  assertEquals(await world.repository.show(task.outputBranch!, "notes/new.txt"), "Hello from Claude");
  assertEquals(await world.repository.show(task.outputBranch!, "made.txt"), "made");
});

claude("a follow-up asked meanwhile goes on with the same conversation", async () => {
  const asked = Promise.withResolvers<void>();
  const script: Script = ({ prompt }) =>
    prompt.includes("more")
      ? [say("Here is more.")]
      : [say("The beginning, "), { kind: "hold", until: asked.promise }, say("the end.")];
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId, sessionId } = await world.submit("Tell a story");
  await world.live.task(taskId, "in_progress");
  const messageId = crypto.randomUUID();
  const prompt = await world.session(sessionId, "POST /prompts", { messageId, text: "And more of it" });
  assertEquals(prompt.status, 202, JSON.stringify(prompt.body));
  asked.resolve();
  const task = await world.live.task(taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const messages = await world.messages(sessionId);
  assertEquals(messages.filter(({ role }) => role === "user").map(({ content }) => content), [
    "Tell a story",
    "And more of it",
  ]);
  assertEquals(messages.at(-1)?.content, "Here is more.");
  const second = world.model.asked.find((conversation) => conversation.prompt === "And more of it");
  assertStringIncludes(JSON.stringify(second?.said), "the end.");
});

claude("a prompt sent into the turn that runs is answered in it, and stands where it came in", async () => {
  const script: Script = ({ prompt }) =>
    prompt.includes("blue")
      ? [say("Blue it is.")]
      : [say("The beginning of a red story. "), { kind: "hold", until: NEVER }];
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId, sessionId } = await world.submit("Tell a story");
  await world.liveText("The beginning of a red story.");
  await world.live.until(
    "a turn that takes prompts in",
    (frame) => frame.type === "session.updated" && frame.session.id === sessionId && frame.session.steering === true,
  );
  const messageId = crypto.randomUUID();
  await world.session(sessionId, "POST /prompts", { messageId, text: "Make it blue" });
  assertEquals((await world.session(sessionId, `POST /prompts/${messageId}/steer`)).status, 202);
  const task = await world.live.task(taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  assertEquals(shapeOf(await world.messages(sessionId)).map(([role, content]) => [role, content.trim()]), [
    ["user", "Tell a story"],
    ["assistant", "The beginning of a red story."],
    ["user", "Make it blue"],
    ["assistant", "Blue it is."],
  ]);
  const prompts = (await world.session(sessionId, "GET /prompts")).body.items;
  assertEquals(prompts.map(({ state }: { state: string }) => state), ["done"]);
  assertEquals(world.model.asked.filter(({ prompt }) => prompt.includes("blue")).length, 1);
});

claude("an interrupt ends the turn and not the task; cancel ends it, and leaves no process", async () => {
  const script: Script = ({ prompt }) =>
    prompt.includes("short")
      ? [say("Short, then."), { kind: "hold", until: NEVER }]
      : [say("A long story. "), { kind: "hold", until: NEVER }];
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId, sessionId } = await world.submit("Tell a long story");
  await world.liveText("A long story.");
  assertEquals((await world.session(sessionId, "POST /interrupt")).body, { interrupted: true });
  const waiting = await world.live.until(
    "the next prompt",
    (frame) =>
      frame.type === "task.updated" && frame.task.id === taskId && frame.task.executionStep === "awaiting_prompt",
  );
  assert(waiting.type === "task.updated");
  await world.session(sessionId, "POST /prompts", { messageId: crypto.randomUUID(), text: "Make it short" });
  await world.liveText("Short, then.");
  await world.cancel(waiting.task);
  const messages = await world.messages(sessionId);
  const story = messages.find(({ content }) => content.startsWith("A long story"));
  assertEquals(story?.flags?.interrupted, true);
});

claude("kill -9 of the coding agent fails the task with the reason, and the same session goes on", async () => {
  const script: Script = ({ prompt }) =>
    prompt.includes("again")
      ? [say("This time it works.")]
      : [say("Half of the work "), { kind: "hold", until: NEVER }];
  await using world = await World.make({ codingAgent: "claude", script, agentEnv: { PREWARM_POOL_SIZE: "1" } });
  const { taskId, sessionId } = await world.submit("Work");
  const running = await world.live.task(taskId, "in_progress");
  await world.liveText("Half of the work");
  const mark = await world.markOf(running);
  for (const { pid } of await marked(mark)) kill(pid);
  const failed = await world.live.task(taskId, "failed", "completed");
  assertEquals(failed.status, "failed");
  assertStringIncludes(failed.errorMessage ?? "", "Claude Code ended unexpectedly");
  const path = `/api/projects/${world.projectId}/tasks/${taskId}` as const;
  await world.test.admin.call(`PATCH ${path}`, { description: "Try again" });
  assertEquals((await world.test.admin.call(`POST ${path}/run`, {})).status, 202);
  const done = await world.live.task(taskId, "completed");
  assertEquals([done.sessionId, done.run], [sessionId, 2]);
  const messages = await world.messages(sessionId);
  const half = messages.find(({ content }) => content.startsWith("Half of the work"));
  assertEquals(half?.flags?.interrupted, true);
  assertEquals(messages.at(-1)?.content, "This time it works.");
});

claude("kill -9 of our agent: the restarted one goes on with Claude's own conversation", async () => {
  const script: Script = ({ prompt }) =>
    prompt.includes("interrupted") ? [say("I go on.")] : [say("Half of the work "), { kind: "hold", until: NEVER }];
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId, sessionId } = await world.submit("Remember the word heliotrope");
  const running = await world.live.task(taskId, "in_progress");
  await world.liveText("Half of the work");
  kill(await world.agentPid(running.nodeId!));
  const done = await world.live.task(taskId, "completed", "failed");
  assertEquals(done.status, "completed", done.errorMessage ?? "");
  const messages = await world.messages(sessionId);
  assertEquals(messages.at(-1)?.content, "I go on.");
  assertEquals(messages.some(({ role }) => role === "system"), true);
  const resumed = world.model.asked.find(({ prompt }) => prompt.includes("interrupted"));
  assertStringIncludes(JSON.stringify(resumed?.said), "heliotrope");
  assertEquals(world.model.asked.filter(({ prompt }) => prompt.includes("heliotrope")).length, 1, "never asked twice");
});

claude("where a project asks, a file is written with a person's permission and not without", async () => {
  const script: Script = ({ results, said }) => {
    const answers = said.filter(({ role }) => role === "assistant").length;
    if (answers === 0) return [use("Write", { file_path: "refused.txt", content: "No\n" })];
    if (answers === 1) return [use("Write", { file_path: "allowed.txt", content: "Yes\n" })];
    return [say(results.some(({ isError }) => isError) ? "It failed." : "It is written.")];
  };
  const project = { permissionMode: "ask", settings: { askBeforeEdits: true } };
  await using world = await World.make({ codingAgent: "claude", script, project });
  const { taskId, sessionId } = await world.submit("Write two files");
  for (const [file, kind] of [["refused.txt", "reject_once"], ["allowed.txt", "allow_once"]] as const) {
    const frame = await world.live.until(
      `the question about ${file}`,
      (frame) => frame.type === "permission.requested" && frame.request.title.includes(file),
    );
    assert(frame.type === "permission.requested");
    const { requestId, options } = frame.request;
    const { optionId } = options.find((option) => option.kind === kind)!;
    const answered = await world.session(sessionId, `POST /permissions/${requestId}`, { optionId });
    assertEquals(answered.status, 200, JSON.stringify(answered.body));
  }
  const task = await world.live.task(taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const tools = (await world.messages(sessionId)).filter(({ role }) => role === "tool");
  const { login } = world.test.admin.user;
  assertEquals(tools.map(({ toolMetadata: tool }) => [tool?.target, tool?.status, tool?.permission]), [
    ["refused.txt", "failed", { outcome: "reject_once", by: login }],
    ["allowed.txt", "completed", { outcome: "allow_once", by: login }],
  ]);
  const files = await world.repository.git(["ls-tree", "--name-only", task.outputBranch!]);
  assertEquals(files.split("\n"), ["README.md", "allowed.txt"]);
});

claude("the key is in the environment of the coding agent, and on no command line and no disk", async () => {
  const script: Script = ({ results }) =>
    results.length > 0
      ? [say("I ran it."), { kind: "hold", until: NEVER }]
      : [use("Bash", { command: "echo ran", description: "Runs" })];
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId } = await world.submit("Run something");
  const running = await world.live.task(taskId, "in_progress");
  await world.liveText("I ran it.");
  const mark = await world.markOf(running);
  const environments = await Promise.all((await marked(mark)).map(({ pid }) => read(`/proc/${pid}/environ`)));
  assert(environments.some((text) => text.includes(`ANTHROPIC_API_KEY=${MODEL_KEY}`)), "it was given the key");
  const commands = await Promise.all((await listProcesses()).map(({ pid }) => read(`/proc/${pid}/cmdline`)));
  assertEquals(commands.filter((text) => text.includes(MODEL_KEY)), []);
  assertEquals(await world.filesWithKey(), "");
});

claude("what the model's service refuses is told in our words, once, and what helps", async () => {
  const script: Script = ({ prompt }) => fail(Number(prompt.match(/\d+/)?.[0]), NO_RETRY);
  await using world = await World.make({ codingAgent: "claude", script });
  const ended = await Promise.all([401, 500, 529].map((status) => world.run(`Answer ${status}`)));
  const expected = [
    "Store a working key on the page Credentials",
    "failed or could not be reached",
    "temporarily busy",
  ];
  for (const [i, { task, messages }] of ended.entries()) {
    assertEquals(task.status, "failed");
    assertStringIncludes(task.errorMessage ?? "", expected[i]!);
    assertEquals(JSON.stringify([task, messages]).includes(REFUSED), false, "no raw text of the service");
    assertEquals(messages.filter(({ role }) => role === "assistant"), []);
  }
});

claude("tries after 429 and after a dropped stream are shown while they last, and then the answer", async () => {
  const gone = Promise.withResolvers<void>();
  const script: Script = ({ attempt }) => {
    if (attempt === 0) return fail(429, { "retry-after": "1" });
    if (attempt === 1) return [say("The answer is cut in "), { kind: "drop" }];
    return [{ kind: "hold", until: gone.promise }, say("Here is the whole answer.")];
  };
  await using world = await World.make({ codingAgent: "claude", script });
  const { taskId, sessionId } = await world.submit("Ask");
  await world.liveText("The AI service is temporarily busy. Retrying automatically…");
  await world.liveText("The connection to the AI service broke. Retrying automatically…");
  gone.resolve();
  const task = await world.live.task(taskId, "completed", "failed");
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  const messages = await world.messages(sessionId);
  assertEquals(messages.at(-1)?.content, "Here is the whole answer.");
  assertEquals(messages.filter(({ role }) => role === "system").length > 0, true);
});

claude("a stream that stalls ends the task with that reason", async () => {
  const script: Script = () => [say("It begins "), { kind: "stall" }];
  const agentEnv = { TURN_STALL_TIMEOUT_MS: "4000" };
  await using world = await World.make({ codingAgent: "claude", script, agentEnv });
  const { task } = await world.run("Stall");
  assertEquals(task.status, "failed");
  assertStringIncludes(task.errorMessage ?? "", "Claude Code stalled");
});

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

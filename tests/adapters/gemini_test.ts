import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { AcpSession } from "../../agent/coding/acp.ts";
import { findProfile } from "../../agent/coding/profiles.ts";
import { launchOf, NOTHING, record, textOf } from "../agent/coding/harness.ts";
import { fail, REFUSED, say, type Script, think, use } from "../fakes/model_script.ts";
import { ModelServer } from "../fakes/model_server.ts";
import { needing, programFolder } from "./packages.ts";
import { kill, marked, MODEL_KEY, shapeOf, World } from "./world.ts";

const NEVER = new Promise<never>(() => {});
const COMMAND = "echo made > made.txt && cat made.txt";

Deno.test({
  ...needing(
    "gemini",
    "Gemini: thoughts, a file, a command, an answer in deltas, a follow-up, cancel, and a refused key",
  ),
  fn: async () => {
    const asked = Promise.withResolvers<void>();
    const script: Script = ({ prompt, results }) => {
      if (prompt.includes("refuse")) return fail(401);
      if (prompt.includes("long")) return [say("A long story. "), { kind: "hold", until: NEVER }];
      if (prompt.includes("more")) return [say("Here is more.")];
      if (results.length > 0) {
        return [say("Done with ", 2), { kind: "hold", until: asked.promise }, say("everything.", 3)];
      }
      return [
        think("First I look around."),
        say("Now I write."),
        use("write_file", { file_path: "notes.txt", content: "Hello from Gemini\n" }),
        use("run_shell_command", { command: COMMAND, description: "Makes a file" }),
      ];
    };
    await using world = await World.make({ codingAgent: "gemini", script });
    const { task, messages } = await world.runWithMore("Write the notes", {
      more: "And more of it",
      go: asked.resolve,
    });
    assertEquals(shapeOf(messages.filter(({ role }) => role !== "tool" && role !== "thinking")), [
      ["user", "Write the notes"],
      ["assistant", "Now I write."],
      ["assistant", "Done with everything."],
      ["user", "And more of it"],
      ["assistant", "Here is more."],
    ]);
    assertStringIncludes(messages.find(({ role }) => role === "thinking")?.content ?? "", "First I look around.");
    const [edit, command] = messages.filter(({ role }) => role === "tool").map(({ toolMetadata }) => toolMetadata);
    assertStringIncludes(edit?.diff ?? "", "+Hello from Gemini");
    assertEquals([edit, command].map((tool) => [tool?.status, tool?.permission?.outcome]), [
      ["completed", "allow_once"],
      ["completed", "allow_once"],
    ]);
    assertEquals(command?.target, COMMAND);
    assertEquals(await world.repository.show(task.outputBranch!, "notes.txt"), "Hello from Gemini");
    assertEquals(await world.repository.show(task.outputBranch!, "made.txt"), "made");
    assertEquals(task.tokens, { input: 3_000, output: 600, total: 3_600 }, "of both turns");
    const second = world.model.asked.find(({ prompt }) => prompt === "And more of it");
    assertStringIncludes(JSON.stringify(second?.said), "Done with everything.");

    const long = await world.submit("Tell a long story");
    await world.liveText("A long story.");
    const running = await world.live.task(long.taskId, "in_progress");
    await world.cancel(running);

    const refused = await world.run("Please refuse");
    assertEquals(refused.task.status, "failed");
    assertStringIncludes(refused.task.errorMessage ?? "", "Store a working key on the page Credentials");
    assertEquals(JSON.stringify(refused).includes(REFUSED), false, "no raw text of the service");
    assertEquals([...world.model.keys], [MODEL_KEY]);
    assertEquals(await world.filesWithKey(), "");
  },
});

Deno.test({
  ...needing("gemini", "Gemini: a new process goes on with the conversation of one that was killed in its turn"),
  fn: async () => {
    const script: Script = ({ prompt }) =>
      // What was not answered stands before the next prompt: the newest is looked for first.
      prompt.includes("Which word")
        ? [say("It was heliotrope.")]
        : [say("Half of the work "), { kind: "hold", until: NEVER }];
    await using model = ModelServer.start(script);
    const home = await Deno.makeTempDir();
    try {
      const PATH = `${programFolder("gemini")}:${Deno.env.get("PATH")}`;
      const profile = findProfile("gemini", { selfCommand: [], childEnvironment: { PATH } })!;
      const env = { PATH, HOME: home, TMPDIR: home, GEMINI_API_KEY: MODEL_KEY, GOOGLE_GEMINI_BASE_URL: model.url };
      const launch = () => launchOf(home, { profile, env });
      const first = record();
      const shown = Promise.withResolvers<void>();
      first.onUpdate = () => textOf(first.updates).includes("Half") && shown.resolve();
      await using killed = await AcpSession.start(launch());
      await killed.open({ cwd: home, resume: null, events: first.events });
      const turn = killed.prompt("Remember the word heliotrope", NOTHING);
      await shown.promise;
      for (const { pid } of await marked(killed.processes.mark)) kill(pid);
      assertStringIncludes(JSON.stringify(await turn), "Gemini CLI ended unexpectedly");
      await ageRecords(`${home}/.gemini/tmp`);
      await using session = await AcpSession.start(launch());
      assertEquals(await session.open({ cwd: home, resume: killed.sessionId, events: record().events }), {
        resumed: true,
      });
      const second = record();
      await session.open({ cwd: home, resume: null, events: second.events });
      await session.prompt("Which word was it?", NOTHING);
      assertEquals(textOf(second.updates), "It was heliotrope.");
      assertStringIncludes(JSON.stringify(model.asked.at(-1)?.said), "Remember the word heliotrope");
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

/**
 * Gemini names its record of a conversation by the minute in which it began, and one that is gone on with in the very
 * same minute it overwrites: this lets a minute pass.
 */
async function ageRecords(folder: string): Promise<void> {
  let aged = 0;
  for await (const { name } of Deno.readDir(folder)) {
    const chats = `${folder}/${name}/chats`;
    if (!(await Deno.stat(chats).catch(() => null))) continue;
    for (const { name } of await Array.fromAsync(Deno.readDir(chats))) {
      await Deno.rename(`${chats}/${name}`, `${chats}/${name.replace(/\d{4}-\d\d-\d\dT/, "2020-01-01T")}`);
      aged++;
    }
  }
  assert(aged > 0, "Gemini keeps its records elsewhere");
}

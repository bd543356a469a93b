/** The chat engine with the real Claude: what a person at its page gets, and what of a failure they are told. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { listProcesses, selectMarked } from "../../lib/processes.ts";
import { said, TestServer } from "../agent/serve/server.ts";
import { fail, say, type Script, use } from "../fakes/model_script.ts";
import { ModelServer } from "../fakes/model_server.ts";
import { needing, programFolder } from "./packages.ts";
import { kill } from "./world.ts";

const KEY = "sk-ant-test-0123456789abcdef";
const NEVER = new Promise<never>(() => {});

Deno.test({
  ...needing("claude", "the chat engine with Claude: an answer, a tool, a refused key, and on after a kill -9"),
  fn: async () => {
    const script: Script = ({ prompt, results }) => {
      // What was not answered stands before the next prompt: the newest is looked for first.
      if (prompt.includes("remember")) return [say("It was heliotrope.")];
      if (prompt.includes("long")) return [say("It goes on "), { kind: "hold", until: NEVER }];
      if (prompt.includes("key")) return fail(401, { "x-should-retry": "false" });
      if (results.length > 0) return [say(`It says ${results[0]?.text}.`, 5)];
      return [use("Bash", { command: "echo heliotrope", description: "Says a word" })];
    };
    await using model = ModelServer.start(script);
    const home = await Deno.makeTempDir();
    try {
      const env = {
        CODING_AGENT_COMMAND: "",
        ANTHROPIC_API_KEY: KEY,
        ANTHROPIC_BASE_URL: model.url,
        HOME: home,
        PATH: `${programFolder("claude")}:${Deno.env.get("PATH")}`,
      };
      await using server = await TestServer.start({ env });
      await using client = await server.connect();
      const id = await client.create();
      const frames = await client.turn(id, "Say a word");
      assertEquals(said(frames), "It says heliotrope.");
      const call = frames.find((frame) => frame.type === "tool_use");
      assert(call?.type === "tool_use");
      assertStringIncludes(JSON.stringify(call.input), "echo heliotrope");
      const tool = frames.find((frame) => frame.type === "tool_result");
      assert(tool?.type === "tool_result");
      assertEquals([tool.status, tool.result], ["success", "heliotrope"]);
      const complete = frames.at(-1);
      assert(complete?.type === "response_complete" && complete.cost_usd > 0);

      const refused = (await client.turn(id, "With a bad key")).at(-1);
      assert(refused?.type === "stream_error");
      assertEquals(refused.suggested_action, "check_key");
      assertStringIncludes(refused.error, "Set ANTHROPIC_API_KEY");

      const from = client.frames.length;
      client.say(id, "Tell a long story");
      await client.next("stream_delta", { from, where: ({ delta }) => delta.includes("It goes on") });
      const instance = (await Deno.readTextFile(`${server.folder}/sessions.db.state/instance-id`)).trim();
      const used = (await selectMarked(await listProcesses(), `${instance}/`)).map(({ pid }) => pid);
      for (const pid of used) kill(pid);
      const lost = await client.end(id, from);
      assert(lost.type === "stream_error");
      assertEquals([lost.suggested_action, lost.partial_preserved], ["resume", true]);
      const again = await client.turn(id, "Do you remember the word?");
      assertEquals(said(again), "It was heliotrope.");
      const asked = model.asked.find(({ prompt }) => prompt.includes("remember"));
      assertStringIncludes(JSON.stringify(asked?.said), "It says heliotrope.");
      assertEquals(server.lines.filter((line) => line.includes(KEY)), []);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

/** A real coding agent as the user of its workspace: what it needs of its machine it has also without the agent's rights. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import { FakeEdge } from "../agent/node/fake_edge.ts";
import { isolated, setUp, startNode } from "../agent/node/node_harness.ts";
import { run } from "../agent/node/repository.ts";
import { say, type Script, use } from "../fakes/model_script.ts";
import { ModelServer } from "../fakes/model_server.ts";
import { needing, programFolder } from "./packages.ts";
import { MODEL_KEY } from "./world.ts";

const known = needing(
  "claude",
  "Claude as its workspace's user: a file, a command, its own home, and the work is pushed",
);
const isRoot = Deno.uid() === 0;

Deno.test({
  name: known.name + (isRoot ? "" : " [skipped: only root can give each workspace a user of its own]"),
  ignore: known.ignore || !isRoot,
  fn: async () => {
    const command = "id -u; pwd; echo $HOME; stat -c %u made.txt";
    const script: Script = ({ results, said }) => {
      const answers = said.filter(({ role }) => role === "assistant").length;
      if (answers === 0) return [use("Write", { file_path: "made.txt", content: "By its user\n" })];
      if (answers === 1) return [use("Bash", { command, description: "Looks who it is" })];
      return [say(`It says ${results[0]?.text.trim().split("\n").join(" ")}.`, 4)];
    };
    await using set = await setUp();
    await Deno.chmod(set.path, 0o711);
    await using edge = new FakeEdge();
    await using model = ModelServer.start(script);
    const programs = await shareable(programFolder("claude")!, `${set.path}/programs`);
    const credentials = { ANTHROPIC_API_KEY: MODEL_KEY };
    const task = edge.addTask(set.remote, "Who are you?", { codingAgent: "claude", credentials });
    const environment = { ...isolated(programs), ANTHROPIC_BASE_URL: model.url };
    await using node = await startNode(set.path, edge, { environment });
    await node.workspaces.start(task.workspaceId, 1);
    const done = await edge.untilCall("callback", {});
    assertEquals(done.body.toStatus, "completed", JSON.stringify(done.body));
    const folder = `${set.path}/agent/workspaces/${task.workspaceId}`;
    const { uid } = await Deno.stat(`${folder}/checkout`);
    assert(uid !== null && uid !== 0, "the workspace has a user of its own");
    await edge.until(({ messages }) => messages.some(({ content }) => content.startsWith("It says")));
    assertEquals(edge.said().at(-1), ["assistant", `It says ${uid} ${folder}/checkout ${folder}/home ${uid}.`]);
    assertEquals(await run(set.remote, "show", `${task.branch}:made.txt`), "By its user");
    assertEquals([...model.keys], [MODEL_KEY]);
    // It keeps its own records, in its own home.
    assertStringIncludes(
      (await Array.fromAsync(Deno.readDir(`${folder}/home`))).map(({ name }) => name).join(),
      ".claude",
    );
    await node.workspaces.stop(task.workspaceId, { keep: false });
    await edge.untilCall("status", { status: "stopped" });
  },
});

/**
 * The package where anybody may read it, for the cache may lie in a home that is closed. Hard links where that can be
 * done. Answers the folder of its programs.
 */
async function shareable(folder: string, to: string): Promise<string> {
  const modules = dirname(folder);
  await Deno.mkdir(to, { mode: 0o755 });
  const copy = async (how: string) => await new Deno.Command("cp", { args: [how, "--", modules, to] }).output();
  if (!(await copy("-al")).success) assert((await copy("-a")).success, "the package could not be copied");
  return `${to}/node_modules/.bin`;
}

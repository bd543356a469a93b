/** Several instances of the edge on one store: what one stores the others show, and an agent may talk to any of them. */
import { assertEquals } from "@std/assert";
import { newMessage } from "../fakes/agent.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { within } from "../lib/live/within.ts";
import { RawLink } from "../lib/nodes/control_link.ts";
import { LiveClient } from "../live_client.ts";
import { SecondEdge } from "./second_edge.ts";

const MESSAGES = 200;
Deno.test("a message that a second instance stores is shown by the first, at once and in order", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-two-" });
  {
    await using running = await startRunningTask({ env: SecondEdge.environment(directory) });
    const { test, agent, workspaceId, sessionId } = running;
    await using live = await LiveClient.open(test, running.projectId);
    live.subscribe(sessionId);
    await using second = await SecondEdge.start(directory);
    const token = await agent.workspaceToken(workspaceId);
    const contents = Array.from({ length: MESSAGES }, (_, i) => `message ${i}`);
    // Turn by turn, and now and then the same batch to both at once.
    for (const [i, content] of contents.entries()) {
      const body = JSON.stringify({ messages: [newMessage(sessionId, content)] });
      const urls = i % 10 === 0 ? [second.url, test.url] : [i % 2 ? second.url : test.url];
      const answers = await Promise.all(urls.map((url) =>
        fetch(`${url}/api/workspaces/${workspaceId}/messages`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body,
        })
      ));
      const persisted = await Promise.all(answers.map(async (answer) => (await answer.json()).persisted));
      assertEquals([answers.map(({ status }) => status), persisted.reduce((a, b) => a + b)], [urls.map(() => 200), 1]);
    }
    await live.until(
      "the last message",
      (frame) => frame.type === "message.new" && frame.message.content === contents.at(-1),
    );
    const shown = live.frames.flatMap((frame) => frame.type === "message.new" ? [frame.message] : []);
    assertEquals(shown.map(({ content }) => content), contents);
    assertEquals(shown.map(({ seq }) => seq), contents.map((_, i) => i + 2));
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("of two control links at two instances the newer is served, and the older closed", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-two-" });
  {
    await using running = await startRunningTask({ env: SecondEdge.environment(directory) });
    const { test, agent, workspaceId } = running;
    await using second = await SecondEdge.start(directory);
    const token = agent.registered!.callbackToken;
    const hello = { type: "hello", protocol: 1, agentVersion: "0.1.0", instanceId: "raw", lastSeq: 1 };
    const open = async (url: string) => {
      const link = new RawLink(url, agent.nodeId, token);
      await link.opened;
      link.send(hello);
      await link.until((frames) => frames.some(({ type }) => type === "hello"));
      return link;
    };
    await using first = await open(test.url);
    await using newer = await open(second.url);
    assertEquals(await within("the end of the older link", first.closed), 4409);
    await using newest = await open(test.url);
    assertEquals(await within("the end of the older link", newer.closed), 4409);
    await test.admin.call(`POST /api/projects/${running.projectId}/tasks/${running.taskId}/cancel`);
    await newest.until(() => newest.commands.length > 0);
    assertEquals(newest.commands.map(({ kind }) => kind), ["workspace.stop"]);
    assertEquals(newest.commands.map((command) => "workspaceId" in command && command.workspaceId), [workspaceId]);
  }
  await Deno.remove(directory, { recursive: true });
});

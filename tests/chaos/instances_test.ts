/** Several instances of the edge on one store: what one stores the others show, and an agent may talk to any of them. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { newMessage } from "../fakes/agent.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { LiveClient } from "../live_client.ts";

const MESSAGES = 200;
/** What instances of one edge share. */
const SECRETS = { JWT_SECRET: "x".repeat(48), ENCRYPTION_KEY: `k1:${btoa("k".repeat(32))}` };

/** The next word of a worker. */
function hear(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(String(event.data));
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

Deno.test("a message that a second instance stores is shown by the first, at once and in order", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-two-" });
  const data = { HEARTH_KV: join(directory, "store.kv"), HEARTH_DATA_DIR: directory, PORT: "0" };
  // One agent sends faster here than an edge lets it by default.
  const env = { ...data, ...SECRETS, RATE_NODE_PER_SECOND: "100000", RATE_NODE_BURST: "100000" };
  {
    await using running = await startRunningTask({ env: { HEARTH_KV: env.HEARTH_KV, ...SECRETS } });
    const { test, agent, workspaceId, sessionId } = running;
    await using live = await LiveClient.open(test, running.projectId);
    live.subscribe(sessionId);
    const worker = new Worker(new URL("./second_edge_worker.ts", import.meta.url).href, { type: "module" });
    const greeting = hear(worker);
    worker.postMessage({ env });
    const second = await greeting;
    const token = await agent.workspaceToken(workspaceId);
    const contents = Array.from({ length: MESSAGES }, (_, i) => `message ${i}`);
    // Turn by turn, and now and then the same batch to both at once.
    for (const [i, content] of contents.entries()) {
      const body = JSON.stringify({ messages: [newMessage(sessionId, content)] });
      const urls = i % 10 === 0 ? [second, test.url] : [i % 2 ? second : test.url];
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

    const ended = hear(worker);
    worker.postMessage("end");
    await ended;
    worker.terminate();
  }
  await Deno.remove(directory, { recursive: true });
});

/** What cannot be delivered outlives its machine: a real agent, a session that is full, a node that goes when it is idle. */
import { assertEquals } from "@std/assert";
import { SocketFollower } from "../lib/live/follower.ts";
import { openScene, runToEnd } from "./scene.ts";

const ROOM = 10;
const LINES = Array.from({ length: 15 }, (_, i) => `line ${i + 1}`);

Deno.test("messages that a full session does not take are handed over before the machine goes, and can be read then", async () => {
  const env = {
    MAX_MESSAGES_PER_SESSION: String(ROOM),
    NODE_WARM_TIMEOUT_MS: "1000",
    HEARTBEAT_INTERVAL_MS: "200",
  };
  await using scene = await openScene({ env });
  const { test, projectId } = scene;
  await using nodes = SocketFollower.on(test, "/api/ws", test.admin);
  const description = LINES.map((line) => `say ${line}`).join("\n");
  const task = await runToEnd(scene, description);
  assertEquals(task.status, "completed", task.errorMessage ?? "");
  await nodes.first("node.updated", (frame) => frame.node.status === "destroyed");

  const path = `/api/projects/${projectId}/sessions/${task.sessionId}/messages` as const;
  const stored = (await test.admin.call(`GET ${path}`)).body.items.slice(1);
  const { items } = (await test.admin.call(`GET /api/nodes/${task.nodeId}/dead-letters`)).body;
  const contents = [...stored, ...items].map((item: { content: string }) => item.content);
  assertEquals([stored.length, contents], [ROOM - 1, LINES], "nothing is lost, nothing is in both");
  assertEquals(new Set(items.map((item: { reason: string }) => item.reason)), new Set(["session_full"]));
});

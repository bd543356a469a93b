/** The server ends in bounded time, whatever its peers do. */
import { assert } from "@std/assert";
import { startTestEdge } from "../edge.ts";

// The platform never ends its own wait for a peer that vanished before its socket was open: that is what is tested.
Deno.test("an edge ends although peers vanished while sockets were being opened", { sanitizeOps: false }, async () => {
  const test = await startTestEdge();
  const project = await test.addProject();
  const { hostname, port } = new URL(test.url);
  for (let i = 0; i < 40; i++) {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const lines = [
      `GET /api/projects/${project.id}/ws HTTP/1.1`,
      `Host: ${hostname}:${port}`,
      `Authorization: Bearer ${test.admin.key}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${btoa("0123456789abcdef")}`,
      "",
      "",
    ];
    await connection.write(new TextEncoder().encode(lines.join("\r\n")));
    if (i % 2) await connection.read(new Uint8Array(16));
    connection.close();
  }
  await test[Symbol.asyncDispose]();
  assert(true, "it came to an end");
});

/** The server ends in bounded time, whatever its peers do. */
import { assert } from "@std/assert";
import { startTestEdge } from "../edge.ts";
import { comeAndVanish } from "../fakes/vanishing_peers.ts";

// The platform never ends its own wait for a peer that vanished before its socket was open: that is what is tested.
Deno.test("an edge ends although peers vanished while sockets were being opened", { sanitizeOps: false }, async () => {
  const test = await startTestEdge();
  const project = await test.addProject();
  await comeAndVanish(`${test.url}/api/projects/${project.id}/ws`, { authorization: `Bearer ${test.admin.key}` });
  await test[Symbol.asyncDispose]();
  assert(true, "it came to an end");
});

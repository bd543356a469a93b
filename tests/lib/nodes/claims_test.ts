/** Pure decisions on the claims of a node. */
import { assertEquals } from "@std/assert";
import { addClaim, canClaim, decideIdle, endClaim, toDestroying, toWarm } from "../../../lib/nodes/claims.ts";
import { nodeStatus } from "../../../lib/wire/node.ts";
import { claimRecord, nodeRecord, warmRecord } from "./node_records.ts";

Deno.test("work may be put on active and warm nodes with room that are well and not draining", () => {
  const able = nodeStatus.options.filter((status) => canClaim(nodeRecord({ status }), 3));
  assertEquals(able, ["active", "warm"]);
  assertEquals(canClaim(nodeRecord({ draining: true }), 3), false);
  assertEquals(canClaim(nodeRecord({ health: "unreachable" }), 3), false);
  const two = nodeRecord({ claims: [claimRecord("a"), claimRecord("b")] });
  assertEquals([canClaim(two, 3), canClaim(two, 2)], [true, false]);
});

Deno.test("a claim makes a warm node active and ends its waiting; an end takes exactly its own claim", () => {
  const claimed = addClaim(warmRecord(5), claimRecord("a"));
  assertEquals(
    [claimed.status, claimed.claims.length, claimed.claimedByTask, claimed.warmSince, claimed.warmUntil],
    ["active", 1, "task-a", null, null],
  );
  const both = addClaim(claimed, claimRecord("b"));
  assertEquals([both.claims.length, both.claimedByTask], [2, "task-a"]);
  assertEquals(endClaim(both, "unknown"), both);
  const left = endClaim(both, "a");
  assertEquals([left.claims.map((claim) => claim.token), left.claimedByTask], [["b"], "task-b"]);
  assertEquals(endClaim(left, "b").claimedByTask, null);
  assertEquals(addClaim(nodeRecord({ status: "provisioning" }), claimRecord("a")).status, "provisioning");
});

Deno.test("an empty automatic node becomes warm, or goes when it drains; any other stays", () => {
  for (const status of nodeStatus.options) {
    const isIdle = status === "active" || status === "warm";
    assertEquals(decideIdle(nodeRecord({ status })), isIdle ? "warm" : "keep", status);
    assertEquals(decideIdle(nodeRecord({ status, draining: true })), isIdle ? "destroy" : "keep", status);
    assertEquals(decideIdle(nodeRecord({ status, claims: [claimRecord("a")], draining: true })), "keep", status);
    assertEquals(decideIdle(nodeRecord({ status, autoProvisioned: false, draining: true })), "keep", status);
  }
});

Deno.test("the expiry counts from now with the timeout of now, and a node on its way out gets a new generation", () => {
  const warm = toWarm(nodeRecord({ claimedByTask: "task" }), 1_000, { NODE_WARM_TIMEOUT_MS: 500 });
  assertEquals([warm.status, warm.warmSince, warm.warmUntil, warm.claimedByTask], ["warm", 1_000, 1_500, null]);
  const later = toWarm(warm, 1_200, { NODE_WARM_TIMEOUT_MS: 300 });
  assertEquals([later.warmSince, later.warmUntil], [1_000, 1_500]);
  const going = toDestroying(nodeRecord({ generation: 4, errorMessage: "before" }), null);
  assertEquals([going.status, going.generation, going.errorMessage], ["destroying", 5, "before"]);
  assertEquals(toDestroying(warm, "why").errorMessage, "why");
});

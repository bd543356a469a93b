/** Which node a task gets. */
import { assertEquals } from "@std/assert";
import { type Candidate, type Choice, selectNode, type Wanted } from "../../../lib/nodes/selector.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import { claimRecord, nodeRecord, warmRecord } from "./node_records.ts";

const LIMITS = { maxClaims: 3, maxNodes: 10, protocolMin: 1 };
const WANTED: Wanted = { nodeId: null, vmSize: "small", location: null, codingAgent: "demo" };

function select(nodes: (NodeRecord | Candidate)[], wanted: Partial<Wanted> = {}, limits = LIMITS): Choice {
  const candidates = nodes.map((node) => "node" in node ? node : { node, beat: null });
  return selectNode(candidates, { ...WANTED, ...wanted }, limits);
}

function loaded(node: NodeRecord, load: number): Candidate {
  return { node, beat: { v: 1, at: 0, load, outboxDepth: 0, deadLetters: 0, dropped: 0 } };
}

Deno.test("without a node a new one is made, and no more than the owner may have", () => {
  assertEquals(select([]), { kind: "provision", last: false });
  assertEquals(select([], {}, { ...LIMITS, maxNodes: 1 }), { kind: "provision", last: true });
  const busy = nodeRecord({ claims: [1, 2, 3].map((i) => claimRecord(`${i}`)) });
  assertEquals(select([busy]).kind, "provision");
  assertEquals(select([busy], {}, { ...LIMITS, maxNodes: 1 }).kind, "wait");
  assertEquals(select([nodeRecord({ status: "destroying" })], {}, { ...LIMITS, maxNodes: 1 }).kind, "wait");
  assertEquals(select([nodeRecord({ status: "destroyed" })], {}, { ...LIMITS, maxNodes: 1 }).kind, "provision");
});

Deno.test("T042-6 only a warm node whose size, location, agent and coding agent fit is taken", () => {
  const fitting = warmRecord(1, { vmSize: "medium", location: "fsn1" });
  const wanted = { vmSize: "medium", location: "fsn1" } as const;
  assertEquals(select([fitting], wanted), { kind: "claim", nodeIds: [fitting.id] });
  const others: Partial<NodeRecord>[] = [
    { vmSize: "small" },
    { location: "nbg1" },
    { codingAgents: ["other"] },
    { codingAgents: [] },
    { protocol: 0 },
    { protocol: null },
    { draining: true },
    { health: "unreachable" },
  ];
  for (const other of others) {
    const node = warmRecord(1, { vmSize: "medium", location: "fsn1", ...other });
    assertEquals(select([node], wanted).kind, "provision", JSON.stringify(other));
  }
  const larger = warmRecord(1, { vmSize: "large", location: "fsn1" });
  assertEquals(select([larger], wanted), { kind: "claim", nodeIds: [larger.id] });
});

Deno.test("warm nodes come first, the longest warm before the others, then active ones with the fewest claims", () => {
  const [newer, older] = [warmRecord(200), warmRecord(100)];
  const [full, one, two] = [0, 1, 2].map((n) =>
    nodeRecord({ claims: Array.from({ length: n === 0 ? 3 : n }, (_, i) => claimRecord(`${n}${i}`)) })
  );
  assertEquals(select([two!, full!, newer, one!, older]), {
    kind: "claim",
    nodeIds: [older.id, newer.id, one!.id, two!.id],
  });
});

Deno.test("an active node under load gets no further work, a warm one does", () => {
  assertEquals(select([loaded(nodeRecord(), 5)]).kind, "provision");
  assertEquals(select([loaded(nodeRecord(), 0.5)]).kind, "claim");
  assertEquals(select([loaded(warmRecord(1), 5)]).kind, "claim");
});

Deno.test("the node that a person named, or none", () => {
  const [named, other] = [nodeRecord(), warmRecord(1)];
  assertEquals(select([other, named], { nodeId: named.id }), { kind: "claim", nodeIds: [named.id] });
  assertEquals(select([other], { nodeId: "gone" }).kind, "wait");
  const full = nodeRecord({ claims: [1, 2, 3].map((i) => claimRecord(`${i}`)) });
  assertEquals(select([other, full], { nodeId: full.id }).kind, "wait");
});

/** What `/metrics` answers: this process's counters, and what is counted at the moment of asking. */
import type { Edge } from "../edge.ts";
import { listLiveNodes } from "../store/nodes.ts";
import { nodeStatus } from "../wire/node.ts";

export async function readMetrics(edge: Edge): Promise<string> {
  const counts = Object.fromEntries(nodeStatus.options.map((status) => [status, 0]));
  for await (const { status } of listLiveNodes(edge.store)) counts[status] = (counts[status] ?? 0) + 1;
  edge.metrics.clear("hearth_nodes");
  for (const [status, count] of Object.entries(counts)) {
    if (status !== "destroyed") edge.metrics.set("hearth_nodes", { status }, count);
  }
  edge.metrics.set("hearth_live_sockets", {}, edge.live.followers);
  return edge.metrics.write();
}

/**
 * `nodes`: every machine of this installation, whoever owns it. These commands change what is wanted; the machine itself
 * is removed by the edge that runs, because it alone watches over the local agents.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { readUser } from "../store/accounts.ts";
import { listLiveNodes, type NodeRecord, readBeat, readNode } from "../store/nodes.ts";
import { toIsoOrNull } from "../store/time.ts";
import { destroyNode, drainNode } from "../tasks/retire_node.ts";
import { type CommandCall, type CommandResult, formatList, Refusal, requireId } from "./command.ts";
import { findRunningEdge } from "./running.ts";

export async function listNodesCommand(call: CommandCall): Promise<CommandResult> {
  const nodes = await Array.fromAsync(listLiveNodes(call.edge.store));
  return formatList(call, await Promise.all(nodes.map((node) => toRow(call.edge, node))));
}

export async function drainNodeCommand(call: CommandCall): Promise<CommandResult> {
  const node = await drainNode(call.edge, (await requireNode(call)).id);
  return { text: `Node ${node.id} gets no new work.`, note: await adviseAfter(call.edge, node) };
}

export async function destroyNodeCommand(call: CommandCall): Promise<CommandResult> {
  const node = await requireNode(call);
  const force = call.options.has("force");
  const next = await destroyNode(call.edge, node, { force }).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== "node_busy") throw error;
    throw new Refusal(
      `${node.claims.length} workspace(s) are on this node, running or kept. Cancel their tasks (deno task admin tasks ` +
        "list), or add --force, which fails what runs and removes what is kept.",
    );
  });
  return { text: `Node ${next.id} is to be destroyed.`, note: await adviseAfter(call.edge, next) };
}

async function toRow(edge: Edge, node: NodeRecord) {
  const [owner, beat] = await Promise.all([readUser(edge.store, node.ownerId), readBeat(edge.store, node.id)]);
  return {
    id: node.id,
    owner: owner?.login ?? null,
    provider: node.provider,
    status: node.draining ? `${node.status}, draining` : node.status,
    health: node.health,
    workspaces: node.claims.length,
    waiting: beat && beat.outboxDepth + beat.deadLetters,
    heartbeat: toIsoOrNull(beat?.at ?? null),
    warmUntil: toIsoOrNull(node.warmUntil),
  };
}

async function requireNode(call: CommandCall): Promise<NodeRecord> {
  const id = requireId(call, "node");
  const node = await readNode(call.edge.store, id);
  if (node && node.status !== "destroyed") return node;
  throw new Refusal(
    node
      ? "This node is destroyed already."
      : `There is no node ${id}. \`deno task admin nodes list\` shows which there are.`,
  );
}

async function adviseAfter(edge: Edge, node: NodeRecord): Promise<string> {
  if (node.status !== "destroying") return "It is destroyed when its last workspace is gone.";
  const url = await findRunningEdge(edge);
  return url
    ? `Hearth at ${url} removes its machine within a minute.`
    : "No running Hearth was found on this data: the machine is removed when Hearth starts again.";
}

/** A machine of a person's own: its record, and the command with a one-time token that makes it a node. */
import { sha256 } from "../auth/hash.ts";
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import { manualCommand } from "../providers/manual_install.ts";
import { change } from "../store/change.ts";
import { nodeKey } from "../store/keys.ts";
import { type NodeRecord, putEnrolment, putFleet, readFleet, readNode } from "../store/nodes.ts";
import type { VmSize } from "../wire/common.ts";
import { BOOTSTRAP_LIFE_MS, putNewNode } from "./provision.ts";

export interface AddedNode {
  node: NodeRecord;
  command: string;
  expiresAt: number;
}

/** Adds a machine. Throws `limit_reached`, and `conflict` where the edge does not know what to install there. */
export async function addNode(edge: Edge, userId: string, wanted: { vmSize: VmSize }): Promise<AddedNode> {
  const { config } = edge;
  if (!config.AGENT_BINARY_URL_X64 && !config.AGENT_BINARY_URL_ARM64) {
    throw new AppError(
      "conflict",
      "This Hearth does not know where machines download the agent. Ask its admin to set AGENT_BINARY_URL_X64.",
    );
  }
  const [nodeId, bootstrapToken] = [newId(), newSecret()];
  const hash = await sha256(bootstrapToken);
  const expiresAt = await change(edge.store, async (tx) => {
    const fleet = await readFleet(tx, userId);
    const nodeIds = fleet.value?.nodeIds ?? [];
    if (nodeIds.length >= config.MAX_NODES_PER_USER) {
      throw new AppError("limit_reached", `You have ${config.MAX_NODES_PER_USER} nodes, which is the most.`);
    }
    putFleet(tx, fleet, [...nodeIds, nodeId]);
    putEnrolment(tx, hash, { v: 1, nodeId, expiresAt: tx.now + BOOTSTRAP_LIFE_MS, nonceHash: null });
    putNewNode(tx, await tx.get<NodeRecord>(nodeKey(nodeId)), {
      id: nodeId,
      ownerId: userId,
      provider: "manual",
      providerRef: nodeId,
      autoProvisioned: false,
      vmSize: wanted.vmSize,
      location: "own",
      account: null,
      claims: [],
    });
    return tx.now + BOOTSTRAP_LIFE_MS;
  }, edge.clock);
  const node = (await readNode(edge.store, nodeId))!;
  const command = manualCommand({ nodeId, bootstrapToken, controlPlaneUrl: config.publicUrl });
  return { node, command, expiresAt };
}

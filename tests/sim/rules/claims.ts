/** Who uses which node: the claims are the only truth, and they, the tasks and the workspaces say the same. */
import type { Claim, NodeRecord } from "../../../lib/store/nodes.ts";
import { isLive } from "../../../lib/store/tasks.ts";
import type { Finding, View } from "./view.ts";

export function* checkClaims(view: View): Generator<Finding> {
  const tokens = new Set<string>();
  for (const node of view.nodes) {
    yield* checkNode(view, node);
    for (const claim of node.claims) {
      if (tokens.has(claim.token)) yield `two claims have one token (node ${node.id})`;
      tokens.add(claim.token);
      yield* checkClaim(view, node, claim);
    }
  }
  yield* checkWorkspaces(view);
  yield* checkTasks(view);
}

function* checkNode({ config, mirror }: View, node: NodeRecord): Generator<Finding> {
  const { status, claims } = node;
  if (claims.length > config.MAX_WORKSPACES_PER_NODE) yield `node ${node.id} has more claims than it may`;
  if (["destroying", "destroyed", "warm"].includes(status) && claims.length > 0) {
    yield `node ${node.id} is ${status} with ${claims.length} claim(s)`;
  }
  if (status === "warm" && !node.autoProvisioned) yield `node ${node.id} is a person's own and warm`;
  if ((status === "warm") !== (node.warmSince !== null && node.warmUntil !== null)) {
    yield `node ${node.id} is ${status} with the warm times ${node.warmSince} and ${node.warmUntil}`;
  }
  const isShown = node.claimedByTask === null || claims.some(({ taskId }) => taskId === node.claimedByTask);
  if (!isShown) yield `node ${node.id} names a task that has no claim on it`;
  if (status === "active" && node.draining && node.autoProvisioned && claims.length === 0) {
    yield `node ${node.id} drains, is empty, and stays`;
  }
  const fleet = mirror.get<{ nodeIds: string[] }>(["fleet", node.ownerId])?.nodeIds ?? [];
  if (fleet.includes(node.id) === (status === "destroyed")) {
    yield `node ${node.id} is ${status} and the fleet says else`;
  }
  if (fleet.length > config.MAX_NODES_PER_USER) yield `owner ${node.ownerId} has more nodes than they may`;
}

function* checkClaim(view: View, node: NodeRecord, claim: Claim): Generator<Finding> {
  const task = claim.taskId ? view.tasks.find(({ id }) => id === claim.taskId) : null;
  if (claim.workspaceId === null) {
    const isHeld = task && isLive(task) && task.claimToken === claim.token && task.nodeId === node.id;
    if (!isHeld) yield `node ${node.id} is claimed by task ${claim.taskId}, which does not hold that claim`;
    if (task && task.ownerId !== node.ownerId) yield `node ${node.id} is claimed by a task of another owner`;
    return;
  }
  const workspace = view.workspaces.find(({ id }) => id === claim.workspaceId);
  if (!workspace) yield `node ${node.id} is claimed for workspace ${claim.workspaceId}, which is not there`;
  else if (workspace.status === "stopped") {
    yield `node ${node.id} is claimed for workspace ${workspace.id}, which stopped`;
  } else if (workspace.nodeId !== node.id || workspace.claimToken !== claim.token) {
    yield `workspace ${workspace.id} and its claim on node ${node.id} differ`;
  } else if (workspace.ownerId !== node.ownerId) yield `workspace ${workspace.id} is on a node of another owner`;
}

/** A workspace that is not gone holds its claim, so its node cannot go under it. */
function* checkWorkspaces(view: View): Generator<Finding> {
  for (const { id, status, nodeId, claimToken } of view.workspaces) {
    if (status === "stopped") continue;
    const node = view.nodes.find((each) => each.id === nodeId);
    const isHeld = node?.claims.some((claim) => claim.token === claimToken && claim.workspaceId === id);
    if (!isHeld) yield `workspace ${id} is ${status} without a claim on its node, which is ${node?.status}`;
  }
}

function* checkTasks(view: View): Generator<Finding> {
  for (const task of view.tasks) {
    if (!isLive(task) || !task.claimToken || task.workspaceId) continue;
    const node = view.nodes.find((each) => each.id === task.nodeId);
    const isHeld = node?.claims.some((claim) => claim.token === task.claimToken && claim.taskId === task.id);
    if (!isHeld) yield `task ${task.id} counts on a claim that node ${task.nodeId} does not have`;
  }
}

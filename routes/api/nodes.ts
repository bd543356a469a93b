/** Nodes: what a person sees and does, and what their agents call. */
import { requireNode } from "../../lib/auth/access.ts";
import { checkFailures, countFailure } from "../../lib/auth/limits.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError, notFound } from "../../lib/errors.ts";
import { addNode } from "../../lib/nodes/add_node.ts";
import { registerNode, renewTokens } from "../../lib/nodes/enrol.ts";
import { keepDeadLetters, listDeadLetters, readDeadLetter } from "../../lib/store/dead_letters.ts";
import type { UserRecord } from "../../lib/store/accounts.ts";
import { machineSettings } from "../../lib/nodes/machine_settings.ts";
import { MANUAL_SCRIPT_PATH, manualScript } from "../../lib/providers/manual_install.ts";
import { listInventoryFailures } from "../../lib/store/inventory_failures.ts";
import { listNodes, type NodeRecord, readBeat, toNode } from "../../lib/store/nodes.ts";
import { readMember } from "../../lib/store/projects.ts";
import { readTask } from "../../lib/store/tasks.ts";
import { readWorkspace } from "../../lib/store/workspaces.ts";
import { beat } from "../../lib/tasks/beat.ts";
import { destroyNode, drainNode } from "../../lib/tasks/retire_node.ts";
import { FAILURES_CRITICAL } from "../../lib/tasks/reconcile.ts";
import { uuid } from "../../lib/wire/common.ts";
import { deadLetterQuery } from "../../lib/wire/dead_letter.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { Node, OwnNode } from "../../lib/wire/node.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

/** Destroyed nodes are shown for this long after their end. */
const SHOWN_MS = 3_600_000;

export function mountNodes(app: App): void {
  serve(app, endpoints.registerNode, async ({ edge, c, body }) => {
    return await countFailures(edge, c.get("address"), () => registerNode(edge, body));
  });
  serve(app, endpoints.renewTokens, async ({ edge, c, params, body }) => {
    return await countFailures(edge, c.get("address"), () => renewTokens(edge, params.nodeId!, body));
  });
  serve(app, endpoints.heartbeat, async ({ edge, node, nodeClaims, body }) => {
    return await beat(edge, node, { claims: nodeClaims, body });
  });
  serve(app, endpoints.createNode, async ({ edge, user, body }) => {
    const { node, command, expiresAt } = await addNode(edge, user.id, body);
    return { node: await view(edge, node), command, expiresAt: new Date(expiresAt).toISOString() };
  });
  app.get(MANUAL_SCRIPT_PATH, (c) => {
    const { config } = c.get("edge");
    return c.text(manualScript(config.publicUrl, machineSettings(config)));
  });
  serve(app, endpoints.listNodes, async ({ edge, user }) => {
    const [items, warnings] = await Promise.all([readNodes(edge, user.id), readNodeWarnings(edge, user.id)]);
    return { items, nextCursor: null, warnings };
  });
  serve(app, endpoints.readNode, async ({ edge, user, params }) => {
    return await view(edge, await requireNode(edge, user, params.nodeId!));
  });
  serve(app, endpoints.drainNode, async ({ edge, user, params }) => {
    const node = await requireNode(edge, user, params.nodeId!);
    return await view(edge, await drainNode(edge, node.id));
  });
  serve(app, endpoints.deleteNode, async ({ edge, user, params, query }) => {
    const node = await requireNode(edge, user, params.nodeId!);
    return await view(edge, await destroyNode(edge, node, { force: query.force === "true" }));
  });
  mountDeadLetters(app);
}

/** A fenced node may still hand over: what it could not deliver is data. */
function mountDeadLetters(app: App): void {
  serve(app, endpoints.postDeadLetters, async ({ edge, node, body }) => {
    return await keepDeadLetters(edge.store, { nodeId: node.id, letters: body.deadLetters, clock: edge.clock });
  });
  serve(app, endpoints.listDeadLetters, async ({ edge, user, params, query }) => {
    const node = await requireOwnNode(edge, user, params.nodeId!);
    return await listDeadLetters(edge.store, node.id, { ...query, now: edge.clock() });
  });
  serve(app, endpoints.readDeadLetter, async ({ edge, user, params }) => {
    const node = await requireOwnNode(edge, user, params.nodeId!);
    const asked = { messageId: params.messageId!, now: edge.clock() };
    const letter = await readDeadLetter(edge.store, node.id, asked);
    if (!letter) throw notFound("dead letter");
    return letter;
  });
}

/** The dead letters of a node for a page, with the node itself. Throws `not_found`, `invalid_request`. */
export async function readNodeLetters(edge: Edge, user: UserRecord, asked: { nodeId: string; query: unknown }) {
  const [nodeId, query] = [uuid.safeParse(asked.nodeId), deadLetterQuery.safeParse(asked.query)];
  if (!nodeId.success) throw notFound("node");
  if (!query.success) {
    throw new AppError("invalid_request", "The address of this page is wrong. Open it from the Nodes page.");
  }
  const node = await requireOwnNode(edge, user, nodeId.data);
  const page = await listDeadLetters(edge.store, node.id, { ...query.data, now: edge.clock() });
  return { node: await view(edge, node), letters: page.items, nextCursor: page.nextCursor, ...query.data };
}

/** Dead letters are parts of conversations: admins, who manage nodes, do not read them. */
async function requireOwnNode(edge: Edge, user: UserRecord, nodeId: string): Promise<NodeRecord> {
  const node = await requireNode(edge, user, nodeId);
  if (node.ownerId !== user.id) throw notFound("node");
  return node;
}

/** The owner's nodes as pages show them: those that exist, and those that ended within the last hour. */
export async function readNodes(edge: Edge, userId: string): Promise<OwnNode[]> {
  const nodes = await listNodes(edge.store, userId);
  const shown = nodes.filter((node) => node.status !== "destroyed" || edge.clock() - node.updatedAt < SHOWN_MS);
  return await Promise.all(shown.map(async (node) => {
    return { ...await view(edge, node), tasks: await readTasksOn(edge, node) };
  }));
}

/** The tasks that hold claims on a node, where its owner may still open their project. */
async function readTasksOn(edge: Edge, { claims, ownerId }: NodeRecord): Promise<OwnNode["tasks"]> {
  const found = await Promise.all(claims.map(async ({ workspaceId }) => {
    const workspace = workspaceId && await readWorkspace(edge.store, workspaceId);
    if (!workspace || !workspace.projectId || !workspace.taskId) return [];
    const [task, member] = await Promise.all([
      readTask(edge.store, workspace.projectId, workspace.taskId),
      readMember(edge.store, workspace.projectId, ownerId),
    ]);
    if (!task || !member) return [];
    return [{ id: task.id, title: task.title, projectId: task.projectId, sessionId: task.sessionId }];
  }));
  return found.flat();
}

/** What goes wrong with a person's machines as a whole: their servers cannot be compared with the records. */
export async function readNodeWarnings(edge: Edge, userId: string): Promise<string[]> {
  const failures = await listInventoryFailures(edge.store);
  const theirs = failures.filter(({ ownerId, times }) => (ownerId ?? userId) === userId && times >= FAILURES_CRITICAL);
  return theirs.map(({ provider, reason, times }) =>
    `Servers at ${provider} could not be compared with this list, ${times} times in a row: ${reason}. ` +
    "A server that nobody uses may go on costing money."
  );
}

/** Wrong tokens are guesses: after a few the address has to wait. */
async function countFailures<T>(edge: Edge, address: string, work: () => Promise<T>): Promise<T> {
  await checkFailures(edge, "register", address);
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.code === "unauthorized") await countFailure(edge, "register", address);
    throw error;
  }
}

async function view(edge: Edge, node: NodeRecord): Promise<Node> {
  return toNode(node, await readBeat(edge.store, node.id), edge.clock());
}

/** The WebSockets of the edge: live updates for browsers, the control link for agents. */
import { requireCheckout, requireProject, requireSession, requireTerminal } from "../../lib/auth/access.ts";
import { findUser, requireNodeCaller } from "../../lib/auth/callers.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError } from "../../lib/errors.ts";
import { serveBrowserSocket } from "../../lib/live/browser_socket.ts";
import { askForOpenText, serveControlLink } from "../../lib/nodes/socket.ts";
import { projectTopic, userTopic } from "../../lib/store/keys.ts";
import { readMember } from "../../lib/store/projects.ts";
import { readWorkspace } from "../../lib/store/workspaces.ts";
import { uuid } from "../../lib/wire/common.ts";
import { followQuery } from "../../lib/wire/feed.ts";
import { terminalQuery } from "../../lib/wire/relay.ts";
import { takeRelay } from "../../lib/workspaces/relay.ts";
import { serveTerminal } from "../../lib/workspaces/terminal.ts";
import { parse } from "../_body.ts";
import { requireUserWithinLimits } from "../_caller.ts";
import type { App } from "../_context.ts";

/** The server pings at half of this; an agent or a browser that does not answer is gone. */
const IDLE_TIMEOUT_S = 30;

export function mountSockets(app: App): void {
  app.get("/api/projects/:projectId/ws", async (c) => {
    const edge = c.get("edge");
    const { user } = await requireUserWithinLimits(c);
    const projectId = parse(uuid, c.req.param("projectId"), "path");
    const { after, session } = parse(followQuery, c.req.query(), "query");
    await requireProject(edge, user, projectId);
    // Once upgraded, the request's own headers can be read no more.
    const headers = new Headers(c.req.raw.headers);
    const { socket, response } = upgrade(c.req.raw);
    serveBrowserSocket(edge, socket, {
      topic: projectTopic(projectId),
      after: after ?? null,
      sessionId: session ?? null,
      recheck: () => recheck(edge, headers, projectId),
      onSubscribe: (sessionId) => beginToFollow(edge, { projectId, sessionId, headers }),
    });
    return response;
  });
  app.get("/api/ws", async (c) => {
    const edge = c.get("edge");
    const { user } = await requireUserWithinLimits(c);
    const { after } = parse(followQuery, c.req.query(), "query");
    const headers = new Headers(c.req.raw.headers);
    const { socket, response } = upgrade(c.req.raw);
    serveBrowserSocket(edge, socket, {
      topic: userTopic(user.id),
      after: after ?? null,
      sessionId: null,
      recheck: () => recheck(edge, headers, null),
      onSubscribe: () => Promise.resolve(false),
    });
    return response;
  });
  mountWorkspaceSocket(app);
  app.get("/api/nodes/:nodeId/control", async (c) => {
    const edge = c.get("edge");
    const nodeId = await requireUnfenced(edge, c.req.raw.headers, c.req.param("nodeId"));
    const { socket, response } = upgrade(c.req.raw);
    serveControlLink(edge, socket, nodeId);
    return response;
  });
  app.get("/api/nodes/:nodeId/relay/:relayId", async (c) => {
    const edge = c.get("edge");
    const relayId = parse(uuid, c.req.param("relayId"), "path");
    const nodeId = await requireUnfenced(edge, c.req.raw.headers, c.req.param("nodeId"));
    const { socket, response } = upgrade(c.req.raw);
    takeRelay(edge, { nodeId, relayId }, socket);
    return response;
  });
}

/** One address: the live messages of a workspace for all who may see it, and for its machine's owner a terminal. */
function mountWorkspaceSocket(app: App): void {
  app.get("/api/workspaces/:workspaceId/ws", async (c) => {
    const edge = c.get("edge");
    const { user } = await requireUserWithinLimits(c);
    const workspaceId = parse(uuid, c.req.param("workspaceId"), "path");
    const headers = new Headers(c.req.raw.headers);
    if (c.req.query("terminal") !== undefined) {
      const { cols, rows } = parse(terminalQuery, c.req.query(), "query");
      const workspace = await requireTerminal(edge, user, workspaceId);
      const { socket, response } = upgrade(c.req.raw);
      serveTerminal(edge, socket, {
        workspace,
        size: { cols, rows },
        recheck: () => recheckWorkspace(edge, headers, { workspaceId, require: requireTerminal }),
      });
      return response;
    }
    const { after, session } = parse(followQuery, c.req.query(), "query");
    const { projectId } = await requireCheckout(edge, user, workspaceId);
    const { socket, response } = upgrade(c.req.raw);
    serveBrowserSocket(edge, socket, {
      topic: projectId ? projectTopic(projectId) : userTopic(user.id),
      after: after ?? null,
      sessionId: session ?? null,
      recheck: () => recheckWorkspace(edge, headers, { workspaceId, require: requireCheckout }),
      onSubscribe: async (sessionId) =>
        projectId !== null && await beginToFollow(edge, { projectId, sessionId, headers }),
    });
    return response;
  });
}

/** The node of a call for one of its sockets. Throws as `requireNodeCaller` does, and `node_fenced`. */
async function requireUnfenced(edge: Edge, headers: Headers, id: string): Promise<string> {
  const nodeId = parse(uuid, id, "path");
  const { node, claims } = await requireNodeCaller(edge, headers, nodeId);
  if (claims.generation === node.generation && !["destroying", "destroyed"].includes(node.status)) return nodeId;
  throw new AppError("node_fenced", "This node was given up. Deliver what is left, end all work, and enrol again.");
}

function upgrade(request: Request): Deno.WebSocketUpgrade {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new AppError("invalid_request", "This address speaks WebSocket only. Connect with a WebSocket client.");
  }
  return Deno.upgradeWebSocket(request, { idleTimeout: IDLE_TIMEOUT_S });
}

async function recheck(edge: Edge, headers: Headers, projectId: string | null): Promise<null | 4401 | 4403> {
  const caller = await findUser(edge, headers);
  if (!caller) return 4401;
  return projectId && !await readMember(edge.store, projectId, caller.user.id) ? 4403 : null;
}

async function recheckWorkspace(
  edge: Edge,
  headers: Headers,
  at: { workspaceId: string; require: typeof requireCheckout },
): Promise<null | 4401 | 4403> {
  const caller = await findUser(edge, headers);
  if (!caller) return 4401;
  try {
    await at.require(edge, caller.user, at.workspaceId);
    return null;
  } catch (error) {
    // A store that cannot be read is no reason: it is looked at again.
    return error instanceof AppError && error.status < 500 ? 4403 : null;
  }
}

/** Only sessions of the socket's own project may be followed; their node is asked for the text that is growing now. */
async function beginToFollow(
  edge: Edge,
  at: { projectId: string; sessionId: string; headers: Headers },
): Promise<boolean> {
  const caller = await findUser(edge, at.headers);
  if (!caller) return false;
  const session = await requireSession(edge, caller.user, at).catch(() => null);
  if (!session) return false;
  const workspace = session.status === "active" && session.workspaceId
    ? await readWorkspace(edge.store, session.workspaceId)
    : null;
  if (workspace) askForOpenText(edge, workspace.nodeId, workspace.id);
  return true;
}

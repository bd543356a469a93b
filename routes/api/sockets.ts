/** The WebSockets of the edge: live updates for browsers, the control link for agents. */
import { requireProject, requireSession } from "../../lib/auth/access.ts";
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
  app.get("/api/nodes/:nodeId/control", async (c) => {
    const edge = c.get("edge");
    const nodeId = parse(uuid, c.req.param("nodeId"), "path");
    const { node, claims } = await requireNodeCaller(edge, c.req.raw.headers, nodeId);
    if (claims.generation !== node.generation || ["destroying", "destroyed"].includes(node.status)) {
      throw new AppError("node_fenced", "This node was given up. Deliver what is left, end all work, and enrol again.");
    }
    const { socket, response } = upgrade(c.req.raw);
    serveControlLink(edge, socket, nodeId);
    return response;
  });
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

/** Workspaces: opened and stopped by hand, and everything that a node reports of one. */
import { requireCheckout, requireProject, requireWorkspace } from "../../lib/auth/access.ts";
import { refuseFenced } from "../../lib/auth/callers.ts";
import { appendBatch } from "../../lib/chat/append.ts";
import { AppError } from "../../lib/errors.ts";
import { readSession } from "../../lib/store/sessions.ts";
import { isLive, readTask } from "../../lib/store/tasks.ts";
import { readWorkspace, toWorkspace } from "../../lib/store/workspaces.ts";
import { openWorkspace } from "../../lib/tasks/open_workspace.ts";
import { checkAddress } from "../../lib/tasks/projects.ts";
import { discardWorkspace } from "../../lib/tasks/release.ts";
import { reportWorkspace } from "../../lib/tasks/report.ts";
import { readRuntime } from "../../lib/tasks/runtime.ts";
import { stopManualSession } from "../../lib/tasks/stop_session.ts";
import { reportTurn } from "../../lib/tasks/turn.ts";
import { readGit } from "../../lib/workspaces/git.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountWorkspaces(app: App): void {
  serve(app, endpoints.createWorkspace, async ({ edge, user, body, idempotency }) => {
    const project = body.projectId ? await requireProject(edge, user, body.projectId) : null;
    if (body.repositoryUrl) checkAddress(edge, body.repositoryUrl);
    return toWorkspace(await openWorkspace(edge, { userId: user.id, project, body, idempotency }));
  });
  serve(app, endpoints.readWorkspace, async ({ edge, user, params }) => {
    return toWorkspace(await requireWorkspace(edge, user, params.workspaceId!));
  });
  serve(app, endpoints.readGit, async ({ edge, user, params }) => {
    return await readGit(edge, await requireCheckout(edge, user, params.workspaceId!));
  });
  serve(app, endpoints.deleteWorkspace, async ({ edge, user, params }) => {
    const workspace = await requireWorkspace(edge, user, params.workspaceId!);
    const { projectId, taskId, sessionId } = workspace;
    const task = projectId && taskId ? await readTask(edge.store, projectId, taskId) : null;
    if (task && isLive(task) && task.workspaceId === workspace.id) {
      throw new AppError("still_live", "The workspace's task is running. Cancel the task instead.");
    }
    const session = projectId && sessionId && !taskId ? await readSession(edge.store, projectId, sessionId) : null;
    if (session) await stopManualSession(edge, session);
    await discardWorkspace(edge, workspace.id);
    return toWorkspace((await readWorkspace(edge.store, workspace.id)) ?? workspace);
  });
  mountReports(app);
}

function mountReports(app: App): void {
  serve(app, endpoints.postMessages, async ({ edge, workspace, body }) => {
    const { MAX_MESSAGES_PER_BATCH: most } = edge.config;
    if (body.messages.length > most) {
      throw new AppError(
        "invalid_request",
        `A batch holds at most ${most} messages here, not ${body.messages.length}.`,
      );
    }
    const answer = await appendBatch(edge, workspace, body.messages);
    edge.metrics.observe("hearth_message_batch_size", {}, body.messages.length);
    edge.metrics.count("hearth_messages_total", { outcome: "persisted" }, answer.persisted);
    edge.metrics.count("hearth_messages_total", { outcome: "duplicate" }, answer.duplicates);
    for (const { messageId } of body.messages) edge.live.open.close(workspace.sessionId!, messageId);
    return answer;
  });
  serve(app, endpoints.runtime, async ({ edge, workspace, workspaceClaims }) => {
    await refuseFenced(edge, workspaceClaims);
    return await readRuntime(edge, workspace);
  });
  serve(app, endpoints.reportWorkspace, async ({ edge, workspace, workspaceClaims, body }) => {
    await refuseFenced(edge, workspaceClaims);
    await reportWorkspace(edge, workspace, body);
    return {};
  });
  serve(app, endpoints.reportTurn, async ({ edge, workspace, workspaceClaims, body }) => {
    await refuseFenced(edge, workspaceClaims);
    return await reportTurn(edge, workspace, body);
  });
}

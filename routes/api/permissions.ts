/** Permission requests: what a coding agent asks before it acts, and the answers of people. */
import { requireSession } from "../../lib/auth/access.ts";
import { refuseFenced } from "../../lib/auth/callers.ts";
import { answerPermission, closePermission, requestPermission } from "../../lib/chat/permissions.ts";
import { listPermissions, toPermission } from "../../lib/store/permissions.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountPermissions(app: App): void {
  serve(app, endpoints.listPermissions, async ({ edge, user, params, query }) => {
    const ids = { projectId: params.projectId!, sessionId: params.sessionId! };
    return await listPermissions(edge.store, (await requireSession(edge, user, ids)).id, query);
  });
  serve(app, endpoints.answerPermission, async ({ edge, user, params, body }) => {
    const ids = { projectId: params.projectId!, sessionId: params.sessionId! };
    await requireSession(edge, user, ids);
    const ref = { ...ids, requestId: params.requestId! };
    return toPermission(await answerPermission(edge, ref, { optionId: body.optionId, login: user.login }));
  });
  serve(app, endpoints.requestPermission, async ({ edge, workspace, workspaceClaims, body }) => {
    await refuseFenced(edge, workspaceClaims);
    return toPermission(await requestPermission(edge, workspace, body));
  });
  serve(app, endpoints.closePermission, async ({ edge, workspace, workspaceClaims, params, body }) => {
    await refuseFenced(edge, workspaceClaims);
    const how = { requestId: params.requestId!, outcome: body.outcome };
    return toPermission(await closePermission(edge, workspace, how));
  });
}

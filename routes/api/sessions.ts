/** Chat sessions: their messages by page, follow-up prompts, interrupting and ending. The browser never writes messages. */
import { requireProject, requireSession } from "../../lib/auth/access.ts";
import { exportSession } from "../../lib/chat/export.ts";
import { addPrompt, editPrompt, interruptTurn, removePrompt, steerPrompt } from "../../lib/chat/prompts.ts";
import { notFound } from "../../lib/errors.ts";
import { listMessages, readMessage } from "../../lib/store/messages.ts";
import { listPrompts, toPrompt } from "../../lib/store/prompts.ts";
import { listSessions, readSession, toSession } from "../../lib/store/sessions.ts";
import { readTask } from "../../lib/store/tasks.ts";
import { cancelTask } from "../../lib/tasks/cancel.ts";
import { stopManualSession } from "../../lib/tasks/stop_session.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { App } from "../_context.ts";
import { type Call, serve } from "../_endpoint.ts";

export function mountSessions(app: App): void {
  serve(app, endpoints.listSessions, async ({ edge, user, params, query }) => {
    await requireProject(edge, user, params.projectId!);
    return await listSessions(edge.store, params.projectId!, query);
  });
  serve(app, endpoints.readSession, async (call) => {
    return await toSession(call.edge.store, await sessionOf(call));
  });
  serve(app, endpoints.listMessages, async (call) => {
    return await listMessages(call.edge.store, await sessionOf(call), call.query);
  });
  serve(app, endpoints.readMessage, async (call) => {
    const session = await sessionOf(call);
    const message = await readMessage(call.edge.store, session.id, Number(call.params.seq));
    if (!message) throw notFound("message");
    return message;
  });
  serve(app, endpoints.exportSession, async (call) => {
    return exportSession(call.edge, await sessionOf(call), call.query.format);
  });
  serve(app, endpoints.interrupt, async (call) => {
    return { interrupted: await interruptTurn(call.edge, await sessionOf(call)) };
  });
  serve(app, endpoints.stopSession, async (call) => {
    const session = await sessionOf(call);
    const task = session.taskId ? await readTask(call.edge.store, session.projectId, session.taskId) : null;
    if (task) await cancelTask(call.edge, task, null);
    else await stopManualSession(call.edge, session);
    const now = await readSession(call.edge.store, session.projectId, session.id);
    return await toSession(call.edge.store, now ?? session);
  });
  mountPrompts(app);
}

function mountPrompts(app: App): void {
  serve(app, endpoints.listPrompts, async (call) => {
    const session = await sessionOf(call);
    return { items: (await listPrompts(call.edge.store, session.id)).map(toPrompt), nextCursor: null };
  });
  serve(app, endpoints.createPrompt, async (call) => {
    const session = await sessionOf(call);
    return toPrompt(await addPrompt(call.edge, session, { ...call.body, by: call.user.id }));
  });
  serve(app, endpoints.patchPrompt, async (call) => {
    const session = await sessionOf(call);
    return toPrompt(await editPrompt(call.edge, session, { messageId: call.params.messageId!, text: call.body.text }));
  });
  serve(app, endpoints.deletePrompt, async (call) => {
    const session = await sessionOf(call);
    await removePrompt(call.edge, session, call.params.messageId!);
  });
  serve(app, endpoints.steerPrompt, async (call) => {
    const session = await sessionOf(call);
    return toPrompt(await steerPrompt(call.edge, session, call.params.messageId!));
  });
}

function sessionOf(call: Pick<Call<unknown, unknown>, "edge" | "user" | "params">) {
  const { projectId, sessionId } = call.params;
  return requireSession(call.edge, call.user, { projectId: projectId!, sessionId: sessionId! });
}

/** Tasks: the backlog, Run Now, everything that changes one, and the agent's report on its run. */
import { requireProject, requireTask } from "../../lib/auth/access.ts";
import { refuseFenced } from "../../lib/auth/callers.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError } from "../../lib/errors.ts";
import { listTaskEvents, listTasks, readDescription, type TaskRecord, toTask } from "../../lib/store/tasks.ts";
import { toWorkspace } from "../../lib/store/workspaces.ts";
import { reportTask } from "../../lib/tasks/callback.ts";
import { cancelTask, discard, keepLonger } from "../../lib/tasks/cancel.ts";
import { continueTask } from "../../lib/tasks/continue.ts";
import { changeDependency } from "../../lib/tasks/dependencies.ts";
import { editTask, removeTask, setStatus } from "../../lib/tasks/edit.ts";
import { branchOf, createDraft, runTask, submitTask } from "../../lib/tasks/submit.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { Task } from "../../lib/wire/task.ts";
import type { App } from "../_context.ts";
import { type Call, serve } from "../_endpoint.ts";

export function mountTasks(app: App): void {
  mountBacklog(app);
  mountRuns(app);
  serve(app, endpoints.addDependency, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return await view(call.edge, await changeDependency(call.edge, task, { ...call.body, add: true }));
  });
  serve(app, endpoints.removeDependency, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return await view(call.edge, await changeDependency(call.edge, task, { ...call.body, add: false }));
  });
  serve(app, endpoints.keepWorkspace, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return toWorkspace(await keepLonger(call.edge, task, call.body.hours));
  });
  serve(app, endpoints.discardWorkspace, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return toWorkspace(await discard(call.edge, task));
  });
}

function mountBacklog(app: App): void {
  serve(app, endpoints.listTasks, async ({ edge, user, params, query }) => {
    await requireProject(edge, user, params.projectId!);
    const page = await listTasks(edge.store, params.projectId!, query);
    return { items: await Promise.all(page.items.map((task) => view(edge, task, true))), nextCursor: page.nextCursor };
  });
  serve(app, endpoints.createTask, async ({ edge, user, params, body, idempotency }) => {
    const project = await requireProject(edge, user, params.projectId!);
    return await view(edge, await createDraft(edge, project, body, { userId: user.id, idempotency }));
  });
  serve(app, endpoints.readTask, async (call) => {
    return await view(call.edge, (await requireTask(call.edge, call.user, idsOf(call))).task);
  });
  serve(app, endpoints.patchTask, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return await view(call.edge, await editTask(call.edge, task, call.body, call.user.id));
  });
  serve(app, endpoints.deleteTask, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    await removeTask(call.edge, task);
  });
  serve(app, endpoints.setTaskStatus, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return await view(call.edge, await setStatus(call.edge, task, call.body.toStatus, call.body.reason ?? null));
  });
  serve(app, endpoints.listTaskEvents, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return { items: await listTaskEvents(call.edge.store, task.id), nextCursor: null };
  });
}

function mountRuns(app: App): void {
  serve(app, endpoints.submitTask, async ({ edge, user, params, body, idempotency }) => {
    const project = await requireProject(edge, user, params.projectId!);
    const task = await submitTask(edge, project, body, { userId: user.id, idempotency });
    return { taskId: task.id, sessionId: task.sessionId, status: "queued" as const, branchName: branchOf(task) };
  });
  serve(app, endpoints.runTask, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    return await view(call.edge, await runTask(call.edge, task, call.body, call.user.id));
  });
  serve(app, endpoints.continueTask, async (call) => {
    const { edge, user, body, idempotency } = call;
    const { project, task: before } = await requireTask(edge, user, idsOf(call));
    const task = await continueTask(edge, project, before, { body, userId: user.id, idempotency });
    return { taskId: task.id, sessionId: task.sessionId, status: "queued" as const, branchName: branchOf(task) };
  });
  serve(app, endpoints.cancelTask, async (call) => {
    const { task } = await requireTask(call.edge, call.user, idsOf(call));
    const { task: now, done } = await cancelTask(call.edge, task, null);
    return call.c.json(await view(call.edge, now), done ? 202 : 200);
  });
  serve(app, endpoints.taskCallback, async ({ edge, params, workspace, workspaceClaims, body }) => {
    await refuseFenced(edge, workspaceClaims);
    if (workspace.taskId && workspace.projectId !== params.projectId) {
      throw new AppError("forbidden", "This workspace works for another project.");
    }
    return await reportTask(edge, workspace, { taskId: params.taskId!, body });
  });
}

function idsOf(call: Pick<Call<unknown, unknown>, "params">): { projectId: string; taskId: string } {
  return { projectId: call.params.projectId!, taskId: call.params.taskId! };
}

async function view(edge: Edge, task: TaskRecord, preview = false): Promise<Task> {
  return toTask(task, await readDescription(edge.store, task.id), { preview });
}

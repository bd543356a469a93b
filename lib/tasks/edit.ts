/** Editing and deleting tasks that are not live, and the state changes that a person makes by hand. */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { requireKnownCodingAgent } from "../nodes/coding_agents.ts";
import { type Change, change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { projectTopic, sessionByActivityKey, sessionKey, taskKey, taskTextKey } from "../store/keys.ts";
import { deleteParts, setMessage } from "../store/messages.ts";
import { addToTally, readTally } from "../store/projects.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { addEvents, deleteTask, isLive, putTask, type TaskRecord } from "../store/tasks.ts";
import { readWorkspace } from "../store/workspaces.ts";
import { EDITABLE_STATUSES, type PatchTask, type TaskStatus } from "../wire/task.ts";
import { edgeMessage } from "../chat/append.ts";
import { putEdges } from "./dependencies.ts";
import { checkByHand, transition } from "./state.ts";

interface TaskRef {
  projectId: string;
  id: string;
}

/** Applies an edit. Before the first run a new description replaces message 1. Throws `not_editable`. */
export async function editTask(edge: Edge, ref: TaskRef, patch: PatchTask, userId: string): Promise<TaskRecord> {
  await requireKnownCodingAgent(edge, userId, patch.agentHint);
  return await change(edge.store, async (tx) => {
    const entry = await requireTaskEntry(tx, ref);
    const { value: task } = entry;
    if (!EDITABLE_STATUSES.includes(task.status)) {
      throw new AppError("not_editable", `A task that is ${task.status} cannot be edited. Cancel it first.`);
    }
    const { description, ...fields } = patch;
    const next = { ...task, ...fields };
    await putEdges(tx, edge, { id: task.id, projectId: task.projectId, before: task.dependsOn, after: next.dependsOn });
    if (description !== undefined) tx.set(taskTextKey(task.id), description);
    const rewritten = task.run === 0 ? description : undefined;
    if (rewritten !== undefined || next.title !== task.title) await rewriteSession(tx, next, rewritten);
    return putTask(tx, entry, next);
  }, edge.clock);
}

/** Sets a state by hand, where a person may. To the state that it is in: nothing happens. */
export async function setStatus(edge: Edge, ref: TaskRef, to: TaskStatus, reason: string | null): Promise<TaskRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await requireTaskEntry(tx, ref);
    if (entry.value.status === to) return entry.value;
    checkByHand(entry.value.status, to);
    const eventCount = addEvents(tx, entry.value, [transition(entry.value, to, { actor: "user", reason })]);
    return putTask(tx, entry, { ...entry.value, status: to, eventCount });
  }, edge.clock);
}

/** Deletes a task that is not live; its session, messages and events follow by the purge. Throws `still_live`. */
export async function removeTask(edge: Edge, ref: TaskRef): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await requireTaskEntry(tx, ref);
    if (isLive(entry.value)) {
      throw new AppError("still_live", `The task is ${entry.value.status}. Cancel it first, then delete it.`);
    }
    const workspace = entry.value.workspaceId ? await readWorkspace(edge.store, entry.value.workspaceId) : null;
    if (workspace && workspace.status !== "stopped") {
      throw new AppError("still_live", "The task's workspace still exists. Discard it first, then delete the task.");
    }
    const { projectId, sessionId } = entry.value;
    const session = await tx.get<SessionRecord>(sessionKey(projectId, sessionId));
    if (session.value) {
      tx.check(session).delete(session.key).delete(sessionByActivityKey(projectId, session.value.activeAt, sessionId));
    }
    await putEdges(tx, edge, { id: ref.id, projectId, before: entry.value.dependsOn, after: [] });
    addToTally(tx, await readTally(tx, projectId), -1);
    deleteTask(tx, entry);
    scheduleLoose(tx, { kind: "purge", id: `task/${ref.id}/${sessionId}`, at: tx.now });
  }, edge.clock);
}

/** Message 1 takes the new text, and the topic the new title. */
async function rewriteSession(tx: Change, task: TaskRecord, description: string | undefined): Promise<void> {
  const entry = await tx.get<SessionRecord>(sessionKey(task.projectId, task.sessionId));
  if (!entry.value) return;
  if (description !== undefined) {
    await deleteParts(tx, task.sessionId, 1);
    const facts = { messageId: task.promptId, role: "user" as const, run: 1, content: description, now: tx.now };
    setMessage(tx, { sessionId: task.sessionId, seq: 1 }, edgeMessage(facts));
    tx.announce(projectTopic(task.projectId), ["messageUpdated", task.sessionId, 1]);
  }
  putSession(tx, entry, { ...entry.value, topic: task.title });
}

async function requireTaskEntry(tx: Change, ref: TaskRef): Promise<Deno.KvEntry<TaskRecord>> {
  const entry = await tx.get<TaskRecord>(taskKey(ref.projectId, ref.id));
  if (entry.value === null) throw notFound("task");
  return entry as Deno.KvEntry<TaskRecord>;
}

/**
 * From a feed entry to the frames of one topic: each pointer is read from the store, each entity comes once and in its
 * newest state, whatever lies between is skipped.
 */
import type { Pointer } from "../store/change.ts";
import { projectTopic, userTopic } from "../store/keys.ts";
import { listRange } from "../store/messages.ts";
import { readBeat, readNode, toNode } from "../store/nodes.ts";
import { outcomeOf, readPermission, toPermission } from "../store/permissions.ts";
import { readPrompt, toPrompt } from "../store/prompts.ts";
import { readSession, toSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import { readDescription, readTask, toTask } from "../store/tasks.ts";
import { toIso } from "../store/time.ts";
import { readWorkspace, toWorkspace } from "../store/workspaces.ts";
import type { ServerFrame } from "../wire/feed.ts";

/** The frames of one pointer in the topic of a project; `wants` says whose messages somebody follows. */
export async function readFrames(
  store: Store,
  pointer: Pointer,
  options: { topic: string; wants: (sessionId: string) => boolean },
): Promise<ServerFrame[]> {
  const projectId = options.topic.slice(2);
  switch (pointer[0]) {
    case "message":
      return options.wants(pointer[1]) ? await readMessages(store, pointer[1], [pointer[2], pointer[3]]) : [];
    case "messageUpdated":
      return options.wants(pointer[1]) ? await readUpdated(store, pointer[1], pointer[2]) : [];
    case "session":
    case "sessionCreated":
    case "sessionStopped":
      return await readSessionFrame(store, { projectId, sessionId: pointer[1], kind: pointer[0] });
    case "task":
      return await readTaskFrame(store, projectId, pointer[1]);
    case "taskDeleted":
      return [{ type: "task.deleted", taskId: pointer[1], sessionId: pointer[2] }];
    case "workspace":
      return await readWorkspaceFrame(store, pointer[1]);
    case "node":
      return await readNodeFrame(store, pointer[1], options.topic);
    case "prompt":
      return await readPromptFrame(store, pointer[1], pointer[2]);
    case "permission":
      return await readPermissionFrame(store, pointer[1], pointer[2]);
    case "command":
      return [];
  }
}

async function readMessages(store: Store, sessionId: string, range: [number, number]): Promise<ServerFrame[]> {
  return (await listRange(store, sessionId, range)).map((message) => ({ type: "message.new", sessionId, message }));
}

async function readUpdated(store: Store, sessionId: string, seq: number): Promise<ServerFrame[]> {
  const messages = await listRange(store, sessionId, [seq, seq]);
  return messages.map((message) => ({ type: "message.updated", sessionId, message }));
}

async function readSessionFrame(
  store: Store,
  at: { projectId: string; sessionId: string; kind: "session" | "sessionCreated" | "sessionStopped" },
): Promise<ServerFrame[]> {
  const record = await readSession(store, at.projectId, at.sessionId);
  if (!record) return [];
  if (at.kind === "sessionStopped") {
    return record.endedAt === null
      ? []
      : [{ type: "session.stopped", sessionId: record.id, endedAt: toIso(record.endedAt) }];
  }
  const session = await toSession(store, record);
  return [{ type: at.kind === "sessionCreated" ? "session.created" : "session.updated", session }];
}

async function readTaskFrame(store: Store, projectId: string, taskId: string): Promise<ServerFrame[]> {
  const [task, description] = await Promise.all([readTask(store, projectId, taskId), readDescription(store, taskId)]);
  return task ? [{ type: "task.updated", task: toTask(task, description, { preview: true }) }] : [];
}

async function readWorkspaceFrame(store: Store, workspaceId: string): Promise<ServerFrame[]> {
  const workspace = await readWorkspace(store, workspaceId);
  return workspace ? [{ type: "workspace.updated", workspace: toWorkspace(workspace) }] : [];
}

/** A project's members see how its machine is, and nothing of its owner's account or other work. */
async function readNodeFrame(store: Store, nodeId: string, topic: string): Promise<ServerFrame[]> {
  const [record, beat] = await Promise.all([readNode(store, nodeId), readBeat(store, nodeId)]);
  if (!record) return [];
  const node = toNode(record, beat);
  if (topic === userTopic(record.ownerId)) return [{ type: "node.updated", node }];
  const inProject = record.claims.filter((claim) => topic === projectTopic(claim.projectId ?? ""));
  const claims = node.claims.filter((claim) => inProject.some(({ workspaceId }) => workspaceId === claim.workspaceId));
  const hidden = { providerRef: null, priceHour: null, costSoFar: null, errorMessage: null };
  return [{ type: "node.updated", node: { ...node, ...hidden, claims } }];
}

async function readPromptFrame(store: Store, sessionId: string, messageId: string): Promise<ServerFrame[]> {
  const prompt = await readPrompt(store, sessionId, messageId);
  return prompt ? [{ type: "prompt.updated", sessionId, prompt: toPrompt(prompt) }] : [];
}

async function readPermissionFrame(store: Store, sessionId: string, requestId: string): Promise<ServerFrame[]> {
  const record = await readPermission(store, sessionId, requestId);
  if (!record) return [];
  if (record.status === "pending") {
    return [{ type: "permission.requested", sessionId, request: toPermission(record) }];
  }
  const [outcome, by] = [outcomeOf(record), record.answeredBy];
  return [{ type: "permission.resolved", sessionId, requestId, outcome, by }];
}

/**
 * The end of a machine, with what may have been lost with it told where people look: as a `system` message in each
 * conversation, as a warning on its task, and on the node.
 */
import { addMessages, edgeMessage } from "../chat/append.ts";
import type { Edge } from "../edge.ts";
import { cutText } from "../bytes.ts";
import { deleteMachine } from "../nodes/destroy.ts";
import { type Change, change } from "../store/change.ts";
import { nodeKey, sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import { findKnown } from "../store/messages.ts";
import type { BeatRecord, NodeRecord } from "../store/nodes.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { putTask, type TaskRecord } from "../store/tasks.ts";
import type { WorkspaceRecord } from "../store/workspaces.ts";
import { ERROR_MAX } from "../wire/limits.ts";

/** Deletes the machine of a node that is to go, as soon as nothing undelivered is on it or its time is over. */
export async function deleteNode(edge: Edge, nodeId: string): Promise<void> {
  await deleteMachine(edge, nodeId, (node, held) => tellLoss(edge, node, held));
}

async function tellLoss(edge: Edge, node: NodeRecord, held: BeatRecord): Promise<void> {
  const { outboxDepth, deadLetters } = held;
  edge.log.error("messages_lost_with_node", { nodeId: node.id, outboxDepth, deadLetters });
  for (const { workspaceId, rows } of held.pending ?? []) {
    const messageId = await noteId(node.id, workspaceId);
    const text = `The machine went before it had delivered everything: ${count(rows)} may be missing here.`;
    await change(edge.store, (tx) => noteInSession(tx, { workspaceId, messageId, text }), edge.clock);
  }
  await change(edge.store, async (tx) => {
    const entry = await tx.get<NodeRecord>(nodeKey(node.id));
    if (entry.value?.status !== "destroying") return;
    const reason = `It went with ${count(outboxDepth)} and ${deadLetters} dead letter(s) that it could not deliver.`;
    // Not by putNode: the record keeps the time at which the node began to go.
    tx.put(entry, { ...entry.value, errorMessage: reason });
  }, edge.clock);
}

async function noteInSession(
  tx: Change,
  note: { workspaceId: string; messageId: string; text: string },
): Promise<void> {
  const workspace = (await tx.get<WorkspaceRecord>(workspaceKey(note.workspaceId))).value;
  if (!workspace?.projectId || !workspace.sessionId) return;
  const entry = await tx.get<SessionRecord>(sessionKey(workspace.projectId, workspace.sessionId));
  if (!entry.value || (await findKnown(tx, entry.value.id, [note.messageId])).size > 0) return;
  const { messageId, text: content } = note;
  const message = edgeMessage({ messageId, role: "system", run: workspace.run ?? 0, content, now: tx.now });
  putSession(tx, entry, addMessages(tx, entry.value, [message]), { active: true });
  if (workspace.taskId) await warnOnTask(tx, workspace.projectId, { ...note, taskId: workspace.taskId });
}

async function warnOnTask(
  tx: Change,
  projectId: string,
  note: { taskId: string; workspaceId: string; text: string },
): Promise<void> {
  const entry = await tx.get<TaskRecord>(taskKey(projectId, note.taskId));
  if (entry.value?.workspaceId !== note.workspaceId) return;
  const warning = cutText([entry.value.warning, note.text].filter(Boolean).join(" "), ERROR_MAX);
  putTask(tx, entry as Deno.KvEntry<TaskRecord>, { ...entry.value, warning });
}

/** The same loss has the same id, so that telling it again tells it once. */
async function noteId(nodeId: string, workspaceId: string): Promise<string> {
  const bytes = new TextEncoder().encode(`lost ${nodeId} ${workspaceId}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).slice(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function count(messages: number): string {
  return messages === 1 ? "1 message" : `${messages} messages`;
}

/**
 * Appending messages to a session. One check on the session record covers all ids: the record is read first, the ids
 * after it, and every commit that adds an id writes the record too. All of a batch is visible or nothing.
 */
import type { Edge } from "../edge.ts";
import { byteLength, cutText } from "../bytes.ts";
import { AppError } from "../errors.ts";
import { type Change, change } from "../store/change.ts";
import { projectTopic, sessionKey } from "../store/keys.ts";
import { findKnown, type NewMessage, setMessage } from "../store/messages.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import type { WorkspaceRecord } from "../store/workspaces.ts";
import { TOPIC_MAX } from "../wire/limits.ts";
import type { BatchAnswer, BatchMessage } from "../wire/message.ts";

/** Bytes of content and metadata that fit one atomic operation beside keys, previews and what surrounds them. */
const STORED_MAX_BYTES = 600 * 1024;

/**
 * Stores a node's batch. Known ids are counted as duplicates. Throws `workspace_without_project`, `session_not_found`,
 * `payload_too_large`, `session_full` (with `remaining`), `store_busy`.
 */
export async function appendBatch(
  edge: Edge,
  workspace: WorkspaceRecord,
  messages: BatchMessage[],
): Promise<BatchAnswer> {
  const { projectId, sessionId } = requireLinkedSession(workspace, messages);
  checkSize(messages);
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<SessionRecord>(sessionKey(projectId, sessionId));
    if (entry.value === null) throw sessionNotFound();
    const known = await findKnown(tx, sessionId, messages.map((message) => message.messageId));
    const fresh = firstOfEach(messages).filter((message) => !known.has(message.messageId));
    checkRoom(edge, entry.value, fresh.length);
    if (fresh.length === 0) return { persisted: 0, duplicates: messages.length, lastSeq: entry.value.lastSeq };
    const session = addMessages(tx, entry.value, fresh.map((message) => toNewMessage(message, workspace)));
    putSession(tx, entry, session, { active: true });
    return { persisted: fresh.length, duplicates: messages.length - fresh.length, lastSeq: session.lastSeq };
  }, edge.clock);
}

/**
 * Adds messages to the end of a session within a change, and announces them. Returns the session with its counts; the
 * caller puts it in the same commit. The first user message becomes the topic if there is none.
 */
export function addMessages(tx: Change, session: SessionRecord, messages: NewMessage[]): SessionRecord {
  messages.forEach((message, i) => setMessage(tx, { sessionId: session.id, seq: session.lastSeq + 1 + i }, message));
  const from = session.lastSeq + 1;
  const lastSeq = session.lastSeq + messages.length;
  tx.announce(projectTopic(session.projectId), ["message", session.id, from, lastSeq]);
  return {
    ...session,
    lastSeq,
    messageCount: session.messageCount + messages.length,
    topic: session.topic ?? topicOf(messages),
  };
}

/** A message that the edge itself writes: what happened to a run, or a prompt as it was submitted. */
export function edgeMessage(
  facts: { messageId: string; role: "system" | "user"; run: number; content: string; now: number },
): NewMessage {
  return {
    messageId: facts.messageId,
    role: facts.role,
    run: facts.run,
    content: facts.content,
    toolMetadata: null,
    flags: null,
    createdAt: facts.now,
    workspaceId: null,
  };
}

function requireLinkedSession(
  workspace: WorkspaceRecord,
  messages: BatchMessage[],
): { projectId: string; sessionId: string } {
  if (!workspace.projectId) {
    throw new AppError("workspace_without_project", "This workspace belongs to no project, so it has no conversation.");
  }
  const { projectId, sessionId } = workspace;
  if (!sessionId || messages.some((message) => message.sessionId !== sessionId)) throw sessionNotFound();
  return { projectId, sessionId };
}

function sessionNotFound(): AppError {
  return new AppError("session_not_found", "The workspace has no such session. Send each message to its own session.");
}

/** JSON may be written shorter than we store it: 1e20 is four bytes on the way in and 21 here. */
function checkSize(messages: BatchMessage[]): void {
  const bytes = messages.reduce((sum, message) => sum + storedBytes(message), 0);
  if (bytes <= STORED_MAX_BYTES) return;
  throw new AppError("payload_too_large", `The batch takes ${bytes} bytes in the store. Send fewer messages at once.`);
}

function storedBytes({ content, toolMetadata }: BatchMessage): number {
  return byteLength(content) + (toolMetadata ? byteLength(JSON.stringify(toolMetadata)) : 0);
}

function checkRoom(edge: Edge, session: SessionRecord, more: number): void {
  const remaining = Math.max(0, edge.config.MAX_MESSAGES_PER_SESSION - session.messageCount);
  if (more <= remaining) return;
  throw new AppError(
    "session_full",
    `The session takes ${remaining} more message(s), the batch holds ${more} new ones.`,
    {
      details: { remaining },
    },
  );
}

function firstOfEach(messages: BatchMessage[]): BatchMessage[] {
  const seen = new Set<string>();
  return messages.filter(({ messageId }) => !seen.has(messageId) && seen.add(messageId));
}

function toNewMessage(message: BatchMessage, workspace: WorkspaceRecord): NewMessage {
  return {
    messageId: message.messageId,
    role: message.role,
    run: workspace.run ?? 0,
    content: message.content,
    toolMetadata: message.toolMetadata ?? null,
    flags: message.flags ?? null,
    createdAt: Date.parse(message.timestamp),
    workspaceId: workspace.id,
  };
}

function topicOf(messages: NewMessage[]): string | null {
  const first = messages.find((message) => message.role === "user");
  return first ? cutText(first.content.trim().split("\n")[0]!, TOPIC_MAX) || null : null;
}

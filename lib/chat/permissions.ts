/**
 * Permission requests: the agent posts what its coding agent asks, a person answers from any device, and the answer goes
 * out as a command in the same commit. The first end of a request counts, whether answer, expiry or the end of the turn.
 */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { newId } from "../ids.ts";
import { spanOf } from "../span.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { type DueItem, isWanted } from "../store/due.ts";
import { permissionKey, sessionKey } from "../store/keys.ts";
import { endedPermission, outcomeOf, type PermissionRecord, putPermission } from "../store/permissions.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { readWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import { PERMISSIONS_MAX, PERMISSIONS_OPEN_MAX } from "../wire/limits.ts";
import type { RequestPermission } from "../wire/permission_calls.ts";
import { addMessages, edgeMessage } from "./append.ts";

interface RequestRef {
  projectId: string;
  sessionId: string;
  requestId: string;
}

/**
 * Stores a request of the workspace's coding agent; the same requestId again answers the one that is there. Throws
 * `workspace_without_project`, `session_not_live`, `limit_reached`.
 */
export async function requestPermission(
  edge: Edge,
  workspace: WorkspaceRecord,
  body: RequestPermission,
): Promise<PermissionRecord> {
  const { projectId, sessionId } = requireConversation(workspace);
  return await change(edge.store, async (tx) => {
    const session = await tx.get<SessionRecord>(sessionKey(projectId, sessionId));
    const entry = await tx.get<PermissionRecord>(permissionKey(sessionId, body.requestId));
    if (entry.value) return entry.value;
    const current = requireWaiting(session.value, workspace);
    const counts = { openPermissions: (current.openPermissions ?? 0) + 1, permissions: (current.permissions ?? 0) + 1 };
    putSession(tx, session, { ...current, ...counts }, { active: true });
    return putPermission(tx, entry, {
      v: 1,
      ...body,
      sessionId,
      projectId,
      workspaceId: workspace.id,
      status: "pending",
      answer: null,
      answeredBy: null,
      createdAt: tx.now,
      expiresAt: tx.now + edge.config.PERMISSION_TIMEOUT_MS,
      dues: {},
    });
  }, edge.clock);
}

/** Takes a person's answer. Throws `not_found`, `invalid_request`, `already_answered`. */
export async function answerPermission(
  edge: Edge,
  ref: RequestRef,
  answer: { optionId: string; login: string },
): Promise<PermissionRecord> {
  const noticeId = newId();
  return await change(edge.store, async (tx) => {
    const state = await readState(tx, ref);
    const { entry } = state;
    if (!entry.value.options.some((option) => option.optionId === answer.optionId)) {
      throw new AppError("invalid_request", "optionId names none of the options of this request.");
    }
    if (entry.value.status !== "pending") throw alreadyAnswered(entry.value);
    const end = { status: "answered" as const, answer: answer.optionId, answeredBy: answer.login };
    return await putEnd(tx, edge, state, { record: endedPermission(entry.value, end), noticeId });
  }, edge.clock);
}

/** The agent says that nobody waits for an answer any more; one that is there stays. */
export async function closePermission(
  edge: Edge,
  workspace: WorkspaceRecord,
  how: { requestId: string; outcome: "expired" | "cancelled" },
): Promise<PermissionRecord> {
  const ref = { ...requireConversation(workspace), requestId: how.requestId };
  const noticeId = newId();
  return await change(edge.store, async (tx) => {
    const state = await readState(tx, ref);
    if (state.entry.value.workspaceId !== workspace.id) throw notFound("permission request");
    if (state.entry.value.status !== "pending") return state.entry.value;
    const record = endedPermission(state.entry.value, { status: how.outcome });
    return putQuietEnd(tx, edge, state, { record, noticeId });
  }, edge.clock);
}

/** A request that nobody answered in time ends as refused, and the conversation says so. `id` names project, session, request. */
export async function expirePermission(edge: Edge, item: DueItem): Promise<void> {
  const [projectId, sessionId, requestId] = item.id.split("/") as [string, string, string];
  const noticeId = newId();
  await change(edge.store, async (tx) => {
    const state = await readState(tx, { projectId, sessionId, requestId }).catch(ignoreMissing);
    if (state?.entry.value.status !== "pending" || !isWanted(state.entry.value.dues, item)) return;
    await putEnd(tx, edge, state, { record: endedPermission(state.entry.value, { status: "expired" }), noticeId });
  }, edge.clock);
}

interface State {
  session: Deno.KvEntry<SessionRecord>;
  entry: Deno.KvEntry<PermissionRecord>;
}

interface Ended {
  record: PermissionRecord;
  /** The message that tells of an expiry. */
  noticeId: string;
}

/** The session first: whoever ends a request writes it too. */
async function readState(tx: Change, ref: RequestRef): Promise<State> {
  const session = await tx.get<SessionRecord>(sessionKey(ref.projectId, ref.sessionId));
  const entry = await tx.get<PermissionRecord>(permissionKey(ref.sessionId, ref.requestId));
  if (!session.value || !entry.value) throw notFound("permission request");
  return { session, entry } as State;
}

/** The end of a request, with the word of it to the agent that waits. */
async function putEnd(tx: Change, edge: Edge, state: State, end: Ended): Promise<PermissionRecord> {
  const { record } = end;
  const workspace = await readWorkspace(edge.store, record.workspaceId);
  const { requestId, sessionId, workspaceId } = record;
  if (workspace) {
    await addCommands(tx, workspace.nodeId, [{ kind: "permission.respond", workspaceId, sessionId, requestId }]);
  }
  return putQuietEnd(tx, edge, state, end);
}

function putQuietEnd(tx: Change, edge: Edge, { session, entry }: State, end: Ended): PermissionRecord {
  const { record } = end;
  const openPermissions = Math.max(0, (session.value.openPermissions ?? 0) - 1);
  const next = { ...session.value, openPermissions };
  putSession(tx, session, record.status === "expired" ? withNotice(tx, edge, next, end) : next);
  return putPermission(tx, entry, record);
}

function withNotice(tx: Change, edge: Edge, session: SessionRecord, { record, noticeId }: Ended): SessionRecord {
  const span = spanOf(edge.config.PERMISSION_TIMEOUT_MS);
  const content = `Nobody answered within ${span}, so this was refused: ${record.title}`;
  const facts = { messageId: noticeId, role: "system" as const, run: session.run, now: tx.now };
  return addMessages(tx, session, [edgeMessage({ ...facts, content })]);
}

function requireConversation({ projectId, sessionId }: WorkspaceRecord): { projectId: string; sessionId: string } {
  if (projectId && sessionId) return { projectId, sessionId };
  throw new AppError(
    "workspace_without_project",
    "This workspace has no conversation in which somebody could be asked.",
  );
}

function requireWaiting(session: SessionRecord | null, workspace: WorkspaceRecord): SessionRecord {
  if (session?.status !== "active" || session.workspaceId !== workspace.id) {
    throw new AppError("session_not_live", "This workspace's run is over, so nobody is asked for it.");
  }
  if ((session.openPermissions ?? 0) >= PERMISSIONS_OPEN_MAX) {
    throw new AppError("limit_reached", `${PERMISSIONS_OPEN_MAX} requests of this session wait already.`);
  }
  if ((session.permissions ?? 0) >= PERMISSIONS_MAX) {
    throw new AppError("limit_reached", `A session takes at most ${PERMISSIONS_MAX} permission requests.`);
  }
  return session;
}

function alreadyAnswered(record: PermissionRecord): AppError {
  const why = record.status === "answered"
    ? `${record.answeredBy ?? "Somebody"} has answered this already.`
    : record.status === "expired"
    ? "The time for an answer is over: this was refused."
    : "The coding agent does not wait for this any more.";
  const details = { status: record.status, outcome: outcomeOf(record), by: record.answeredBy };
  return new AppError("already_answered", why, { details });
}

function ignoreMissing(error: unknown): null {
  if (error instanceof AppError && error.code === "not_found") return null;
  throw error;
}

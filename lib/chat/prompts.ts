/**
 * Follow-up prompts: stored first, then handed to the agent in order, one at a time. The agent's outbox makes the
 * `user` message with the same id, so that one writer and one id stand for it.
 */
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { type Change, change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { promptKey, sessionKey, workspaceKey } from "../store/keys.ts";
import { countWaiting, getPromptById, type PromptRecord, putPrompt } from "../store/prompts.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { isWorking, type WorkspaceRecord } from "../store/workspaces.ts";
import { WAITING_PROMPTS_MAX } from "../wire/limits.ts";

/** Numbers between the prompt handed out last and the newest: prompts taken back keep theirs. */
const LINE_MAX = 500;

interface SessionRef {
  projectId: string;
  id: string;
}

/**
 * Adds a prompt to a live session; the same messageId again returns the one that is there. An agent that waits gets it
 * at once. Throws `conflict` for another text under the same id, `session_not_live`, `session_closing`, `too_many_prompts`.
 */
export async function addPrompt(
  edge: Edge,
  ref: SessionRef,
  prompt: { messageId: string; text: string; by: string },
): Promise<PromptRecord> {
  return await change(edge.store, async (tx) => {
    // The session first, the id after it: whoever stores the same id meanwhile writes the session too.
    const session = await tx.get<SessionRecord>(sessionKey(ref.projectId, ref.id));
    const known = await getPromptById(tx, ref.id, prompt.messageId);
    if (known?.value) return requireSame(known.value, prompt.text);
    const workspace = await requireTakesPrompts(tx, session.value);
    const { value: current } = session as Deno.KvEntry<SessionRecord>;
    if (await isLineFull(tx, current)) {
      throw new AppError(
        "too_many_prompts",
        `${WAITING_PROMPTS_MAX} prompts wait already. Remove one or let the agent go on.`,
      );
    }
    const idle = current.handedOut === null;
    const n = current.promptCount + 1;
    const record: PromptRecord = { v: 1, ...prompt, sessionId: ref.id, n, state: idle ? "sent" : "queued", at: tx.now };
    const key = promptKey(ref.id, n);
    putPrompt(tx, { key, value: null, versionstamp: null }, { ...record, projectId: ref.projectId });
    const handed = idle ? { handedOut: prompt.messageId, promptsTaken: n } : {};
    putSession(tx, session, { ...current, promptCount: n, ...handed }, { active: true });
    if (idle) {
      const command = { kind: "prompt.send" as const, workspaceId: workspace.id, sessionId: ref.id };
      await addCommands(tx, workspace.nodeId, [{ ...command, messageId: prompt.messageId }]);
    }
    return record;
  }, edge.clock);
}

/** A repeated call has the same text; another text under the same id would be lost without a word. */
function requireSame(known: PromptRecord, text: string): PromptRecord {
  if (known.edited || known.text === text) return known;
  throw new AppError("conflict", "This messageId belongs to another prompt already. Take a new one for this text.");
}

/** Changes the text of a prompt that still waits. Throws `prompt_not_queued`. */
export async function editPrompt(
  edge: Edge,
  ref: SessionRef,
  edit: { messageId: string; text: string },
): Promise<PromptRecord> {
  return await changeQueued(edge, ref, { messageId: edit.messageId, patch: { text: edit.text, edited: true } });
}

/** Takes a prompt that still waits out of the line. Throws `prompt_not_queued`. */
export async function removePrompt(edge: Edge, ref: SessionRef, messageId: string): Promise<void> {
  await changeQueued(edge, ref, { messageId, patch: { state: "cancelled" } });
}

/**
 * Sends a prompt that waits into the turn that runs. Until the agent has told what became of it nobody can change it;
 * when the turn ends first, it is the next one. Throws `prompt_not_queued`, `conflict` where there is nothing to send
 * it into, `session_not_live`, `session_closing`.
 */
export async function steerPrompt(edge: Edge, ref: SessionRef, messageId: string): Promise<PromptRecord> {
  return await change(edge.store, async (tx) => {
    const session = await tx.get<SessionRecord>(sessionKey(ref.projectId, ref.id));
    const entry = await getPromptById(tx, ref.id, messageId);
    if (!session.value || !entry?.value) throw notFound("prompt");
    requireQueued(entry.value);
    const workspace = await requireTakesPrompts(tx, session.value);
    const into = requireSteerable(session.value, entry.value);
    const next: PromptRecord = { ...entry.value, state: "sent", steeredInto: into };
    putPrompt(tx, entry, { ...next, projectId: ref.projectId });
    // Whoever ends the turn at the same time loses the check or finds the prompt on its way.
    putSession(tx, session, session.value, { active: true });
    const command = { kind: "prompt.steer" as const, workspaceId: workspace.id, sessionId: ref.id };
    await addCommands(tx, workspace.nodeId, [{ ...command, messageId, into }]);
    return next;
  }, edge.clock);
}

/** The prompt whose turn takes it in. */
function requireSteerable(session: SessionRecord, prompt: PromptRecord): string {
  const { handedOut, turn, steering } = session;
  if (turn !== "running" || handedOut === null) {
    throw new AppError("conflict", "No turn runs now, so there is none to send this prompt into. It goes next.");
  }
  if (!steering) {
    throw new AppError(
      "conflict",
      "This coding agent takes nothing into a turn that runs. The prompt goes next; interrupt the turn to send it now.",
    );
  }
  if (prompt.steeredInto === handedOut) {
    throw new AppError("conflict", "The coding agent did not take this prompt into its turn. It goes next.");
  }
  return handedOut;
}

/** Interrupts the turn that runs; without one nothing happens. Returns whether there was one. */
export async function interruptTurn(edge: Edge, ref: SessionRef): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const session = await tx.get<SessionRecord>(sessionKey(ref.projectId, ref.id));
    const workspace = await requireTakesPrompts(tx, session.value);
    const messageId = session.value!.handedOut;
    if (messageId === null) return false;
    await addCommands(tx, workspace.nodeId, [{ kind: "prompt.cancel", workspaceId: workspace.id, messageId }]);
    return true;
  }, edge.clock);
}

async function requireTakesPrompts(tx: Change, session: SessionRecord | null): Promise<WorkspaceRecord> {
  if (!session) throw notFound("session");
  if (session.turn === "finalizing") {
    throw new AppError(
      "session_closing",
      "The agent is committing its work and takes no more prompts. Start a new task to go on.",
    );
  }
  const workspace = session.workspaceId
    ? (await tx.get<WorkspaceRecord>(workspaceKey(session.workspaceId))).value
    : null;
  if (session.status !== "active" || !workspace || !isWorking(workspace)) {
    throw new AppError("session_not_live", "No agent works on this session now. Run the task again to go on.");
  }
  return workspace;
}

async function isLineFull(tx: Change, session: SessionRecord): Promise<boolean> {
  if (session.promptCount - session.promptsTaken >= LINE_MAX) return true;
  return await countWaiting(tx, session, LINE_MAX) >= WAITING_PROMPTS_MAX;
}

function requireQueued({ state }: PromptRecord): void {
  if (state === "queued") return;
  throw new AppError("prompt_not_queued", "The agent has this prompt already, so it cannot be changed any more.");
}

/** Whoever hands a prompt out writes its record too: handing out and editing at once cannot both win. */
async function changeQueued(
  edge: Edge,
  ref: SessionRef,
  how: { messageId: string; patch: Partial<Pick<PromptRecord, "text" | "state" | "edited">> },
): Promise<PromptRecord> {
  return await change(edge.store, async (tx) => {
    const entry = await getPromptById(tx, ref.id, how.messageId);
    if (!entry?.value) throw notFound("prompt");
    requireQueued(entry.value);
    const next = { ...entry.value, ...how.patch };
    putPrompt(tx, entry, { ...next, projectId: ref.projectId });
    return next;
  }, edge.clock);
}

/**
 * The last steps of a workspace: work pushed and told, kept for inspection, removed, forgotten; or failed. Each may be
 * done again after a crash and leads to the same.
 */
import type { TaskCallback } from "../../lib/wire/task.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import type { Action } from "./phase.ts";
import { pushWork } from "./push_work.ts";
import { sentence } from "./tell.ts";
import { folderOf, removeFolder } from "./workspace_parts.ts";
import type { Look, WorkspaceState } from "./workspace_state.ts";

/** Within the time that the edge gives a run to end, so that the task ends even if messages are stuck. */
const DELIVERY_MAX_MS = 8 * 60_000;

/** Pushes what was done and tells the end of the run, after every message of it. */
export async function finalizeWork(state: WorkspaceState, { row, signal }: Look): Promise<void> {
  const needed = await state.need(signal);
  if (!needed) return;
  const { facts } = row;
  if (!facts?.taskId || !facts.projectId) return void await state.change(() => ({ phase: "finished" }));
  await state.tell.status({ executionStep: "finalizing" });
  const pushed = await pushWork(state.parts, { row, credential: needed.runtime.gitCredential, signal });
  await needed.recorder.endTurn({ interrupted: true });
  await untilDelivered(state, signal);
  signal.throwIfAborted();
  const body: TaskCallback = { toStatus: "completed", ...pushed };
  if (typeof facts.summary === "string" && facts.summary !== "") body.outputSummary = facts.summary;
  if (typeof facts.costUsd === "number") body.costUsd = facts.costUsd;
  await state.tell.end({ projectId: facts.projectId, taskId: facts.taskId }, body);
  await state.change((now) => now.phase === "finalizing" ? { phase: "finished" } : null);
}

/** Waits until every message is with the edge, but not for ever. */
async function untilDelivered({ parts, id, log }: WorkspaceState, interrupt: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(DELIVERY_MAX_MS);
  await parts.outbox.whenEmpty(id, AbortSignal.any([late, interrupt])).catch((error) => {
    if (!late.aborted) throw error;
    log.warn("workspace.messages_late");
  });
}

export async function keepWorkspace(state: WorkspaceState): Promise<void> {
  await state.quieten();
  await state.tell.status({ status: "ready" });
  await state.change((row) => row.phase === "keeping" ? { phase: "kept" } : null);
}

export async function removeWorkspace(state: WorkspaceState): Promise<void> {
  await Promise.all([state.quieten(), state.parts.relays.endOf(state.id)]);
  await state.agent.clear();
  await removeFolder(folderOf(state.parts.db, state.id));
  await state.tell.status({ status: "stopped" });
  await state.change(() => ({ phase: "stopped", promptState: "none", promptText: null }));
  await state.parts.evictMirrors();
}

/** The row goes when the edge has everything: until then a restart must know the workspace. */
export async function forgetWorkspace(state: WorkspaceState, signal: AbortSignal): Promise<void> {
  const { outbox, reports, rows } = state.parts;
  await outbox.whenEmpty(state.id, signal);
  await reports.whenEmpty(state.id, signal);
  await rows.remove(state.id);
  await state.recorder?.[Symbol.asyncDispose]();
}

/** Tells the edge that the run failed. False where there is nothing that could fail, only be tried again. */
export async function failWorkspace(
  state: WorkspaceState,
  { row, action, message }: { row: WorkspaceRow; action: NonNullable<Action>; message: string },
): Promise<boolean> {
  if (!["begin", "prompt", "interrupted", "finalize"].includes(action)) return false;
  const facts = (await state.read())?.facts;
  if (!facts) return false;
  await state.quieten();
  const errorMessage = sentence(message);
  if (facts.taskId && facts.projectId) {
    const task = { projectId: facts.projectId, taskId: facts.taskId };
    await state.tell.end(task, { toStatus: "failed", errorMessage });
  } else await state.tell.status({ status: "error", reason: errorMessage });
  await state.change((now) => now.phase === row.phase ? { phase: "finished", promptState: "none" } : null);
  return true;
}

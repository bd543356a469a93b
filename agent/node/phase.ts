/**
 * The phases of a workspace on the node, kept on the disk, and what is to be done in each. Pure: after a crash the same
 * row leads to the same next action.
 *
 * starting → ready ⇄ (turns) → finalizing → finished; from anywhere keeping → kept and removing → stopped.
 */
import type { TurnAnswer, TurnReport } from "../../lib/wire/workspace.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";

export type Phase =
  | "starting"
  | "ready"
  | "finalizing"
  | "finished"
  | "keeping"
  | "kept"
  | "removing"
  | "stopped";

export type Action = "begin" | "prompt" | "interrupted" | "finalize" | "quiet" | "keep" | "remove" | "forget" | null;

export type Change = Partial<Omit<WorkspaceRow, "workspaceId" | "updatedAt" | "phase">> & { phase?: Phase };

/** What comes next for the workspace; null: nothing, until something happens. */
export function nextAction(row: Pick<WorkspaceRow, "phase" | "promptState">): Action {
  switch (row.phase) {
    case "starting":
      return "begin";
    case "ready":
      // A prompt found as running was cut by a crash: while one runs, nobody asks what comes next.
      return row.promptState === "handed" ? "prompt" : row.promptState === "running" ? "interrupted" : null;
    case "finalizing":
      return "finalize";
    case "finished":
      return "quiet";
    case "keeping":
      return "keep";
    case "removing":
      return "remove";
    case "stopped":
      return "forget";
    default:
      return null;
  }
}

/** Phases in which the coding agent may work. */
export function isWorking(phase: string): boolean {
  return phase === "starting" || phase === "ready" || phase === "finalizing";
}

/** Phases after which nothing can be wanted of the workspace but that it goes. */
export function isLeaving(phase: string): boolean {
  return phase === "removing" || phase === "stopped";
}

/** Whether what hangs may be ended and done again: a prompt that runs is not, it costs money and overwrites work. */
export function isRepeatable(row: Pick<WorkspaceRow, "phase" | "promptState">): boolean {
  return row.phase === "starting" || row.phase === "finalizing" ||
    (row.phase === "ready" && row.promptState === "handed");
}

/** For the heartbeat: the words of the edge. */
export function describe(row: Pick<WorkspaceRow, "phase" | "promptState">): { status: string; turn: string } {
  const turn = row.phase === "finalizing" ? "finalizing" : row.promptState === "running" ? "running" : "idle";
  const status = row.phase === "starting"
    ? "creating"
    : row.phase === "ready" || row.phase === "finalizing"
    ? (turn === "idle" ? "ready" : "running")
    : row.phase === "stopped"
    ? "stopped"
    : row.phase === "removing"
    ? "stopping"
    : "ready";
  return { status, turn };
}

/**
 * What the edge's answer to a turn's report changes; null: nothing. An answer that comes again speaks of a prompt that
 * is not the current one any more, or leads to what is already so.
 */
export function afterAnswer(row: WorkspaceRow, told: TurnReport, answer: TurnAnswer): Change | null {
  if (row.promptId !== told.promptId || !isWorking(row.phase) || "ok" in answer) return null;
  if ("stop" in answer) return { phase: "finished", promptState: "none" };
  if (told.event !== "ended") return null;
  if ("finalize" in answer) return { phase: "finalizing", promptState: "none" };
  if ("wait" in answer) return { promptState: "none" };
  const { messageId, text } = answer.next;
  // After an interruption the prompt is the edge's own, which it has told the reader about itself.
  const facts = told.interrupted && row.facts ? { ...row.facts, ownPromptId: messageId } : row.facts;
  return { promptId: messageId, promptText: text, promptState: "handed", facts };
}

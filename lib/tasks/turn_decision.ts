/** What comes after a turn: pure. The order matters: a failure ends the run whatever waits; a waiting prompt goes on. */
import type { TaskRecord } from "../store/tasks.ts";
import type { PromptRecord } from "../store/prompts.ts";
import type { PromptState } from "../wire/session.ts";
import type { TurnReport } from "../wire/workspace.ts";

/** How often a run is gone on with after an interruption before it fails. */
const RESUMES_MAX = 2;

export type TurnEnd =
  | { kind: "next" | "resume" | "finalize" | "wait" }
  | { kind: "fail"; reason: string };

/** What is known when a turn has ended. */
export interface TurnContext {
  /** Null in a manual workspace: there a turn never ends anything but itself. */
  task: Pick<TaskRecord, "resumes"> | null;
  waiting: PromptRecord | null;
}

const REASONS: Partial<Record<NonNullable<TurnReport["stopReason"]>, string>> = {
  refusal: "The coding agent refused to go on.",
  max_tokens: "The coding agent reached the largest length of an answer.",
  max_turn_requests: "The coding agent reached its limit of steps in one turn.",
};

export function afterTurn(report: TurnReport, now: TurnContext): TurnEnd {
  if (!now.task) return { kind: now.waiting ? "next" : "wait" };
  if (report.interrupted) return afterInterruption(report, now.task);
  const failure = failureOf(report);
  if (failure) return { kind: "fail", reason: failure };
  if (now.waiting) return { kind: "next" };
  return { kind: report.stopReason === "cancelled" ? "wait" : "finalize" };
}

/** What becomes of the prompt whose turn ended. */
export function promptStateAfter(report: TurnReport): Extract<PromptState, "done" | "failed" | "cancelled"> {
  if (report.interrupted || failureOf(report)) return "failed";
  return report.stopReason === "cancelled" ? "cancelled" : "done";
}

/** What becomes of a prompt that was sent into a turn; null: the report speaks of what is over. */
export function afterSteering(
  prompt: Pick<PromptRecord, "state" | "steeredInto">,
  report: Pick<TurnReport, "into" | "outcome" | "interrupted">,
): Extract<PromptState, "done" | "failed" | "queued"> | null {
  if (prompt.state !== "sent" || prompt.steeredInto === undefined || prompt.steeredInto !== report.into) return null;
  if (report.outcome !== "injected") return "queued";
  return report.interrupted ? "failed" : "done";
}

function failureOf(report: TurnReport): string | null {
  return report.error ?? (report.stopReason && REASONS[report.stopReason]) ?? null;
}

/** A turn cut by a crash is never sent again; the conversation may be gone on with, twice in a run. */
function afterInterruption(report: TurnReport, task: Pick<TaskRecord, "resumes">): TurnEnd {
  if (report.resumable && task.resumes < RESUMES_MAX) return { kind: "resume" };
  const why = report.resumable ? "too often" : "and its conversation cannot be gone on with";
  return {
    kind: "fail",
    reason: `The run was interrupted by a restart of the agent ${why}. ${report.error ?? ""}`.trim(),
  };
}

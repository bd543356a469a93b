/** What comes after a turn: pure. The order matters: a failure ends the run whatever waits; a waiting prompt goes on. */
import type { TaskRecord } from "../store/tasks.ts";
import type { PromptRecord } from "../store/prompts.ts";
import type { TurnReport } from "../wire/workspace.ts";

/** How often a run is gone on with after an interruption before it fails. */
const RESUMES_MAX = 2;

export type TurnEnd =
  | { kind: "next" | "resume" | "finalize" | "wait" }
  | { kind: "fail"; reason: string };

const REASONS: Partial<Record<NonNullable<TurnReport["stopReason"]>, string>> = {
  refusal: "The coding agent refused to go on.",
  max_tokens: "The coding agent reached the largest length of an answer.",
  max_turn_requests: "The coding agent reached its limit of steps in one turn.",
};

/** `task` is null in a manual workspace: there a turn never ends anything but itself. */
export function afterTurn(
  report: TurnReport,
  now: { task: Pick<TaskRecord, "resumes"> | null; waiting: PromptRecord | null },
): TurnEnd {
  if (report.interrupted) return afterInterruption(report, now.task);
  if (report.error) return { kind: "fail", reason: report.error };
  const refused = report.stopReason && REASONS[report.stopReason];
  if (refused) return { kind: "fail", reason: refused };
  if (now.waiting) return { kind: "next" };
  if (!now.task || report.stopReason === "cancelled") return { kind: "wait" };
  return { kind: "finalize" };
}

/** A turn cut by a crash is never sent again; the conversation may be gone on with, twice in a run. */
function afterInterruption(report: TurnReport, task: Pick<TaskRecord, "resumes"> | null): TurnEnd {
  if (!task) return { kind: "wait" };
  if (report.resumable && task.resumes < RESUMES_MAX) return { kind: "resume" };
  const why = report.resumable ? "too often" : "and its conversation cannot be gone on with";
  return {
    kind: "fail",
    reason: `The run was interrupted by a restart of the agent ${why}. ${report.error ?? ""}`.trim(),
  };
}

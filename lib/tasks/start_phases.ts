/** How long each phase took on the way from submit to the prompt that the coding agent took. Pure. */
import type { Metrics } from "../metrics.ts";
import type { TaskRecord } from "../store/tasks.ts";

const START_PHASES = [
  "waiting_for_node",
  "selecting_node",
  "provisioning_node",
  "creating_workspace",
  "starting_agent",
] as const;

export type StartPhase = (typeof START_PHASES)[number] | "total";

/** Milliseconds by phase; empty for a run whose prompt was never taken. */
export function startPhases(
  task: Pick<TaskRecord, "timings" | "queuedAt" | "startedAt">,
): Partial<Record<StartPhase, number>> {
  const { timings, queuedAt, startedAt } = task;
  if (startedAt === null || queuedAt === null) return {};
  const begun = START_PHASES.flatMap((phase) => {
    const at = timings[phase];
    return at === undefined ? [] : [{ phase, at }];
  }).sort((a, b) => a.at - b.at);
  const took = begun.map(({ phase, at }, i) => [phase, Math.max(0, (begun[i + 1]?.at ?? startedAt) - at)] as const);
  return { ...Object.fromEntries(took), total: startedAt - queuedAt };
}

export function observeStart(metrics: Metrics, task: TaskRecord): void {
  for (const [phase, ms] of Object.entries(startPhases(task))) {
    metrics.observe("hearth_task_phase_seconds", { phase }, ms / 1_000);
  }
}

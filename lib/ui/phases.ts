/** How long each phase of a run took, from the moments at which it entered its steps. Pure. */
import type { ExecutionStep, Task } from "../wire/task.ts";
import { isLive } from "./views.ts";

export interface Phase {
  step: ExecutionStep;
  ms: number;
  /** The run is in it now. */
  current: boolean;
}

/** The phases of the last run in the order in which they began. A phase ends with the next one, the last with the run. */
export function phasesOf(task: Task, now: number): Phase[] {
  const begun = Object.entries(task.timings)
    .map(([step, at]) => ({ step: step as ExecutionStep, at: Date.parse(at) }))
    .sort((a, b) => a.at - b.at);
  const end = isLive(task) ? now : Date.parse(task.completedAt ?? task.updatedAt);
  return begun.map(({ step, at }, index) => ({
    step,
    ms: Math.max(0, (begun[index + 1]?.at ?? end) - at),
    current: isLive(task) && index === begun.length - 1,
  }));
}

export function totalMs(phases: readonly Phase[]): number {
  return phases.reduce((sum, phase) => sum + phase.ms, 0);
}

/** Each phase of a run has its own deadline and, when it passes, a reason that a person understands. Pure. */
import type { EdgeConfig } from "../config.ts";
import { spanOf } from "../span.ts";
import type { Change } from "../store/change.ts";
import type { TaskRecord } from "../store/tasks.ts";
import type { ExecutionStep } from "../wire/task.ts";

type Limit = {
  [Name in keyof EdgeConfig]-?: EdgeConfig[Name] extends number ? Name : never;
}[keyof EdgeConfig];

interface Rule {
  limit: Limit;
  to: "failed" | "cancelled";
  reason: (span: string) => string;
  /** Nothing of it is lost or done twice when the node is asked to do it again. */
  isRepeatable?: boolean;
}

const RULES: Record<ExecutionStep, Rule> = {
  waiting_for_node: {
    limit: "TASK_QUEUE_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `No machine became free within ${span}.`,
  },
  selecting_node: {
    limit: "TASK_QUEUE_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `No machine could be chosen within ${span}.`,
  },
  provisioning_node: {
    limit: "NODE_AGENT_READY_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `The new machine's agent did not report within ${span}.`,
  },
  creating_workspace: {
    limit: "WORKSPACE_READY_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `The repository was not checked out within ${span}.`,
    isRepeatable: true,
  },
  starting_agent: {
    limit: "AGENT_START_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `The coding agent did not take the prompt within ${span}.`,
    isRepeatable: true,
  },
  running: {
    limit: "TASK_MAX_RUN_MS",
    to: "failed",
    reason: (span) => `The run took longer than the ${span} that a run may take.`,
  },
  awaiting_prompt: {
    limit: "PROMPT_WAIT_TIMEOUT_MS",
    to: "cancelled",
    reason: (span) => `Interrupted, and no further prompt came within ${span}.`,
  },
  finalizing: {
    limit: "FINALIZE_TIMEOUT_MS",
    to: "failed",
    reason: (span) => `The work was not committed and pushed within ${span}.`,
    isRepeatable: true,
  },
};

/** Enters a step within a change: stamps its time and moves the deadline. `running` counts from the run's start. */
export function enterStep(tx: Change, task: TaskRecord, step: ExecutionStep, config: EdgeConfig): TaskRecord {
  const since = step === "running" ? task.startedAt ?? tx.now : isWaiting(step) ? task.queuedAt ?? tx.now : tx.now;
  const at = since + config[RULES[step].limit];
  const timings = { ...task.timings, [step]: task.timings[step] ?? tx.now };
  const dues = tx.schedule(task.dues, { kind: "task.deadline", id: `${task.projectId}/${task.id}`, at });
  return { ...task, executionStep: step, timings, dues };
}

/** A step that stalls is tried once more where that is safe. */
export function isWorthRetry(task: Pick<TaskRecord, "executionStep" | "retried">): boolean {
  const { executionStep: step, retried = [] } = task;
  return step !== null && RULES[step].isRepeatable === true && !retried.includes(step);
}

/** What the passing of the current step's deadline means. */
export function outcomeOfDeadline(
  task: TaskRecord,
  config: EdgeConfig,
): { to: "failed" | "cancelled"; reason: string } {
  const rule = RULES[task.executionStep ?? "waiting_for_node"];
  const again = task.retried?.includes(task.executionStep!) ? " It was tried twice." : "";
  return { to: rule.to, reason: rule.reason(spanOf(config[rule.limit])) + again };
}

function isWaiting(step: ExecutionStep): boolean {
  return step === "waiting_for_node" || step === "selecting_node";
}

/** What one commit may change of each record: states go only where the specification lets them go. */
import type { CommandRecord } from "../../../lib/store/commands.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import type { PromptRecord } from "../../../lib/store/prompts.ts";
import type { TaskRecord } from "../../../lib/store/tasks.ts";
import type { WorkspaceRecord } from "../../../lib/store/workspaces.ts";
import { canTransition, isTerminal } from "../../../lib/tasks/state.ts";
import type { TaskStatus } from "../../../lib/wire/task.ts";
import type { Changed } from "../mirror.ts";
import { changesOf, type Finding, type View } from "./view.ts";

const NODE_STEPS: Record<string, string[]> = {
  provisioning: ["active", "warm", "destroying", "error"],
  active: ["warm", "destroying"],
  warm: ["active", "destroying"],
  destroying: ["destroyed"],
  destroyed: [],
  error: ["destroying"],
};

const PROMPT_STEPS: Record<string, string[]> = {
  queued: ["sent", "cancelled"],
  sent: ["running", "done", "failed", "cancelled"],
  running: ["done", "failed", "cancelled"],
  done: [],
  failed: [],
  cancelled: [],
};

export function* checkSteps(
  view: View,
  changed: Changed[],
  isConfirmed: (node: NodeRecord) => boolean,
): Generator<Finding> {
  for (const { before, after } of changesOf<NodeRecord>(changed, "node")) {
    if (!after) yield `node ${before!.id} was deleted`;
    else if (before) yield* checkNodeStep(before, after, isConfirmed);
  }
  for (const { before, after } of changesOf<WorkspaceRecord>(changed, "workspace")) {
    if (after) yield* checkWorkspaceStep(changed, before, after);
  }
  for (const { before, after } of changesOf<TaskRecord>(changed, "task")) {
    if (after) yield* checkTaskStep(view, before, after);
    else if (before && !["draft", "ready"].includes(before.status) && !isTerminal(before.status)) {
      yield `task ${before.id} was deleted while ${before.status}`;
    }
  }
  for (const { before, after } of changesOf<PromptRecord>(changed, "prompt")) {
    if (!after || before?.state === after.state) continue;
    const isFirst = !before && ["queued", "sent"].includes(after.state);
    if (!isFirst && !PROMPT_STEPS[before?.state ?? "done"]!.includes(after.state)) {
      yield `prompt ${after.messageId} went from ${before?.state} to ${after.state}`;
    }
  }
}

function* checkNodeStep(
  before: NodeRecord,
  after: NodeRecord,
  isConfirmed: (node: NodeRecord) => boolean,
): Generator<Finding> {
  if (after.generation < before.generation) yield `node ${after.id} went back to generation ${after.generation}`;
  if (before.status === after.status) return;
  if (!NODE_STEPS[before.status]!.includes(after.status)) {
    yield `node ${after.id} went from ${before.status} to ${after.status}`;
  }
  if (after.status === "destroying" && after.generation === before.generation) yield `node ${after.id} goes unfenced`;
  if (after.status === "destroyed" && !isConfirmed(after)) {
    yield `node ${after.id} is recorded as destroyed, which no provider confirmed`;
  }
}

/** The agent is told in the same write: of its beginning, and of its end where the machine can still be told. */
function* checkWorkspaceStep(
  changed: Changed[],
  before: WorkspaceRecord | undefined,
  after: WorkspaceRecord,
): Generator<Finding> {
  if (before?.status === "stopped" && after.status !== "stopped") {
    yield `workspace ${after.id} came back as ${after.status}`;
  }
  if (before?.status === "stopping" && !["stopping", "stopped"].includes(after.status)) {
    yield `workspace ${after.id} went from stopping to ${after.status}`;
  }
  const isTold = (kind: string) =>
    changesOf<CommandRecord>(changed, "command").some(({ after: command }) =>
      command?.kind === kind && "workspaceId" in command && command.workspaceId === after.id
    );
  if (!before && after.taskId && !isTold("workspace.start")) {
    yield `workspace ${after.id} begins and its node is not told`;
  }
  if (before && before.status !== "stopping" && after.status === "stopping" && !isTold("workspace.stop")) {
    yield `workspace ${after.id} is to stop and its node is not told`;
  }
  if (before?.status === after.status || after.status !== "running" || !before) return;
  if (before.keptUntil !== null) yield `workspace ${after.id} is kept and runs again`;
}

function* checkTaskStep({ mirror, now }: View, before: TaskRecord | undefined, after: TaskRecord): Generator<Finding> {
  const [first, last] = [(before?.eventCount ?? 0) + 1, after.eventCount];
  let status: TaskStatus | null = before?.status ?? null;
  for (let n = first; n <= last; n++) {
    const event = mirror.get<{ from: TaskStatus | null; to: TaskStatus }>(["taskEvent", after.id, n]);
    if (!event) return yield `task ${after.id} has no event ${n}`;
    if (event.from !== status) yield `event ${n} of task ${after.id} begins at ${event.from}, the task was ${status}`;
    if (event.from && !canTransition(event.from, event.to)) {
      yield `task ${after.id} went from ${event.from} to ${event.to}`;
    }
    status = event.to;
  }
  if (status !== after.status) yield `task ${after.id} is ${after.status}, its last event says ${status}`;
  if (!before) return;
  if (after.sessionId !== before.sessionId) yield `task ${after.id} changed its session`;
  if (after.run < before.run || after.run > before.run + 1) {
    yield `task ${after.id} went from run ${before.run} to ${after.run}`;
  }
  const isLate = / (within|longer than the) /.test(after.errorMessage ?? "") && before.status !== "failed";
  if (isLate && after.status === "failed" && (before.dues["task.deadline"]?.at ?? 0) > now) {
    yield `task ${after.id} failed by a deadline that had not passed: ${after.errorMessage}`;
  }
}

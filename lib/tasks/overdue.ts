/**
 * A run whose phase took too long ends. Whether it did is decided on the record that the end is written on, so that a
 * report that came at the last moment wins or loses whole.
 */
import type { Edge } from "../edge.ts";
import { change } from "../store/change.ts";
import { addCommands } from "../store/commands.ts";
import { sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { isLive, putTask, readTask, type TaskRecord } from "../store/tasks.ts";
import { isWorking, type WorkspaceRecord } from "../store/workspaces.ts";
import { enterStep, isWorthRetry, outcomeOfDeadline } from "./deadlines.ts";
import { finishTask } from "./finish.ts";

type IsDue = (task: TaskRecord) => boolean;

/** Ends the run if its current phase is overdue, for the second time where it is worth a retry. Returns whether it did. */
export async function endOverdue(
  edge: Edge,
  ref: { projectId: string; taskId: string },
  isDue: IsDue,
): Promise<boolean> {
  const task = await readTask(edge.store, ref.projectId, ref.taskId);
  if (!task || !isLive(task) || !isDue(task)) return false;
  if (await grantTurn(edge, ref, isDue) || await retryStep(edge, ref, isDue)) return false;
  const step = task.executionStep;
  const onlyIf = (now: TaskRecord, session: SessionRecord | null) =>
    isDue(now) && now.executionStep === step && !hasPromptUnderWay(now, session);
  const outcome = outcomeOfDeadline(task, edge.config);
  const finished = await finishTask(edge, { ...ref, onlyIf }, { ...outcome, actor: "system", keep: true });
  if (finished?.kind === "conflict" && isLive(finished.task) && isDue(finished.task)) {
    throw new Error("The run moved on while its deadline was being looked at.");
  }
  return finished?.kind === "finished";
}

/** A prompt that came just before the end of the wait gets the time that a coding agent has to take one. */
async function grantTurn(edge: Edge, ref: { projectId: string; taskId: string }, isDue: IsDue): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(ref.projectId, ref.taskId));
    if (!entry.value || !isLive(entry.value) || !isDue(entry.value)) return false;
    const session = await tx.get<SessionRecord>(sessionKey(ref.projectId, entry.value.sessionId));
    if (!hasPromptUnderWay(entry.value, session.value)) return false;
    putTask(tx.check(session), entry, enterStep(tx, entry.value, "starting_agent", edge.config));
    return true;
  }, edge.clock);
}

/** The node is asked to begin the step anew, and gets the step's whole time once more. */
async function retryStep(edge: Edge, ref: { projectId: string; taskId: string }, isDue: IsDue): Promise<boolean> {
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(ref.projectId, ref.taskId));
    const task = entry.value;
    if (!task?.workspaceId || !isLive(task) || !isDue(task) || !isWorthRetry(task)) return false;
    const workspace = await tx.get<WorkspaceRecord>(workspaceKey(task.workspaceId));
    if (!workspace.value || !isWorking(workspace.value)) return false;
    const { nodeId, id: workspaceId, run } = workspace.value;
    await addCommands(tx.check(workspace), nodeId, [{ kind: "workspace.start", workspaceId, run, again: true }]);
    const step = task.executionStep!;
    edge.log.warn("step_retried", { taskId: task.id, step });
    putTask(tx, entry, enterStep(tx, { ...task, retried: [...task.retried ?? [], step] }, step, edge.config));
    return true;
  }, edge.clock);
}

function hasPromptUnderWay(task: TaskRecord, session: SessionRecord | null): boolean {
  return task.executionStep === "awaiting_prompt" && (session?.handedOut ?? null) !== null;
}

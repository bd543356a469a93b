/**
 * The turns of a session as its agent reports them. One commit decides what comes after a turn: the next prompt, the
 * end of the work, or waiting; from then on no prompt is taken that nobody will run. The same report again gets the
 * same answer.
 */
import { addMessages, edgeMessage } from "../chat/append.ts";
import type { Edge } from "../edge.ts";
import { newId } from "../ids.ts";
import { type Change, change } from "../store/change.ts";
import { sessionKey, taskKey, workspaceKey } from "../store/keys.ts";
import { closePermissions } from "../store/permissions.ts";
import { getPromptById, nextWaiting, type PromptRecord, putPrompt } from "../store/prompts.ts";
import { putSession, type SessionRecord, type StoredAnswer } from "../store/sessions.ts";
import { addEvents, putTask, type TaskRecord } from "../store/tasks.ts";
import { isWorking, putWorkspace, type WorkspaceRecord } from "../store/workspaces.ts";
import type { PromptState } from "../wire/session.ts";
import type { TurnAnswer, TurnReport } from "../wire/workspace.ts";
import { enterStep } from "./deadlines.ts";
import { finishTask } from "./finish.ts";
import { transition } from "./state.ts";
import { afterSteering, afterTurn, promptStateAfter, type TurnEnd } from "./turn_decision.ts";
import { growCost, growTokens } from "./usage.ts";

const STOP: TurnAnswer = { stop: true };
const GO_ON =
  "The last turn was interrupted by a restart of the machine. Look at the state of the files and go on from there.";

interface TurnState {
  session: Deno.KvEntry<SessionRecord>;
  task: Deno.KvEntry<TaskRecord> | null;
  workspace: Deno.KvEntry<WorkspaceRecord>;
}

/** Takes in a report of the workspace's agent. */
export async function reportTurn(edge: Edge, workspace: WorkspaceRecord, report: TurnReport): Promise<TurnAnswer> {
  if (!workspace.projectId || !workspace.sessionId) return report.event === "ended" ? { wait: true } : { ok: true };
  if (report.event === "steered") return await takeSteered(edge, workspace, report);
  if (report.event === "accepted") return await acceptTurn(edge, workspace, report);
  const ended = await endTurn(edge, workspace, report);
  if ("answer" in ended) return ended.answer;
  await finishTask(edge, { projectId: workspace.projectId, taskId: workspace.taskId!, workspaceId: workspace.id }, {
    to: "failed",
    actor: "agent",
    reason: ended.failed,
    keep: true,
    costUsd: report.costUsd,
    tokens: report.tokens,
    turn: { promptId: report.promptId, answer: "stop" },
  });
  return STOP;
}

async function acceptTurn(edge: Edge, workspace: WorkspaceRecord, report: TurnReport): Promise<TurnAnswer> {
  return await change(edge.store, async (tx) => {
    const state = await readState(tx, workspace);
    if (!state) return STOP;
    const { session, task } = state;
    if (session.value.handedOut !== report.promptId) return { ok: true };
    if (session.value.turn === "running") return { ok: true };
    putSession(tx, session, { ...session.value, turn: "running", steering: report.steering === true });
    if (task) putTask(tx, task, toRunning(tx, edge, task.value));
    if (state.workspace.value.status !== "running") {
      putWorkspace(tx, state.workspace, { ...state.workspace.value, status: "running" });
    }
    await setPromptState(tx, session.value, { messageId: report.promptId, state: "running" });
    return { ok: true };
  }, edge.clock);
}

/** What became of a prompt that was sent into a turn. One that has gone another way meanwhile stays as it is. */
async function takeSteered(edge: Edge, workspace: WorkspaceRecord, report: TurnReport): Promise<TurnAnswer> {
  return await change(edge.store, async (tx) => {
    const state = await readState(tx, workspace);
    if (!state) return STOP;
    const entry = await getPromptById(tx, state.session.value.id, report.promptId);
    const next = entry?.value && afterSteering(entry.value, report);
    if (entry && next) putPrompt(tx, entry, { ...entry.value!, state: next, projectId: workspace.projectId! });
    return { ok: true };
  }, edge.clock);
}

function toRunning(tx: Change, edge: Edge, task: TaskRecord): TaskRecord {
  const started = { ...task, startedAt: task.startedAt ?? tx.now };
  if (task.status !== "delegated") return enterStep(tx, started, "running", edge.config);
  const eventCount = addEvents(tx, task, [transition(task, "in_progress", { actor: "agent" })]);
  return enterStep(tx, { ...started, status: "in_progress", eventCount }, "running", edge.config);
}

async function endTurn(
  edge: Edge,
  workspace: WorkspaceRecord,
  report: TurnReport,
): Promise<{ answer: TurnAnswer } | { failed: string }> {
  const ids = { notice: newId(), prompt: newId() };
  return await change(edge.store, async (tx) => {
    const state = await readState(tx, workspace);
    if (!state) return { answer: STOP };
    const before = await recallAnswer(tx, state.session.value, report.promptId);
    if (before) return { answer: before };
    if (state.session.value.handedOut !== report.promptId) return { answer: STOP };
    const waiting = await nextWaiting(tx, state.session.value);
    const decision = afterTurn(report, { task: state.task?.value ?? null, waiting: waiting?.value ?? null });
    if (decision.kind === "fail") return { failed: decision.reason };
    await setPromptState(tx, state.session.value, { messageId: report.promptId, state: promptStateAfter(report) });
    const session = { ...state.session, value: await closePermissions(tx, state.session.value) };
    return { answer: putDecision(tx, edge, { state: { ...state, session }, report, decision, waiting, ids }) };
  }, edge.clock);
}

interface DecisionInput {
  state: TurnState;
  report: TurnReport;
  decision: Exclude<TurnEnd, { kind: "fail" }>;
  waiting: Deno.KvEntry<PromptRecord> | null;
  ids: { notice: string; prompt: string };
}

function putDecision(tx: Change, edge: Edge, input: DecisionInput): TurnAnswer {
  const { state, report, decision } = input;
  const answer = decide(tx, input);
  const messageId = "next" in answer ? answer.next.messageId : null;
  const ended = "finalize" in answer ? "finalizing" : "idle";
  const withNotice = decision.kind === "resume" ? addGoOn(tx, state.session.value, input.ids) : state.session.value;
  putSession(tx, state.session, {
    ...withNotice,
    turn: ended,
    handedOut: messageId,
    lastTurn: { promptId: report.promptId, answer: toStored(answer) },
    promptsTaken: decision.kind === "next" ? input.waiting!.value.n : withNotice.promptsTaken,
  });
  if (state.task) putTask(tx, state.task, afterStep(tx, edge, { task: state.task.value, answer, report, decision }));
  return answer;
}

function decide(tx: Change, { state, decision, waiting, ids }: DecisionInput): TurnAnswer {
  switch (decision.kind) {
    case "next": {
      const { projectId } = state.session.value;
      const { steeredInto: _, ...prompt } = waiting!.value;
      putPrompt(tx, waiting!, { ...prompt, state: "sent", projectId });
      return { next: { messageId: waiting!.value.messageId, text: waiting!.value.text } };
    }
    case "resume":
      return { next: { messageId: ids.prompt, text: GO_ON } };
    case "finalize":
      return { finalize: true };
    case "wait":
      return { wait: true };
  }
}

function addGoOn(tx: Change, session: SessionRecord, ids: { notice: string; prompt: string }): SessionRecord {
  const facts = { run: session.run, now: tx.now };
  const notice = "The run was interrupted by a restart and goes on where it stopped.";
  return addMessages(tx, session, [edgeMessage({ ...facts, messageId: ids.notice, role: "system", content: notice })]);
}

function afterStep(
  tx: Change,
  edge: Edge,
  facts: Pick<DecisionInput, "report" | "decision"> & { task: TaskRecord; answer: TurnAnswer },
): TaskRecord {
  const { task, answer, report } = facts;
  const known: TaskRecord = {
    ...task,
    costUsd: growCost(task.costUsd, report.costUsd),
    tokens: growTokens(task.tokens, report.tokens),
    resumes: task.resumes + (facts.decision.kind === "resume" ? 1 : 0),
  };
  if ("finalize" in answer) return enterStep(tx, known, "finalizing", edge.config);
  if ("wait" in answer) return enterStep(tx, known, "awaiting_prompt", edge.config);
  return known;
}

async function readState(tx: Change, facts: WorkspaceRecord): Promise<TurnState | null> {
  const [session, workspace, task] = await Promise.all([
    tx.get<SessionRecord>(sessionKey(facts.projectId!, facts.sessionId!)),
    tx.get<WorkspaceRecord>(workspaceKey(facts.id)),
    facts.taskId ? tx.get<TaskRecord>(taskKey(facts.projectId!, facts.taskId)) : null,
  ]);
  if (!workspace.value || !isWorking(workspace.value) || session.value?.status !== "active") return null;
  if (session.value.workspaceId !== facts.id) return null;
  if (task && task.value?.workspaceId !== facts.id) return null;
  return { session, workspace, task } as TurnState;
}

/** The answer that this turn's end got before. */
async function recallAnswer(tx: Change, session: SessionRecord, promptId: string): Promise<TurnAnswer | null> {
  const last = session.lastTurn;
  if (last?.promptId !== promptId) return null;
  if (last.answer === "finalize") return { finalize: true };
  if (last.answer === "wait") return { wait: true };
  if (last.answer === "stop") return STOP;
  const prompt = await getPromptById(tx, session.id, last.answer.next);
  return { next: { messageId: last.answer.next, text: prompt?.value?.text ?? GO_ON } };
}

function toStored(answer: TurnAnswer): StoredAnswer {
  if ("next" in answer) return { next: answer.next.messageId };
  if ("finalize" in answer) return "finalize";
  return "wait" in answer ? "wait" : "stop";
}

async function setPromptState(
  tx: Change,
  session: SessionRecord,
  to: { messageId: string; state: PromptState },
): Promise<void> {
  const entry = await getPromptById(tx, session.id, to.messageId);
  if (!entry?.value || entry.value.state === to.state) return;
  putPrompt(tx, entry, { ...entry.value, state: to.state, projectId: session.projectId });
}

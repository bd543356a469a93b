/**
 * Creating and starting tasks. A task, its session, its first message and, for a run, its due key are one atomic write:
 * a task without a session or a queued task that nobody will look at cannot exist.
 */
import { addMessages, edgeMessage } from "../chat/append.ts";
import { countRun } from "../auth/limits.ts";
import type { Edge } from "../edge.ts";
import { cutText } from "../bytes.ts";
import { AppError, notFound } from "../errors.ts";
import { newId } from "../ids.ts";
import { requireKnownCodingAgent } from "../nodes/coding_agents.ts";
import { refuseSharedMachine } from "../nodes/shared_machine.ts";
import { type Change, change } from "../store/change.ts";
import { type IdempotentCall, recallAnswer, rememberAnswer } from "../store/idempotency.ts";
import { sessionKey, taskKey, taskTextKey } from "../store/keys.ts";
import { readNode } from "../store/nodes.ts";
import { addToTally, type ProjectRecord, readTally } from "../store/projects.ts";
import { newSession, putSession, type SessionRecord } from "../store/sessions.ts";
import { addEvents, putTask, readDescription, readTask, type TaskEventInput, type TaskRecord } from "../store/tasks.ts";
import { DERIVED_TITLE_MAX } from "../wire/limits.ts";
import type { CreateTask, RunTask } from "../wire/task.ts";
import { enterStep } from "./deadlines.ts";
import { putEdges, requireMet } from "./dependencies.ts";
import { holdProject, requireProjectRecord } from "./project.ts";
import { requireCredentials } from "./run_credentials.ts";
import { eventsToQueued, isStartable } from "./state.ts";

interface Submitter {
  userId: string;
  idempotency: IdempotentCall | null;
  /** The task whose branch and conversation this one starts from. */
  continues?: TaskRecord;
}

/** Saves a task to the backlog, with its session and first message. Throws `limit_reached`, `invalid_request`. */
export async function createDraft(
  edge: Edge,
  project: ProjectRecord,
  body: CreateTask,
  by: Submitter,
): Promise<TaskRecord> {
  await requireKnownCodingAgent(edge, by.userId, body.agentHint);
  const ids = newTaskIds();
  const noticeId = newId();
  return await change(edge.store, async (tx) => {
    const before = await recallAnswer<{ taskId: string }>(tx, by.idempotency);
    if (before) return await requireRecalled(tx, project.id, before.taskId);
    const task = newTask(tx, ids, { project, body, userId: by.userId });
    rememberAnswer(tx, by.idempotency, { taskId: task.id });
    return await putNewTask(tx, edge, {
      task,
      body,
      events: [{ from: null, to: "draft", actor: "user", reason: null }],
      noticeId,
    });
  }, edge.clock);
}

/** Creates a task and queues its first run. Throws `task_blocked`, `limit_reached`, `rate_limited`. */
export async function submitTask(
  edge: Edge,
  project: ProjectRecord,
  body: CreateTask,
  by: Submitter,
): Promise<TaskRecord> {
  if (!await isRecalled(edge, by.idempotency)) {
    await refuseSharedMachine(edge);
    await requireKnownCodingAgent(edge, by.userId, body.agentHint ?? project.codingAgent);
    await requireMet(edge, project.id, body.dependsOn);
    await requireCredentials(edge, { userId: by.userId, codingAgent: body.agentHint ?? project.codingAgent });
    await countRun(edge, by.userId);
  }
  const ids = newTaskIds();
  const noticeId = newId();
  return await change(edge.store, async (tx) => {
    const before = await recallAnswer<{ taskId: string }>(tx, by.idempotency);
    if (before) return await requireRecalled(tx, project.id, before.taskId);
    const draft = newTask(tx, ids, { project, body, userId: by.userId, continues: by.continues });
    const events: TaskEventInput[] = [
      { from: null, to: "draft", actor: "user", reason: null },
      ...eventsToQueued("draft", { actor: "user" }),
    ];
    rememberAnswer(tx, by.idempotency, { taskId: draft.id });
    return await putNewTask(tx, edge, { task: queue(tx, edge, draft, {}), body, events, noticeId });
  }, edge.clock);
}

/**
 * Starts a draft, ready, failed or cancelled task. From the second run on the session says so and repeats the
 * description as it is now. Throws `invalid_transition`, `task_blocked`, `credentials_missing`, `not_found`, `rate_limited`.
 */
export async function runTask(edge: Edge, task: TaskRecord, options: RunTask, userId: string): Promise<TaskRecord> {
  if (!isStartable(task.status)) throw notStartable(task);
  if (options.nodeId) await requireOwnNode(edge, options.nodeId, userId);
  await refuseSharedMachine(edge);
  await requireMet(edge, task.projectId, task.dependsOn);
  const { codingAgent } = await requireProjectRecord(edge, task.projectId);
  await requireKnownCodingAgent(edge, userId, task.agentHint ?? codingAgent);
  await requireCredentials(edge, { userId, codingAgent: task.agentHint ?? codingAgent });
  await countRun(edge, userId);
  const ids = { prompt: newId(), notice: newId() };
  return await change(edge.store, async (tx) => {
    const entry = await tx.get<TaskRecord>(taskKey(task.projectId, task.id));
    const session = await tx.get<SessionRecord>(sessionKey(task.projectId, task.sessionId));
    if (!entry.value || !session.value) throw new AppError("not_found", "This task was deleted meanwhile.");
    if (!isStartable(entry.value.status)) throw notStartable(entry.value);
    await holdProject(tx, task.projectId);
    const eventCount = addEvents(tx, entry.value, eventsToQueued(entry.value.status, { actor: "user" }));
    const queued = queue(tx, edge, { ...entry.value, ownerId: userId, eventCount }, options);
    if (queued.run === 1) return putTask(tx, entry, queued);
    const text = await readDescription(edge.store, task.id);
    const facts = { run: queued.run, now: tx.now };
    const next = addMessages(tx, session.value, [
      edgeMessage({ ...facts, messageId: ids.notice, role: "system", content: `Run ${queued.run} was started.` }),
      edgeMessage({ ...facts, messageId: ids.prompt, role: "user", content: text }),
    ]);
    putSession(tx, session, next, { active: true });
    return putTask(tx, entry, { ...queued, promptId: ids.prompt });
  }, edge.clock);
}

/** The branch on which a task's work goes. */
export function branchOf(task: Pick<TaskRecord, "id" | "runOptions">): string {
  return task.runOptions.branch ?? `task/${task.id}`;
}

/** A new run begins with nothing of the last one but the commit that it pushed. */
function queue(tx: Change, edge: Edge, task: TaskRecord, runOptions: RunTask): TaskRecord {
  const next: TaskRecord = {
    ...task,
    status: "queued",
    run: task.run + 1,
    runOptions,
    nodeId: null,
    claimToken: null,
    workspaceId: null,
    resumes: 0,
    retried: [],
    executionStep: null,
    timings: {},
    outputBranch: null,
    outputPrUrl: null,
    outputSummary: null,
    warning: null,
    errorMessage: null,
    costUsd: null,
    tokens: null,
    queuedAt: tx.now,
    startedAt: null,
    completedAt: null,
  };
  const due = { kind: "task.advance" as const, id: `${task.projectId}/${task.id}`, at: tx.now };
  return enterStep(tx, { ...next, dues: tx.schedule(next.dues, due) }, "selecting_node", edge.config);
}

async function putNewTask(
  tx: Change,
  edge: Edge,
  facts: { task: TaskRecord; body: CreateTask; events: TaskEventInput[]; noticeId: string },
): Promise<TaskRecord> {
  const { task, body } = facts;
  await holdProject(tx, task.projectId);
  const tally = await readTally(tx, task.projectId);
  if ((tally.value?.count ?? 0) >= edge.config.MAX_TASKS_PER_PROJECT) {
    throw new AppError(
      "limit_reached",
      `The project has ${edge.config.MAX_TASKS_PER_PROJECT} tasks, which is the most.`,
    );
  }
  if (task.parentTaskId && !await readTask(edge.store, task.projectId, task.parentTaskId)) {
    throw new AppError("invalid_request", "parentTaskId names a task that this project does not have.");
  }
  addToTally(tx, tally, 1);
  await putEdges(tx, edge, { id: task.id, projectId: task.projectId, before: [], after: task.dependsOn });
  const session = newSession({ ...task, id: task.sessionId, taskId: task.id, topic: task.title, now: tx.now });
  const first = edgeMessage({ messageId: task.promptId, role: "user", run: 1, content: body.description, now: tx.now });
  const messages = task.continues ? [first, goesOn(task.continues, facts.noticeId, tx.now)] : [first];
  putSession(tx, emptyEntry(sessionKey(task.projectId, task.sessionId)), addMessages(tx, session, messages), {
    active: true,
  });
  tx.set(taskTextKey(task.id), body.description);
  const eventCount = addEvents(tx, task, facts.events);
  return putTask(tx, emptyEntry(taskKey(task.projectId, task.id)), { ...task, eventCount });
}

function goesOn({ title, branch }: NonNullable<TaskRecord["continues"]>, messageId: string, now: number) {
  const from = branch ? `, from its branch ${branch}` : "";
  return edgeMessage({ messageId, role: "system", run: 1, content: `Goes on with “${title}”${from}.`, now });
}

function newTaskIds() {
  return { id: newId(), sessionId: newId(), promptId: newId() };
}

function newTask(
  tx: Change,
  ids: ReturnType<typeof newTaskIds>,
  facts: { project: ProjectRecord; body: CreateTask; userId: string; continues?: TaskRecord },
): TaskRecord {
  const { project, body, userId, continues } = facts;
  return {
    v: 1,
    ...ids,
    projectId: project.id,
    ownerId: userId,
    title: body.title ?? deriveTitle(body.description),
    status: "draft",
    priority: body.priority,
    parentTaskId: body.parentTaskId,
    ...continues && {
      continues: { title: continues.title, sessionId: continues.sessionId, branch: continues.outputBranch },
    },
    dependsOn: body.dependsOn,
    agentHint: body.agentHint,
    vmSize: body.vmSize,
    run: 0,
    runOptions: {},
    executionStep: null,
    timings: {},
    nodeId: null,
    claimToken: null,
    workspaceId: null,
    resumes: 0,
    outputBranch: null,
    outputCommit: null,
    outputPrUrl: null,
    outputSummary: null,
    warning: null,
    errorMessage: null,
    costUsd: null,
    tokens: null,
    createdAt: tx.now,
    queuedAt: null,
    startedAt: null,
    completedAt: null,
    updatedAt: tx.now,
    eventCount: 0,
    dues: {},
  };
}

/** The first line of the description, at most 100 characters. */
function deriveTitle(description: string): string {
  return cutText(description.trim().split("\n")[0]!.trim(), DERIVED_TITLE_MAX);
}

/** A repeated call is answered as before, whatever has changed since, and does not count as one more run. */
async function isRecalled(edge: Edge, call: IdempotentCall | null): Promise<boolean> {
  return await change(edge.store, async (tx) => await recallAnswer(tx, call) !== null, edge.clock);
}

/** A run uses only machines of the person who starts it. */
async function requireOwnNode(edge: Edge, nodeId: string, userId: string): Promise<void> {
  const node = await readNode(edge.store, nodeId);
  if (node?.ownerId !== userId || ["destroying", "destroyed"].includes(node.status)) throw notFound("node");
}

async function requireRecalled(tx: Change, projectId: string, taskId: string): Promise<TaskRecord> {
  const task = (await tx.get<TaskRecord>(taskKey(projectId, taskId))).value;
  if (!task) throw new AppError("not_found", "The task that this call created before was deleted.");
  return task;
}

function notStartable(task: TaskRecord): AppError {
  return new AppError("invalid_transition", `A task that is ${task.status} cannot be started.`, {
    details: { from: task.status, to: "queued" },
  });
}

function emptyEntry<T>(key: Deno.KvKey): Deno.KvEntryMaybe<T> {
  return { key, value: null, versionstamp: null };
}

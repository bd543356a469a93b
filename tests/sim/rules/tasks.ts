/** Tasks with their sessions, workspaces, prompts and messages: what is said of a state holds for all of them at once. */
import type { SessionRecord } from "../../../lib/store/sessions.ts";
import { isLive, type TaskRecord } from "../../../lib/store/tasks.ts";
import { isTerminal } from "../../../lib/tasks/state.ts";
import type { Finding, View } from "./view.ts";

export function* checkTaskStates(view: View): Generator<Finding> {
  for (const task of view.tasks) {
    const session = view.mirror.get<SessionRecord>(["session", task.projectId, task.sessionId]);
    if (session?.taskId !== task.id) yield `task ${task.id} has no session of its own`;
    if (!isLive(task)) yield* checkIdle(view, task, session);
    else if (task.status === "queued") {
      if (task.workspaceId) yield `task ${task.id} is queued with a workspace`;
    } else yield* checkWorking(view, task, session);
    if (isLive(task) && !task.dues["task.deadline"]) yield `task ${task.id} is ${task.status} without a deadline`;
  }
  yield* checkSessions(view);
}

/** A run that is over leaves nothing that still wants something. */
function* checkIdle(view: View, task: TaskRecord, session: SessionRecord | undefined): Generator<Finding> {
  const dues = Object.keys(task.dues);
  if (dues.length > 0) yield `task ${task.id} is ${task.status} and has due: ${dues}`;
  if (session?.status === "active") yield `task ${task.id} is ${task.status} and its session active`;
  if (isTerminal(task.status) && task.executionStep) {
    yield `task ${task.id} is ${task.status} in step ${task.executionStep}`;
  }
  if (task.status === "failed" && !task.errorMessage) yield `task ${task.id} failed without a reason`;
  const workspace = task.workspaceId ? view.workspaces.find(({ id }) => id === task.workspaceId) : null;
  if (workspace && workspace.keptUntil === null && !["stopping", "stopped"].includes(workspace.status)) {
    yield `task ${task.id} is ${task.status} and its workspace ${workspace.status}`;
  }
}

function* checkWorking(view: View, task: TaskRecord, session: SessionRecord | undefined): Generator<Finding> {
  const workspace = view.workspaces.find(({ id }) => id === task.workspaceId);
  if (!workspace) yield `task ${task.id} is ${task.status} without a workspace`;
  else if (["stopping", "stopped"].includes(workspace.status) || workspace.keptUntil !== null) {
    yield `task ${task.id} is ${task.status} and its workspace ${workspace.status}${
      workspace.keptUntil ? " kept" : ""
    }`;
  } else if (workspace.taskId !== task.id || workspace.run !== task.run || workspace.nodeId !== task.nodeId) {
    yield `task ${task.id} and its workspace ${workspace.id} differ`;
  }
  if (session && (session.status !== "active" || session.workspaceId !== task.workspaceId)) {
    yield `task ${task.id} is ${task.status} and its session ${session.status}`;
  }
}

function* checkSessions(view: View): Generator<Finding> {
  const owners = new Set<string>();
  for (const session of view.sessions) {
    if (session.taskId) {
      if (owners.has(session.taskId)) yield `task ${session.taskId} has two sessions`;
      owners.add(session.taskId);
    } else if (session.status === "active") {
      const workspace = view.workspaces.find(({ id }) => id === session.workspaceId);
      if (!workspace || workspace.status === "stopped") yield `session ${session.id} is active without a workspace`;
    }
    yield* checkPrompts(view, session);
    yield* checkMessages(view, session);
  }
}

function* checkPrompts({ prompts }: View, session: SessionRecord): Generator<Finding> {
  const own = prompts.filter(({ sessionId }) => sessionId === session.id);
  if (own.length > session.promptCount) yield `session ${session.id} has more prompts than it counts`;
  const ids = new Set(own.map(({ messageId }) => messageId));
  if (ids.size < own.length) yield `session ${session.id} has two prompts of one messageId`;
  const open = own.filter(({ state }) => state === "sent" || state === "running");
  if (open.length > 1) yield `session ${session.id} has ${open.length} prompts handed out at once`;
  if (open[0] && open[0].messageId !== session.handedOut) {
    yield `session ${session.id} does not know the prompt it gave`;
  }
  if (session.status === "active") return;
  const left = own.filter(({ state }) => ["queued", "sent", "running"].includes(state));
  if (left.length > 0) yield `session ${session.id} is ${session.status} and ${left.length} prompt(s) wait`;
  if (session.handedOut !== null) yield `session ${session.id} is ${session.status} and has a prompt handed out`;
}

function* checkMessages({ mirror }: View, session: SessionRecord): Generator<Finding> {
  if (session.messageCount !== session.lastSeq) {
    yield `session ${session.id} counts ${session.messageCount} of ${session.lastSeq}`;
  }
  const ids = new Set<string>();
  for (let seq = 1; seq <= session.lastSeq; seq++) {
    const message = mirror.get<{ messageId: string }>(["msg", session.id, seq]);
    if (!message) yield `session ${session.id} has no message ${seq} of ${session.lastSeq}`;
    else if (ids.has(message.messageId)) yield `session ${session.id} stores message ${message.messageId} twice`;
    else if (mirror.get(["msgId", session.id, message.messageId]) !== seq) {
      yield `message ${seq} is not found by its id`;
    } else ids.add(message.messageId);
  }
  if (mirror.has(["msg", session.id, session.lastSeq + 1])) yield `session ${session.id} has a message past its last`;
}

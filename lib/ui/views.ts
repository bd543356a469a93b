/** What the views show of the project's state, as pure selections: order, columns, what may be done. */
import type { Prompt, Session } from "../wire/session.ts";
import { LIVE_STATUSES, type Task, type TaskStatus } from "../wire/task.ts";
import type { Workspace } from "../wire/workspace.ts";
import type { ProjectState } from "./project_state.ts";

/** Newest activity first; ties by id, so that the order never jumps. */
export function sessionsByActivity(sessions: Readonly<Record<string, Session>>): Session[] {
  return Object.values(sessions).sort((a, b) => compare(b.updatedAt, a.updatedAt) || compare(b.id, a.id));
}

/** A session with its task and workspace as they are now, whichever frame came last. */
export function currentSession(state: ProjectState, session: Session): Session {
  const task = session.taskId ? state.tasks[session.taskId] : undefined;
  const workspace = session.workspaceId ? state.workspaces[session.workspaceId] : undefined;
  if (!task && !workspace) return session;
  return { ...session, task: task ?? session.task, workspace: workspace ?? session.workspace };
}

/** The checkout is gone for good; the conversation stays readable. */
export function isArchived(session: Session): boolean {
  const { workspace, status } = session;
  if (status === "active" || status === "pending" || !workspace) return false;
  return (workspace.status === "stopped" || workspace.status === "error") && !workspace.keptUntil;
}

/** The checkout is on its machine and can be looked into: while a run is live, and while it is kept. */
export function canOpen(workspace: Pick<Workspace, "status" | "keptUntil"> | null): boolean {
  if (!workspace || workspace.status === "stopping" || workspace.status === "stopped") return false;
  return workspace.status !== "error" || workspace.keptUntil !== null;
}

export type ComposerState = { show: false } | { show: true; enabled: boolean; hint: string };

/** Whether a follow-up may be written to a session, and if not now, why. */
export function composerOf(session: Session): ComposerState {
  if (session.status !== "active") return { show: false };
  if (session.turn === "finalizing") {
    return { show: true, enabled: false, hint: "The work is being committed and pushed; no more prompts are taken." };
  }
  if (!session.workspace || session.workspace.keptUntil) {
    return { show: true, enabled: false, hint: "You can write as soon as the workspace exists." };
  }
  return { show: true, enabled: true, hint: session.turn === "running" ? "Queue a follow-up…" : "Send a follow-up…" };
}

/** Prompts that are not messages of the session yet, in the order they were written. */
export function waitingPrompts(
  prompts: Readonly<Record<string, Prompt>> | undefined,
  shownIds: ReadonlySet<string>,
): Prompt[] {
  return Object.values(prompts ?? {})
    .filter((prompt) =>
      (prompt.state === "queued" || prompt.state === "sent" || prompt.state === "running") &&
      !shownIds.has(prompt.messageId)
    )
    .sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.messageId, b.messageId));
}

export interface BoardColumn {
  status: TaskStatus;
  tasks: Task[];
}

const COLUMNS: readonly TaskStatus[] = [
  "draft",
  "ready",
  "queued",
  "delegated",
  "in_progress",
  "completed",
  "failed",
  "cancelled",
];
/** Columns of states that a task only passes through: there while they hold cards. */
const PASSING: readonly TaskStatus[] = ["queued", "delegated"];

/**
 * The board: columns in the order of a task's life, most urgent first, then the newest. `minPriority` leaves out what
 * is less urgent.
 */
export function boardColumns(tasks: Readonly<Record<string, Task>>, minPriority = -Infinity): BoardColumn[] {
  const all = Object.values(tasks)
    .filter((task) => task.priority >= minPriority)
    .sort((a, b) => b.priority - a.priority || compare(b.id, a.id));
  return COLUMNS
    .map((status) => ({ status, tasks: all.filter((task) => task.status === status) }))
    .filter((column) => column.tasks.length > 0 || !PASSING.includes(column.status));
}

/** The priorities that tasks have, most urgent first: what the board can be filtered by. */
export function prioritiesOf(tasks: Readonly<Record<string, Task>>): number[] {
  return [...new Set(Object.values(tasks).map((task) => task.priority))].sort((a, b) => b - a);
}

/** The tasks that `task` waits for, as far as the page knows them. */
export function unmetOf(task: Task, tasks: Readonly<Record<string, Task>>): Task[] {
  return task.dependsOn.flatMap((id) => tasks[id] && tasks[id].status !== "completed" ? [tasks[id]] : []);
}

export function isLive(task: Pick<Task, "status">): boolean {
  return LIVE_STATUSES.includes(task.status);
}

/** Run starts a draft or ready task, and starts a failed or cancelled one again. */
export function runLabel(status: TaskStatus): "Run" | "Retry" | null {
  if (status === "draft" || status === "ready") return "Run";
  return status === "failed" || status === "cancelled" ? "Retry" : null;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

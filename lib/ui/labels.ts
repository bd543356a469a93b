/** The words for states, steps and roles that people read. One place, so that every view says the same. */
import type { MessageRole } from "../wire/message.ts";
import type { NodeStatus } from "../wire/node.ts";
import type { SessionStatus } from "../wire/session.ts";
import type { ExecutionStep, TaskEvent, TaskStatus } from "../wire/task.ts";
import type { Workspace } from "../wire/workspace.ts";

export const TASK_STATUS: Record<TaskStatus, string> = {
  draft: "Draft",
  ready: "Ready",
  queued: "Queued",
  delegated: "Starting",
  in_progress: "In progress",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const STEP: Record<ExecutionStep, string> = {
  waiting_for_node: "Waiting for a free machine",
  selecting_node: "Choosing a machine",
  provisioning_node: "Starting a machine",
  creating_workspace: "Cloning the repository",
  starting_agent: "Starting the coding agent",
  running: "Working",
  awaiting_prompt: "Waiting for your next prompt",
  finalizing: "Committing and pushing",
};

export const SESSION_STATUS: Record<SessionStatus, string> = {
  pending: "Not started",
  active: "Live",
  stopped: "Ended",
  error: "Ended with an error",
};

export const ROLE: Record<MessageRole, string> = {
  user: "You",
  assistant: "Agent",
  system: "System",
  tool: "Tool",
  thinking: "Thinking",
  plan: "Plan",
};

export const NODE_STATUS: Record<NodeStatus, string> = {
  provisioning: "Starting",
  active: "Active",
  warm: "Warm",
  destroying: "Shutting down",
  destroyed: "Gone",
  error: "Error",
};

export const WORKSPACE_STATUS: Record<Workspace["status"], string> = {
  creating: "Being made",
  ready: "Ready",
  running: "Working",
  stopping: "Being removed",
  stopped: "Gone",
  error: "Ended with an error",
};

export const ACTOR: Record<TaskEvent["actor"], string> = { user: "A person", system: "Hearth", agent: "The agent" };

export const VM_SIZE = { small: "Small", medium: "Medium", large: "Large" } as const;

/** The protocol's kinds of tools, as words; any other name is the tool's own. */
const TOOL_KIND: Readonly<Record<string, string>> = {
  read: "Read",
  edit: "Edit",
  delete: "Delete",
  move: "Move",
  search: "Search",
  execute: "Run",
  think: "Think",
  fetch: "Fetch",
  switch_mode: "Mode",
  other: "Tool",
};

export function toolLabel(tool: string | undefined): string {
  return tool ? TOOL_KIND[tool] ?? tool : "Tool";
}

/** "$0.42", "$0.0031" for small amounts, "" for none. */
export function cost(usd: number | null): string {
  if (!usd) return "";
  return `$${usd.toFixed(usd < 0.01 ? 4 : 2)}`;
}

export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

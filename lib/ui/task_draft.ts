/** The task that is being written: its fields, what is wrong with them, and the body that they become. */
import type { Options } from "../wire/account.ts";
import { DEPENDENCIES_MAX, PROMPT_MAX, TITLE_MAX } from "../wire/limits.ts";
import type { VmSize } from "../wire/common.ts";
import type { Task } from "../wire/task.ts";

export interface TaskDraft {
  /** Of a task that exists; a new one is named by its first line. */
  title: string | null;
  description: string;
  priority: string;
  agentHint: string;
  vmSize: VmSize | "";
  /** Ids of tasks that must be completed before. */
  dependsOn: readonly string[];
}

export const NEW_DRAFT: TaskDraft = {
  title: null,
  description: "",
  priority: "",
  agentHint: "",
  vmSize: "",
  dependsOn: [],
};

export function draftOf(task: Task): TaskDraft {
  return {
    title: task.title,
    description: task.description,
    priority: task.priority ? String(task.priority) : "",
    agentHint: task.agentHint ?? "",
    vmSize: task.vmSize ?? "",
    dependsOn: task.dependsOn,
  };
}

/** A draft that was kept as text, or a new one when the text is not a draft. */
export function readDraft(text: string | null): TaskDraft {
  if (!text) return NEW_DRAFT;
  try {
    const kept: unknown = JSON.parse(text);
    if (typeof kept !== "object" || kept === null) return NEW_DRAFT;
    const member = (name: string): unknown => Object.getOwnPropertyDescriptor(kept, name)?.value;
    const field = (name: string) => {
      const value = member(name);
      return typeof value === "string" ? value : "";
    };
    const size = field("vmSize");
    const others = member("dependsOn");
    return {
      title: null,
      description: field("description"),
      priority: field("priority"),
      agentHint: field("agentHint"),
      vmSize: size === "small" || size === "medium" || size === "large" ? size : "",
      dependsOn: Array.isArray(others) ? others.filter((id) => typeof id === "string") : [],
    };
  } catch {
    return NEW_DRAFT;
  }
}

export interface DraftProblem {
  field: "title" | "description" | "priority";
  message: string;
}

export function checkDraft(draft: TaskDraft): DraftProblem | null {
  const title = draft.title?.trim();
  if (title === "") return { field: "title", message: "Give the task a title." };
  if (title && title.length > TITLE_MAX) return { field: "title", message: `At most ${TITLE_MAX} characters.` };
  const length = draft.description.trim().length;
  if (length === 0) return { field: "description", message: "Describe the task first: what should be done?" };
  if (length > PROMPT_MAX) {
    const most = PROMPT_MAX.toLocaleString("en");
    return { field: "description", message: `At most ${most} characters; this has ${length.toLocaleString("en")}.` };
  }
  if (draft.priority.trim() && !/^-?\d{1,3}$|^-?1000$/.test(draft.priority.trim())) {
    return { field: "priority", message: "A whole number between -1000 and 1000." };
  }
  return null;
}

/** The body of the calls that create or change a task. Call with a draft that `checkDraft` passes. */
export function bodyOf(draft: TaskDraft) {
  return {
    ...draft.title === null ? {} : { title: draft.title.trim() },
    description: draft.description.trim(),
    priority: Number(draft.priority.trim() || "0"),
    agentHint: draft.agentHint || null,
    vmSize: draft.vmSize || null,
    dependsOn: draft.dependsOn,
  };
}

export function agentLabel(options: Options, id: string): string {
  return options.codingAgents.find((agent) => agent.id === id)?.label ?? id;
}

/** The tasks that this one may be made to wait for: such as are not over and not chosen yet, newest first. */
export function candidatesFor(draft: TaskDraft, tasks: readonly Task[], taskId: string | null): Task[] {
  if (draft.dependsOn.length >= DEPENDENCIES_MAX) return [];
  return tasks
    .filter(({ id, status }) => id !== taskId && status !== "completed" && !draft.dependsOn.includes(id))
    .sort((a, b) => a.id < b.id ? 1 : -1);
}

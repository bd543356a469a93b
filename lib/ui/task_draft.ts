/** The task that is being written: its fields, what is wrong with them, and the body that they become. */
import type { Options } from "../wire/account.ts";
import { PROMPT_MAX } from "../wire/limits.ts";
import type { VmSize } from "../wire/common.ts";
import type { Task } from "../wire/task.ts";

export interface TaskDraft {
  description: string;
  priority: string;
  agentHint: string;
  vmSize: VmSize | "";
}

export const NEW_DRAFT: TaskDraft = { description: "", priority: "", agentHint: "", vmSize: "" };

export function draftOf(task: Task): TaskDraft {
  return {
    description: task.description,
    priority: task.priority ? String(task.priority) : "",
    agentHint: task.agentHint ?? "",
    vmSize: task.vmSize ?? "",
  };
}

/** A draft that was kept as text, or a new one when the text is not a draft. */
export function readDraft(text: string | null): TaskDraft {
  if (!text) return NEW_DRAFT;
  try {
    const kept: unknown = JSON.parse(text);
    if (typeof kept !== "object" || kept === null) return NEW_DRAFT;
    const field = (name: string) => {
      const value = Object.getOwnPropertyDescriptor(kept, name)?.value;
      return typeof value === "string" ? value : "";
    };
    const size = field("vmSize");
    return {
      description: field("description"),
      priority: field("priority"),
      agentHint: field("agentHint"),
      vmSize: size === "small" || size === "medium" || size === "large" ? size : "",
    };
  } catch {
    return NEW_DRAFT;
  }
}

export interface DraftProblem {
  field: "description" | "priority";
  message: string;
}

export function checkDraft(draft: TaskDraft): DraftProblem | null {
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
    description: draft.description.trim(),
    priority: Number(draft.priority.trim() || "0"),
    agentHint: draft.agentHint || null,
    vmSize: draft.vmSize || null,
  };
}

export function agentLabel(options: Options, id: string): string {
  return options.codingAgents.find((agent) => agent.id === id)?.label ?? id;
}

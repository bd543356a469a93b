/**
 * Answers to a coding agent that asks before it acts. Options are chosen by kind, because ids differ from agent to
 * agent. In `ask` mode reading and editing inside the checkout may be allowed by the project; everything else, and
 * everything of which it is not certain where it leads, is asked. Pure.
 */
import type { PermissionOption, RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";
import type { PermissionPolicy } from "../../lib/wire/project.ts";

export type PermissionMode = "autonomous" | "ask";

/** What became of a request. */
export interface Decision {
  response: RequestPermissionResponse;
  /** For the tool's metadata: what was decided, and by whom. */
  recorded: { outcome: string; by: string };
  /** For the reader of the tool's message: why it was refused. Null where it was not. */
  refusal: string | null;
}

/** What is known of the tool call that is asked about. */
export interface Asked {
  /** In the protocol's words: `read`, `search`, `edit`, `execute` … */
  kind: string | null;
  /** Every path that the call names, with all links resolved; null: it is not certain where it leads. */
  paths: readonly (string | null)[];
  /** The checkout, with all links resolved. */
  root: string;
}

const READING = ["read", "search"];
const ALLOW = ["allow_once", "allow_always"];
const REJECT = ["reject_once", "reject_always"];

/** Whether a call goes ahead without anybody being asked. */
export function isAllowed(mode: PermissionMode, policy: PermissionPolicy, asked: Asked): boolean {
  if (mode === "autonomous") return true;
  // A call that names no path may go anywhere.
  const isInside = asked.paths.length > 0 && asked.paths.every((path) => path !== null && isWithin(asked.root, path));
  if (asked.kind !== null && READING.includes(asked.kind)) return policy.reads && isInside;
  if (asked.kind !== "edit") return false;
  // What Git runs from its folder is code: writing there is more than an edit.
  return policy.edits && isInside && !asked.paths.some((path) => isWithin(`${asked.root}/.git`, path!));
}

/** Whether `path` is `root` or lies below it. Both absolute and resolved. */
function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

/** Once, where that is offered; `cancelled` where nothing is offered that allows it. */
export function allow(options: PermissionOption[]): Decision {
  return decide(choose(options, ALLOW), { by: "policy", refusal: null });
}

/** Refused for a reason that the reader is told. */
export function reject(options: PermissionOption[], how: { by: string; refusal: string }): Decision {
  return decide(choose(options, REJECT), how);
}

/** The option that a person chose. */
export function answered(options: PermissionOption[], answer: { optionId: string; by: string }): Decision {
  const chosen = options.find((option) => option.optionId === answer.optionId);
  const refused = chosen !== undefined && REJECT.includes(chosen.kind);
  return decide(chosen, { by: answer.by, refusal: refused ? `Rejected by ${answer.by}.` : null });
}

/** The turn ends, or nobody can be asked: the protocol has an answer of its own for that. */
export function cancelled(refusal: string | null): Decision {
  return decide(undefined, { by: "policy", refusal });
}

function choose(options: PermissionOption[], kinds: readonly string[]): PermissionOption | undefined {
  return kinds.flatMap((kind) => options.filter((option) => option.kind === kind))[0];
}

function decide(chosen: PermissionOption | undefined, how: { by: string; refusal: string | null }): Decision {
  const { by, refusal } = how;
  if (!chosen) {
    return { response: { outcome: { outcome: "cancelled" } }, recorded: { outcome: "cancelled", by }, refusal };
  }
  const response: RequestPermissionResponse = { outcome: { outcome: "selected", optionId: chosen.optionId } };
  return { response, recorded: { outcome: chosen.kind, by }, refusal };
}

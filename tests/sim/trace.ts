/** What happened in a run, in lines that a person can follow: who changed what, and what went wrong on purpose. */
import type { NodeRecord } from "../../lib/store/nodes.ts";
import type { PromptRecord } from "../../lib/store/prompts.ts";
import type { SessionRecord } from "../../lib/store/sessions.ts";
import type { TaskRecord } from "../../lib/store/tasks.ts";
import type { WorkspaceRecord } from "../../lib/store/workspaces.ts";
import type { Changed } from "./mirror.ts";
import type { Names } from "./names.ts";

const LINES_MAX = 20_000;

export class Trace {
  readonly lines: string[] = [];
  readonly #names: Names;
  readonly #elapsedMs: () => number;

  constructor(names: Names, elapsedMs: () => number) {
    this.#names = names;
    this.#elapsedMs = elapsedMs;
  }

  add(who: string, what: string): void {
    if (this.lines.length >= LINES_MAX) this.lines.shift();
    const at = (this.#elapsedMs() / 1_000).toFixed(1).padStart(8);
    this.lines.push(`${at}s  ${who}: ${what}`);
  }

  /** One line for a commit, with those records that a reader follows. */
  commit(who: string, changed: Changed[], note: string): void {
    const parts = changed.flatMap((each) => describe(each, this.#names) ?? []);
    const remark = note ? ` [${note}]` : "";
    if (parts.length > 0 || note) this.add(who, `${parts.join("; ") || "commit"}${remark}`);
  }
}

function describe({ key, before, after }: Changed, names: Names): string | null {
  const [family] = key as string[];
  if (family === "due") return describeDue(key, after, names);
  if (!["task", "node", "workspace", "session", "prompt"].includes(family!)) return null;
  const id = family === "prompt" ? key.slice(1).join("/") : String(key.at(-1));
  const name = names.of(family!, id);
  if (after === undefined) return `${name} deleted`;
  const [from, to] = [before === undefined ? "" : stateOf(family!, before, names), stateOf(family!, after, names)];
  return from === to ? null : `${name} ${from && `${from} → `}${to}`;
}

function describeDue(key: Deno.KvKey, after: unknown, names: Names): string | null {
  return after === undefined ? null : `due ${String(key[2])} ${names.shorten(String(key[3])).split("/").at(-1)}`;
}

function stateOf(family: string, value: unknown, names: Names): string {
  switch (family) {
    case "task": {
      const { status, executionStep, nodeId, run } = value as TaskRecord;
      const at = nodeId ? ` on ${names.of("node", nodeId)}` : "";
      return `${status}/${run}${executionStep ? `(${executionStep})` : ""}${at}`;
    }
    case "node": {
      const { status, claims, draining, health, generation, providerRef } = value as NodeRecord;
      const marks = [draining && "draining", health !== "ok" && health, `g${generation}`, providerRef && "machine"];
      return `${status} ${claims.length} claim(s) ${marks.filter(Boolean).join(" ")}`;
    }
    case "workspace": {
      const { status, keptUntil, missed } = value as WorkspaceRecord;
      return `${status}${keptUntil === null ? "" : " kept"}${missed ? ` missed ${missed}` : ""}`;
    }
    case "session": {
      const { status, turn, handedOut, lastSeq } = value as SessionRecord;
      return `${status}/${turn}${handedOut ? " has a prompt" : ""} ${lastSeq} message(s)`;
    }
    default:
      return (value as PromptRecord).state;
  }
}

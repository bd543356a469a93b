/** The records that the rules look at, and what one commit changed of them. */
import type { EdgeConfig } from "../../../lib/config.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import type { PromptRecord } from "../../../lib/store/prompts.ts";
import type { SessionRecord } from "../../../lib/store/sessions.ts";
import type { TaskRecord } from "../../../lib/store/tasks.ts";
import type { WorkspaceRecord } from "../../../lib/store/workspaces.ts";
import type { Changed, Mirror } from "../mirror.ts";

/** What a rule finds wrong, in words. */
export type Finding = string;

export interface View {
  mirror: Mirror;
  config: EdgeConfig;
  now: number;
  tasks: TaskRecord[];
  nodes: NodeRecord[];
  workspaces: WorkspaceRecord[];
  sessions: SessionRecord[];
  prompts: PromptRecord[];
}

export function makeView(mirror: Mirror, config: EdgeConfig, now: number): View {
  return {
    mirror,
    config,
    now,
    tasks: mirror.values("task"),
    nodes: mirror.values("node"),
    workspaces: mirror.values("workspace"),
    sessions: mirror.values("session"),
    prompts: mirror.values("prompt"),
  };
}

/** The changes of one family, typed. */
export function changesOf<T>(changed: Changed[], family: string): { before?: T; after?: T; key: Deno.KvKey }[] {
  return changed.filter(({ key }) => key[0] === family) as { before?: T; after?: T; key: Deno.KvKey }[];
}

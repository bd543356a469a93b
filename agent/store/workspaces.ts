/** What the agent must remember of each workspace to carry on after a crash. No secret is in it. */
import type { z } from "zod";
import { runtime } from "../../lib/wire/workspace.ts";
import type { Database } from "./database.ts";

/** The runtime answer without credentials; keys of the agent's own may be added. */
export const runtimeFacts = runtime.omit({ credentials: true }).loose();
export type RuntimeFacts = z.infer<typeof runtimeFacts>;

export interface WorkspaceRow {
  workspaceId: string;
  run: number | null;
  facts: RuntimeFacts | null;
  phase: string;
  acpSessionId: string | null;
  branch: string | null;
  promptId: string | null;
  promptState: "none" | "handed" | "running" | "ended";
  promptText: string | null;
  resumes: number;
  /** ISO 8601; set by every write. */
  updatedAt: string;
}

export class WorkspaceRows {
  constructor(_db: Database) {}
  get(_workspaceId: string): Promise<WorkspaceRow | null> {
    throw new Error("not made");
  }
  put(_row: Omit<WorkspaceRow, "updatedAt">): Promise<void> {
    throw new Error("not made");
  }
  /** Changes the given fields. Answers false when there is no such row. */
  patch(_workspaceId: string, _change: Partial<Omit<WorkspaceRow, "workspaceId" | "updatedAt">>): Promise<boolean> {
    throw new Error("not made");
  }
  list(): Promise<WorkspaceRow[]> {
    throw new Error("not made");
  }
  remove(_workspaceId: string): Promise<void> {
    throw new Error("not made");
  }
}

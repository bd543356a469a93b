/** What the agent must remember of each workspace to carry on after a crash. No secret is in it. */
import type { Row } from "@libsql/client";
import { z } from "zod";
import { runtime } from "../../lib/wire/workspace.ts";
import type { Database } from "./database.ts";

/** The runtime answer without credentials; keys of the agent's own may be added. */
const runtimeFacts = runtime.omit({ credentials: true, gitCredential: true }).loose();
export type RuntimeFacts = z.infer<typeof runtimeFacts>;

const state = z.object({
  run: z.number().nullable(),
  facts: runtimeFacts.nullable(),
  phase: z.string(),
  acpSessionId: z.string().nullable(),
  branch: z.string().nullable(),
  promptId: z.string().nullable(),
  promptState: z.enum(["none", "handed", "running", "ended"]),
  promptText: z.string().nullable(),
  resumes: z.number(),
});
type State = z.infer<typeof state>;

export interface WorkspaceRow extends State {
  workspaceId: string;
  /** ISO 8601; set by every write. */
  updatedAt: string;
}

export class WorkspaceRows {
  #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(workspaceId: string): Promise<WorkspaceRow | null> {
    const found = await this.#db.client.execute({
      sql: "SELECT workspace_id, state, updated_at FROM workspaces WHERE workspace_id = ?",
      args: [workspaceId],
    });
    return found.rows[0] ? toWorkspaceRow(found.rows[0]) : null;
  }

  /** Writes the whole row. Credentials that come with the facts are left out. */
  put(row: Omit<WorkspaceRow, "updatedAt">): Promise<void> {
    return this.#db.exclusive(() => this.#write(row));
  }

  /** Changes the given fields. Answers false when there is no such row. */
  patch(workspaceId: string, change: Partial<Omit<WorkspaceRow, "workspaceId" | "updatedAt">>): Promise<boolean> {
    return this.#db.exclusive(async () => {
      const row = await this.get(workspaceId);
      if (!row) return false;
      await this.#write({ ...row, ...change });
      return true;
    });
  }

  async list(): Promise<WorkspaceRow[]> {
    const found = await this.#db.client.execute(
      "SELECT workspace_id, state, updated_at FROM workspaces ORDER BY workspace_id",
    );
    return found.rows.map(toWorkspaceRow);
  }

  async remove(workspaceId: string): Promise<void> {
    await this.#db.write([{ sql: "DELETE FROM workspaces WHERE workspace_id = ?", args: [workspaceId] }]);
  }

  async #write(row: Omit<WorkspaceRow, "updatedAt">): Promise<void> {
    const secrets = { credentials: undefined, gitCredential: undefined };
    const kept = state.parse(row.facts ? { ...row, facts: { ...row.facts, ...secrets } } : row);
    await this.#db.write([{
      sql: `INSERT INTO workspaces (workspace_id, state, updated_at) VALUES (?, ?, ?)
        ON CONFLICT (workspace_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`,
      args: [row.workspaceId, JSON.stringify(kept), new Date().toISOString()],
    }]);
  }
}

function toWorkspaceRow(row: Row): WorkspaceRow {
  const read = state.parse(JSON.parse(String(row.state)));
  return { workspaceId: String(row.workspace_id), ...read, updatedAt: String(row.updated_at) };
}

/**
 * Durable calls about a workspace on their way to the edge: statuses, task callbacks, turns,
 * permission requests. In order per workspace, each at least once, known by its id, so that a second delivery is
 * recognised.
 */
import type { Row } from "@libsql/client";
import { z } from "zod";
import type { Database } from "./database.ts";
import { Listeners, Waiters } from "./listeners.ts";

const reportKind = z.enum(["status", "callback", "turn", "permission"]);
export type ReportKind = z.infer<typeof reportKind>;

export interface Report {
  reportId: string;
  workspaceId: string;
  kind: ReportKind;
  /** Path on the edge, for example `/api/workspaces/…/turns`. */
  path: string;
  body: unknown;
}

export interface StoredReport extends Report {
  id: number;
}

export class Reports {
  #db: Database;
  #news = new Listeners<string>();
  #empty = new Waiters();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Resolves when the report is durable. A report that waits under the same id is left as it is. */
  async add(report: Report): Promise<void> {
    await this.#db.write([{
      sql: `INSERT INTO reports (report_id, workspace_id, kind, path, body, created_at) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (report_id) DO NOTHING`,
      args: [
        report.reportId,
        report.workspaceId,
        report.kind,
        report.path,
        JSON.stringify(report.body),
        new Date().toISOString(),
      ],
    }]);
    this.#news.call(report.workspaceId);
  }

  async oldest(workspaceId: string): Promise<StoredReport | null> {
    const found = await this.#db.client.execute({
      sql: `SELECT id, report_id, workspace_id, kind, path, body FROM reports
        WHERE workspace_id = ? ORDER BY id LIMIT 1`,
      args: [workspaceId],
    });
    return found.rows[0] ? toReport(found.rows[0]) : null;
  }

  /** Forgets a report that was answered. */
  done(id: number): Promise<void> {
    return this.#db.exclusive(async () => {
      const [deleted] = await this.#db.write([{
        sql: "DELETE FROM reports WHERE id = ? RETURNING workspace_id",
        args: [id],
      }]);
      const workspaceId = deleted!.rows[0]?.workspace_id;
      if (typeof workspaceId === "string" && !await this.#hasAny(workspaceId)) this.#empty.wake(workspaceId);
    });
  }

  async workspacesWithReports(): Promise<string[]> {
    const found = await this.#db.client.execute("SELECT DISTINCT workspace_id FROM reports");
    return found.rows.map((row) => String(row.workspace_id));
  }

  /** Calls `listener` with the workspace after a report became durable. Answers the function that ends it. */
  onReport(listener: (workspaceId: string) => void): () => void {
    return this.#news.add(listener);
  }

  /** Resolves when every report of the workspace was answered. Rejects with the signal's reason. */
  async whenEmpty(workspaceId: string, signal?: AbortSignal): Promise<void> {
    const waiting = await this.#db.exclusive(async () => ({
      until: await this.#hasAny(workspaceId) ? this.#empty.wait(workspaceId, signal) : null,
    }));
    await waiting.until;
  }

  async #hasAny(workspaceId: string): Promise<boolean> {
    const found = await this.#db.client.execute({
      sql: "SELECT 1 FROM reports WHERE workspace_id = ? LIMIT 1",
      args: [workspaceId],
    });
    return found.rows.length > 0;
  }
}

function toReport(row: Row): StoredReport {
  return {
    id: Number(row.id),
    reportId: String(row.report_id),
    workspaceId: String(row.workspace_id),
    kind: reportKind.parse(row.kind),
    path: String(row.path),
    body: JSON.parse(String(row.body)) as unknown,
  };
}

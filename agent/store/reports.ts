/** Durable calls about a workspace on their way to the edge, in order per workspace. */
import type { Database } from "./database.ts";

export type ReportKind = "status" | "callback" | "turn";

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
  constructor(_db: Database) {}
  /** Resolves when the report is durable. A report that waits under the same id is left as it is. */
  add(_report: Report): Promise<void> {
    throw new Error("not made");
  }
  oldest(_workspaceId: string): Promise<StoredReport | null> {
    throw new Error("not made");
  }
  done(_id: number): Promise<void> {
    throw new Error("not made");
  }
  workspacesWithReports(): Promise<string[]> {
    throw new Error("not made");
  }
  onReport(_listener: (workspaceId: string) => void): () => void {
    throw new Error("not made");
  }
  /** Resolves when every report of the workspace was answered. Rejects with the signal's reason. */
  whenEmpty(_workspaceId: string, _signal?: AbortSignal): Promise<void> {
    throw new Error("not made");
  }
}

/** What the edge is told about a workspace. Each call is durable before it resolves, and is known by its id. */
import { cutText } from "../../lib/bytes.ts";
import { newId } from "../../lib/ids.ts";
import { scrub } from "../../lib/log.ts";
import { ERROR_MAX } from "../../lib/wire/limits.ts";
import type { RequestPermission } from "../../lib/wire/permission_calls.ts";
import type { TaskCallback } from "../../lib/wire/task.ts";
import type { TurnReport, WorkspaceReport } from "../../lib/wire/workspace.ts";
import type { Reports } from "../store/reports.ts";

export class Tell {
  readonly #reports: Reports;
  readonly #workspaceId: string;

  constructor(reports: Reports, workspaceId: string) {
    this.#reports = reports;
    this.#workspaceId = workspaceId;
  }

  async status(body: WorkspaceReport): Promise<void> {
    const path = `/api/workspaces/${this.#workspaceId}/status`;
    await this.#reports.add({ reportId: newId(), workspaceId: this.#workspaceId, kind: "status", path, body });
  }

  /** The same event of the same prompt is told once, however often a crash repeats it. */
  async turn(body: TurnReport): Promise<void> {
    const path = `/api/workspaces/${this.#workspaceId}/turns`;
    const place = body.into === undefined ? "" : `:${body.into}`;
    const reportId = `${this.#workspaceId}:${body.promptId}:${body.event}${place}`;
    const told = body.error === undefined ? body : { ...body, error: sentence(body.error) };
    await this.#reports.add({ reportId, workspaceId: this.#workspaceId, kind: "turn", path, body: told });
  }

  /** The coding agent asks for permission. */
  async permission(body: RequestPermission): Promise<void> {
    const path = `/api/workspaces/${this.#workspaceId}/permissions`;
    const reportId = `${this.#workspaceId}:${body.requestId}:asked`;
    await this.#reports.add({ reportId, workspaceId: this.#workspaceId, kind: "permission", path, body });
  }

  /** The answer to a request is not waited for any more. */
  async permissionClosed(requestId: string, outcome: "expired" | "cancelled"): Promise<void> {
    const path = `/api/workspaces/${this.#workspaceId}/permissions/${requestId}/close`;
    const reportId = `${this.#workspaceId}:${requestId}:closed`;
    await this.#reports.add({ reportId, workspaceId: this.#workspaceId, kind: "status", path, body: { outcome } });
  }

  /** The end of a task's run. */
  async end(task: { projectId: string; taskId: string }, body: TaskCallback): Promise<void> {
    const path = `/api/projects/${task.projectId}/tasks/${task.taskId}/status/callback`;
    const reportId = `${this.#workspaceId}:end`;
    await this.#reports.add({ reportId, workspaceId: this.#workspaceId, kind: "callback", path, body });
  }
}

/** Text for a person, without secrets, within the edge's limit. */
export function sentence(text: string): string {
  return cutText(scrub(text).trim() || "It failed without a word.", ERROR_MAX);
}

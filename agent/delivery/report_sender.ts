/**
 * Sends the durable reports, in order per workspace, for ever until the edge has answered. A report is forgotten only
 * after `onAnswer` has taken its answer: after a crash in between both come again, so both ends must bear repetition.
 */
import { wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import type { Report, Reports, StoredReport } from "../store/reports.ts";
import { type EdgeClient, NetworkError } from "./edge_client.ts";
import { Latch } from "./latch.ts";
import { Patience, type PatienceConfig } from "./patience.ts";
import { type Answer, decideReport } from "./retry.ts";

export interface ReportSenderOptions {
  reports: Reports;
  edge: EdgeClient;
  config: PatienceConfig;
  /** Takes the final answer, a refusal too. While it runs, the workspace's next report waits. */
  onAnswer: (report: Report, answer: { status: number; body: unknown }) => Promise<void>;
  log: Logger;
}

export class ReportSender implements AsyncDisposable {
  #options: ReportSenderOptions;
  #lines = new Map<string, Promise<void>>();
  /** Workspaces that got a report while their line was under way. */
  #again = new Set<string>();
  #unsubscribe: () => void;
  #cut = new AbortController();
  #nudge = new Latch();

  constructor(options: ReportSenderOptions) {
    this.#options = options;
    this.#unsubscribe = options.reports.onReport((workspaceId) => this.#begin(workspaceId));
  }

  /** Takes up what waits from before. */
  async start(): Promise<void> {
    for (const workspaceId of await this.#options.reports.workspacesWithReports()) this.#begin(workspaceId);
  }

  /** Ends at once; what was not answered waits on the disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#cut.abort(new Error("the agent ends"));
    this.#nudge.open();
    await Promise.all(this.#lines.values());
  }

  #begin(workspaceId: string): void {
    if (this.#cut.signal.aborted) return;
    this.#again.add(workspaceId);
    if (this.#lines.has(workspaceId)) return;
    this.#lines.set(workspaceId, this.#run(workspaceId));
  }

  async #run(workspaceId: string): Promise<void> {
    const patience = new Patience(this.#options.config);
    while (this.#again.delete(workspaceId)) await this.#drain(workspaceId, patience);
    // In the same turn as the look above, so that no report falls between the end of this line and the next.
    this.#lines.delete(workspaceId);
  }

  async #drain(workspaceId: string, patience: Patience): Promise<void> {
    while (!this.#cut.signal.aborted) {
      let retryAfterMs: number | undefined;
      try {
        const report = await this.#options.reports.oldest(workspaceId);
        if (report === null) return;
        const outcome = await this.#send(report);
        if (outcome === "done") {
          patience.succeeded();
          continue;
        }
        retryAfterMs = outcome.afterMs;
      } catch (error) {
        this.#options.log.error("report_failed", { workspaceId, error });
      }
      if (this.#cut.signal.aborted) return;
      await wait(patience.failed(performance.now(), retryAfterMs), this.#nudge.signal);
    }
  }

  async #send(report: StoredReport): Promise<"done" | { afterMs?: number }> {
    const { reportId, workspaceId, kind } = report;
    const answer = await this.#post(report);
    const action = decideReport(answer);
    if (action.kind === "retry" || answer === "unreachable") {
      const status = answer === "unreachable" ? answer : answer.status;
      this.#options.log.warn("report_delayed", { reportId, workspaceId, kind, status });
      return { afterMs: action.kind === "retry" ? action.afterMs : undefined };
    }
    if (action.kind === "refused") {
      this.#options.log.warn("report_refused", { reportId, workspaceId, kind, status: answer.status });
    }
    await this.#options.onAnswer(report, { status: answer.status, body: answer.body });
    await this.#options.reports.done(report.id);
    return "done";
  }

  async #post(report: StoredReport): Promise<Answer> {
    const { path, body, workspaceId } = report;
    try {
      return await this.#options.edge.request({
        method: "POST",
        path,
        body,
        as: workspaceId,
        signal: this.#cut.signal,
      });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return "unreachable";
    }
  }
}

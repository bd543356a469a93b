/**
 * All workspaces of the node. A command is durable when its call resolves; the work goes on in the background, and a
 * repeated command changes nothing.
 */
import { Prewarm } from "../coding/prewarm.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Report } from "../store/reports.ts";
import { CodingAgents } from "./coding_agents.ts";
import { Mirrors } from "./mirror.ts";
import { isLeaving } from "./phase.ts";
import { type RelayPlace, Relays } from "./relays.ts";
import type { Answer } from "./permission_desk.ts";
import { Tell } from "./tell.ts";
import { Workspace } from "./workspace.ts";
import type { SteeredPrompt } from "./workspace_steering.ts";
import { checkoutOf, folderOf, removeFolder, type WorkspaceParts, type WorkspacesOptions } from "./workspace_parts.ts";
import { WorkspaceUsers } from "./workspace_users.ts";

export type { WorkspacesOptions } from "./workspace_parts.ts";

/** A workspace this young may be missing in a list of wanted ones that was made before it. */
const YOUNG_MS = 60_000;
const DISK_FULL = "The node's disk is full, so its coding agents were told to stop. Make room on it, then try again.";

export class Workspaces implements AsyncDisposable {
  readonly #parts: WorkspaceParts;
  readonly #prewarm: Prewarm;
  readonly #agents: CodingAgents;
  readonly #mirrors: Mirrors;
  readonly #relays: Relays;
  readonly #users: WorkspaceUsers;
  readonly #all = new Map<string, Workspace>();
  readonly #forgetDisk: () => void;
  #draining = false;

  constructor(options: WorkspacesOptions) {
    const { config, db, log } = options;
    const cwd = `${db.dataDir}/warm`;
    this.#prewarm = new Prewarm({ size: config.prewarmPoolSize, cwd, instanceId: db.instanceId, log });
    this.#agents = new CodingAgents({
      config,
      instanceId: db.instanceId,
      warmMarks: () => this.#prewarm.marks,
      relieve: (workspaceId) => this.#all.get(workspaceId)?.relieve(),
      monitor: options.monitor,
      log,
    });
    this.#mirrors = new Mirrors({ ...config, dataDir: db.dataDir }, log);
    this.#relays = new Relays({ ...options, instanceId: db.instanceId, find: (id) => this.#findCheckout(id) });
    this.#users = new WorkspaceUsers({
      dataDir: db.dataDir,
      isOn: config.isolateWorkspaces && Deno.uid() === 0,
      log,
    });
    this.#parts = {
      ...options,
      users: this.#users,
      relays: this.#relays,
      prewarm: this.#prewarm,
      mirrors: this.#mirrors,
      evictMirrors: () => this.#evictMirrors(),
    };
    this.#forgetDisk = db.onDiskFull(() => this.#stopTurns());
  }

  /** After a restart of the agent: ends what its last life left behind, and carries on with every workspace. */
  async resume(): Promise<void> {
    await this.#users.prepare(this.#parts.config.childEnvironment);
    await this.#agents.start();
    for (const row of await this.#parts.rows.list()) {
      if (this.#all.has(row.workspaceId)) continue;
      const workspace = this.#add(row);
      await workspace.recover();
    }
  }

  /** Begins a workspace. Repeated: no effect. */
  async start(workspaceId: string, run: number | null): Promise<void> {
    if (this.#all.has(workspaceId)) return;
    const row = {
      workspaceId,
      run,
      facts: null,
      phase: "starting",
      acpSessionId: null,
      branch: null,
      promptId: null,
      promptState: "none" as const,
      promptText: null,
      resumes: 0,
    };
    const workspace = this.#add(row);
    await this.#parts.rows.put(row);
    workspace.kick();
  }

  /** Begins the step of a workspace anew that hangs. One that was lost with the disk is not made again: its prompt may have run. */
  async beginAnew(workspaceId: string): Promise<void> {
    await this.#all.get(workspaceId)?.beginAnew();
  }

  /** Ends the processes; without `keep` the files go too, then the edge is told, then the workspace is forgotten. */
  async stop(workspaceId: string, options: { keep: boolean }): Promise<void> {
    const workspace = this.#all.get(workspaceId);
    if (workspace) return await workspace.stop(options);
    if (options.keep) return;
    // Forgotten already, or never come to us: what the edge waits for is the confirmation.
    await removeFolder(folderOf(this.#parts.db, workspaceId)).catch((error) =>
      this.#parts.log.warn("workspace.files_left", { workspaceId, reason: messageOf(error) })
    );
    await new Tell(this.#parts.reports, workspaceId).status({ status: "stopped" });
  }

  /** Hands a prompt to a workspace; an idle coding agent wakes up. */
  async sendPrompt(workspaceId: string, prompt: { messageId: string; text: string }): Promise<void> {
    await this.#all.get(workspaceId)?.sendPrompt(prompt);
  }

  /** Sends a prompt into the turn of another one, if that runs. */
  async steerPrompt(workspaceId: string, prompt: SteeredPrompt): Promise<void> {
    await this.#all.get(workspaceId)?.steerPrompt(prompt);
  }

  /** Interrupts the turn of this prompt, no other. */
  async cancelPrompt(workspaceId: string, messageId: string): Promise<void> {
    await this.#all.get(workspaceId)?.cancelPrompt(messageId);
  }

  /** Hands on what became of a permission request. */
  answerPermission(workspaceId: string, answer: { requestId: string } & Answer): void {
    this.#all.get(workspaceId)?.answerPermission(answer.requestId, answer);
  }

  /** Sends what grows in this workspace whole: somebody starts to follow it. */
  refreshLive(workspaceId: string): void {
    this.#all.get(workspaceId)?.refreshLive();
  }

  /** Dials a socket for a reader of the workspace: its terminal, or the state of its git. */
  openRelay(workspaceId: string, relayId: string): void {
    this.#relays.open(workspaceId, relayId);
  }

  /** Ends every workspace that the edge does not want any more. */
  retain(wanted: string[]): void {
    this.#stopUnless((workspace) => wanted.includes(workspace.id) || workspace.ageMs < YOUNG_MS);
  }

  /** Ends every workspace, the youngest too: the edge has given this node up, or is out of reach for good. */
  stopAll(): void {
    this.#stopUnless(() => false);
  }

  #stopUnless(isSpared: (workspace: Workspace) => boolean): void {
    for (const workspace of this.#all.values()) {
      if (isSpared(workspace)) continue;
      workspace.stop({ keep: false }).catch((error) =>
        this.#parts.log.error("workspace.not_stopped", { workspaceId: workspace.id, reason: messageOf(error) })
      );
    }
  }

  /** Takes the edge's answer to a report. It is durable when this resolves, and may come again. */
  async onReportAnswer(report: Report, answer: { status: number; body: unknown }): Promise<void> {
    await this.#all.get(report.workspaceId)?.onReportAnswer(report, answer);
  }

  snapshot(): { id: string; status: string; turn: string }[] {
    return [...this.#all.values()].map((workspace) => workspace.snapshot);
  }

  /** From now on nothing is kept warm for later tasks. Workspaces that are here go on to their end. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#prewarm[Symbol.asyncDispose]().catch((error) =>
      this.#parts.log.error("prewarm.not_ended", { reason: messageOf(error) })
    );
  }

  /** Ends every process; what was not finished is carried on by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#forgetDisk();
    const parts = [this.#relays, ...this.#all.values()];
    await Promise.all(parts.map((part) => part[Symbol.asyncDispose]()));
    await this.#prewarm[Symbol.asyncDispose]();
    await this.#agents[Symbol.asyncDispose]();
  }

  /** Whatever a coding agent still did could not be written down. */
  #stopTurns(): void {
    const { log, db } = this.#parts;
    log.critical("disk_full", { dataDir: db.dataDir });
    for (const workspace of this.#all.values()) workspace.stopTurn(DISK_FULL);
  }

  #add(row: ConstructorParameters<typeof Workspace>[0]): Workspace {
    const workspace = new Workspace(row, this.#parts, () => {
      this.#all.delete(row.workspaceId);
      this.#agents.remove(row.workspaceId);
    });
    this.#all.set(row.workspaceId, workspace);
    this.#agents.add(workspace.agent);
    return workspace;
  }

  async #findCheckout(workspaceId: string): Promise<RelayPlace | null> {
    const row = this.#all.has(workspaceId) ? await this.#parts.rows.get(workspaceId) : null;
    // Before its branch is known the checkout is not whole yet.
    if (!row?.branch || isLeaving(row.phase)) return null;
    const base = row.facts?.base;
    const { config, db } = this.#parts;
    return {
      path: checkoutOf(db, workspaceId),
      base: typeof base === "string" ? base : null,
      environment: this.#users.environmentOf(workspaceId, config.childEnvironment),
      user: await this.#users.find(workspaceId),
    };
  }

  async #evictMirrors(): Promise<void> {
    const borrowed = [...this.#all.values()].map((workspace) => workspace.repositoryUrl);
    await this.#mirrors.evict(borrowed.filter((url) => url !== null));
  }
}

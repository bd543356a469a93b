/** What a workspace works with: the agent's parts that all workspaces share, and where its own files lie and go. */
import { wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import type { MonitorOptions } from "../coding/monitor_loop.ts";
import type { Prewarm } from "../coding/prewarm.ts";
import type { AgentConfig } from "../config.ts";
import type { EdgeClient } from "../delivery/edge_client.ts";
import type { Database } from "../store/database.ts";
import type { OpenMessages } from "../store/open_messages.ts";
import type { Outbox } from "../store/outbox.ts";
import type { Reports } from "../store/reports.ts";
import type { WorkspaceRows } from "../store/workspaces.ts";
import type { Frame } from "./live_text.ts";
import type { Mirrors } from "./mirror.ts";
import type { Relays } from "./relays.ts";
import type { WorkspaceUsers } from "./workspace_users.ts";

export interface WorkspacesOptions {
  config: AgentConfig;
  db: Database;
  outbox: Outbox;
  openMessages: OpenMessages;
  reports: Reports;
  rows: WorkspaceRows;
  edge: EdgeClient;
  live: (frame: Frame) => void;
  /** How often coding agents are looked at. */
  monitor?: Pick<MonitorOptions, "memoryEveryMs" | "durationEveryMs">;
  log: Logger;
}

export interface WorkspaceParts extends WorkspacesOptions {
  mirrors: Mirrors;
  prewarm: Prewarm;
  /** Whom each workspace's processes run as. */
  users: WorkspaceUsers;
  /** Terminals of people in the workspaces. */
  relays: Relays;
  /** Mirrors that no workspace needs may go. */
  evictMirrors: () => Promise<void>;
}

/** The folder of a workspace; its name is the id, never a person's text. */
export function folderOf(db: Database, workspaceId: string): string {
  return `${db.dataDir}/workspaces/${workspaceId}`;
}

export function checkoutOf(db: Database, workspaceId: string): string {
  return `${folderOf(db, workspaceId)}/checkout`;
}

/** A git of an agent that was killed a moment ago may still write; it ends when it finds its folder or its pipe gone. */
const REMOVE_TRIES = 50;
const REMOVE_AGAIN_MS = 100;

/** Removes a folder with all that is in it, also while somebody still writes there; one that is missing is fine. */
export async function removeFolder(path: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (!isNotEmpty(error) || tries === REMOVE_TRIES) throw error;
      await wait(REMOVE_AGAIN_MS);
    }
  }
}

function isNotEmpty(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOTEMPTY";
}

/** The agent's part of a node around `Workspaces`, over a real data directory and a real HTTP edge. */
import { type AgentConfig, readAgentConfig } from "../../../agent/config.ts";
import { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import { Reporters } from "../../../agent/delivery/reporters.ts";
import { ReportSender } from "../../../agent/delivery/report_sender.ts";
import type { Frame } from "../../../agent/node/live_text.ts";
import { Workspaces, type WorkspacesOptions } from "../../../agent/node/workspaces.ts";
import { type Database, openDatabase } from "../../../agent/store/database.ts";
import { OpenMessages } from "../../../agent/store/open_messages.ts";
import { Outbox } from "../../../agent/store/outbox.ts";
import { Reports } from "../../../agent/store/reports.ts";
import { WorkspaceRows } from "../../../agent/store/workspaces.ts";
import { newId } from "../../../lib/ids.ts";
import { createLogger } from "../../../lib/log.ts";
import { SELF_COMMAND } from "../coding/harness.ts";
import { makeRepository, temporaryFolder } from "./repository.ts";

export interface NodeOptions {
  /** The most rows that the outbox holds. */
  maxRows?: number;
  /** Whether messages are delivered. */
  delivers?: boolean;
  /** Besides what the test itself was started with. */
  environment?: Record<string, string>;
  /** Beside what the environment can say. */
  config?: Partial<AgentConfig>;
  monitor?: WorkspacesOptions["monitor"];
}

export interface Node extends AsyncDisposable {
  db: Database;
  workspaces: Workspaces;
  outbox: Outbox;
  openMessages: OpenMessages;
  rows: WorkspaceRows;
  frames: Frame[];
  logged: string[];
}

/** Starts the parts as the agent does; ending them is what the end of the agent is. */
export async function startNode(
  folder: string,
  edge: { url: string; runtimes: ReadonlyMap<string, unknown> },
  options: NodeOptions = {},
): Promise<Node> {
  const config = {
    ...readAgentConfig({
      ...Deno.env.toObject(),
      ISOLATE_WORKSPACES: "0",
      ...options.environment,
      NODE_ID: newId(),
      CONTROL_PLANE_URL: edge.url,
      AGENT_DATA_DIR: `${folder}/agent`,
      GIT_ALLOW_FILE: "1",
      MSG_RETRY_INITIAL_INTERVAL_MS: "10",
      MSG_RETRY_MAX_INTERVAL_MS: "50",
    }),
    selfCommand: SELF_COMMAND,
    ...options.config,
  };
  const logged: string[] = [];
  const log = createLogger("debug", (line) => logged.push(line));
  const db = await openDatabase(config.dataDir, { ballastBytes: 4_096 });
  const client = new EdgeClient({ config, log });
  client.setTokens({ workspaceTokens: Object.fromEntries([...edge.runtimes.keys()].map((id) => [id, `token-${id}`])) });
  const outbox = new Outbox(db, { maxRows: options.maxRows ?? 10_000, maxBytes: 1e9, maxContentBytes: 204_800, log });
  const parts = {
    db,
    outbox,
    openMessages: new OpenMessages(db),
    reports: new Reports(db),
    rows: new WorkspaceRows(db),
  };
  const frames: Frame[] = [];
  const { monitor } = options;
  const live = (frame: Frame) => frames.push(frame);
  const workspaces = new Workspaces({ ...parts, config, edge: client, live, monitor, log });
  const onAnswer: Workspaces["onReportAnswer"] = (report, answer) => workspaces.onReportAnswer(report, answer);
  const sender = new ReportSender({ reports: parts.reports, edge: client, config, onAnswer, log });
  const reporters = options.delivers === false ? null : new Reporters({ outbox, edge: client, config, log });
  await workspaces.resume();
  await Promise.all([reporters?.look(), sender.start()]);
  return {
    ...parts,
    workspaces,
    frames,
    logged,
    async [Symbol.asyncDispose]() {
      await workspaces[Symbol.asyncDispose]();
      await sender[Symbol.asyncDispose]();
      await reporters?.shutdown(1_000);
      await db[Symbol.asyncDispose]();
    },
  };
}

/** What makes each workspace a user of its own, with the coding agents of this folder. */
export function isolated(programs: string): Record<string, string> {
  return { ISOLATE_WORKSPACES: "1", PREWARM_POOL_SIZE: "0", PATH: `${programs}:${Deno.env.get("PATH")}` };
}

/** A folder with a repository in it. */
export async function setUp(): Promise<AsyncDisposable & { path: string; remote: string }> {
  const folder = await temporaryFolder();
  return {
    path: folder.path,
    remote: await makeRepository(folder.path),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  };
}

/** A test that waits longer than this has failed, and says for what. */
const EVENTUALLY_MAX_MS = 60_000;

/** Resolves when `look` finds something; for what gives no event of its own. */
export async function eventually<T>(look: () => Promise<T | null | false> | T | null | false): Promise<T> {
  const deadline = performance.now() + EVENTUALLY_MAX_MS;
  while (performance.now() < deadline) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain for: ${look}`);
}

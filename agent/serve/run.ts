/**
 * `hearth-agent serve`: puts the chat engine together in an order in which nothing is reached before it can answer, and
 * takes it apart so that no process outlives it.
 */
import { basename, dirname, join } from "node:path";
import { wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import { ChatSessions } from "../coding/chat_sessions.ts";
import { Monitor, type MonitorOptions } from "../coding/monitor_loop.ts";
import { Prewarm } from "../coding/prewarm.ts";
import { ProjectFolder } from "../coding/project_folder.ts";
import { lockDirectory, makePrivateDirectory, readInstanceId } from "../store/database.ts";
import { makeApp, type ServerState } from "./app.ts";
import type { ServeConfig } from "./config.ts";
import { ENDINGS, explainFailure, RATE_LIMIT } from "./errors.ts";
import { Hub } from "./hub.ts";
import { loadPage } from "./page_files.ts";
import { SessionStore } from "./store.ts";

/** A warm process that failed for another reason than a rate limit is tried again after this. */
const RETRY_MS = 5_000;
/** Answers under way have this long when the server ends. */
const DRAIN_MAX_MS = 5_000;

export interface ServeOptions {
  /** Ends the server. */
  stop: AbortSignal;
  log: Logger;
  /** Called when the server is ready, with its address. */
  onReady?: (url: string) => void;
  /** Called when the health routes answer. */
  onListening?: (url: string) => void;
  /** How long running turns may go on when the server ends. */
  turnGraceMs?: number;
  monitor?: Pick<MonitorOptions, "memoryEveryMs" | "durationEveryMs" | "diskEveryMs" | "readDisk">;
}

/** Runs until `stop` aborts. False: no coding agent could be started. */
export async function runServe(config: ServeConfig, options: ServeOptions): Promise<boolean> {
  const { log, stop } = options;
  await using parts = new AsyncDisposableStack();
  // Beside the database, and named for it, so that two databases in one folder keep apart.
  const folder = join(dirname(config.databasePath), `${basename(config.databasePath)}.state`);
  await makePrivateDirectory(folder);
  const lock = await lockDirectory(folder);
  parts.defer(() => lock.close());
  const instanceId = readInstanceId(folder);
  const store = parts.use(await SessionStore.open(config.databasePath, log));
  const searchPath = config.childEnvironment.PATH ?? "";
  const project = parts.use(new ProjectFolder(config.projectDir, { searchPath, log }));
  const first = await recipeOf(config, project);
  const state: ServerState = { engine: null, wasWarm: false, isClosing: false };
  const app = makeApp({ apiKey: config.apiKey, maxSessions: config.maxSessions, state, log });
  const server = Deno.serve({ hostname: config.host, port: config.port, onListen: () => {} }, app.fetch);
  parts.defer(() => endServer(server));
  const url = `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${server.addr.port}`;
  options.onListening?.(url);
  const prewarm = parts.use(
    new Prewarm({
      size: config.prewarmPoolSize,
      cwd: config.projectDir,
      instanceId,
      retryAfterMs: (reason) => RATE_LIMIT.test(reason) ? config.prewarmBackoffMs : RETRY_MS,
      log,
    }),
  );
  const manager = parts.use(
    new ChatSessions({
      storage: store,
      maxSessions: config.maxSessions,
      turnGraceMs: options.turnGraceMs,
      endings: ENDINGS,
      launch: (mark, onCold) => launch({ config, prewarm, project, log }, { mark, onCold }),
      explain: explainFailure,
      instanceId,
      cwd: config.projectDir,
      log,
    }),
  );
  await manager.start();
  if (!await prewarm.start(first)) {
    log.critical("no_coding_agent", { profile: config.profile.id });
    return false;
  }
  state.wasWarm = true;
  const monitor = parts.use(
    new Monitor({
      ...options.monitor,
      sessions: manager.monitored,
      limits: limitsOf(config),
      instanceId,
      warmMarks: () => prewarm.marks,
      disk: { folder, onRoom: (hasRoom) => manager.setRoom(hasRoom) },
      log,
    }),
  );
  monitor.start();
  const hub = new Hub();
  parts.defer(manager.listen((event) => hub.deliver(event)));
  const orphanWatch = watchOrphanTurns(config, { manager, hub });
  parts.defer(() => clearInterval(orphanWatch));
  state.engine = { manager, prewarm, hub, project, page: await loadPage() };
  log.info("serving", { url, profile: config.profile.id, projectDir: config.projectDir });
  options.onReady?.(url);
  await untilAborted(stop);
  log.info("server_ending");
  state.isClosing = true;
  hub.shutDown();
  return true;
}

interface LaunchParts {
  config: ServeConfig;
  prewarm: Prewarm;
  project: ProjectFolder;
  log: Logger;
}

/** A warm process where one fits what lies on the disk now, else one that is started for this session. */
async function launch({ config, prewarm, project, log }: LaunchParts, options: { mark: string; onCold?: () => void }) {
  const recipe = await recipeOf(config, project);
  const { cwd, mcpServers } = recipe.session;
  const { session, warm } = await prewarm.take({ ...recipe, cwd, mark: options.mark, log }, options.onCold);
  return { session, source: warm ? "pre-warmed" as const : "cold-start" as const, place: { cwd, mcpServers } };
}

async function recipeOf(config: ServeConfig, project: ProjectFolder) {
  const { extensions, place } = await project.load();
  return {
    profile: config.profile,
    env: config.childEnvironment,
    limits: { turnStallTimeoutMs: config.turnStallTimeoutMs, toolStallTimeoutMs: config.toolStallTimeoutMs },
    startTimeoutMs: config.prewarmTimeoutMs,
    session: { ...place, fingerprint: extensions.fingerprint },
  };
}

function limitsOf(config: ServeConfig) {
  return {
    maxDurationMs: config.maxSessionDurationMs,
    warningPercent: config.durationWarningPercent,
    maxRssBytes: config.maxSessionRssBytes,
    idleTimeoutMs: config.sessionIdleTimeoutMs,
    idleGraceMs: config.sessionIdleGraceMs,
  };
}

/** Where it is asked for, interrupts turns that nobody has watched for so long. */
function watchOrphanTurns(config: ServeConfig, { manager, hub }: { manager: ChatSessions; hub: Hub }) {
  const limitMs = config.orphanTurnTimeoutMs;
  if (limitMs === 0) return undefined;
  const alone = new Map<string, number>();
  return setInterval(() => {
    const now = performance.now();
    for (const session of manager.monitored.live) {
      if (!session.isTurnRunning || hub.isWatched(session.id)) alone.delete(session.id);
      else if (!alone.has(session.id)) alone.set(session.id, now);
      else if (now - alone.get(session.id)! >= limitMs) session.interrupt();
    }
  }, Math.min(limitMs, 1_000));
}

/** The platform's own graceful end waits for ever for a peer that vanished while its socket was being opened. */
async function endServer(server: Deno.HttpServer): Promise<void> {
  const ended = new AbortController();
  await Promise.race([server.shutdown(), wait(DRAIN_MAX_MS, ended.signal)]);
  ended.abort();
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

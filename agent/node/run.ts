/**
 * Node mode: puts the parts together, and takes them apart in the order that loses nothing. Ends on a signal, when a
 * drained node has nothing left, or when the edge was out of reach for the node's whole lifetime.
 */
import type { Logger } from "../../lib/log.ts";
import { availableProfiles } from "../coding/installed.ts";
import { AGENT_VERSION, type AgentConfig } from "../config.ts";
import { EdgeClient } from "../delivery/edge_client.ts";
import { HandOver } from "../delivery/hand_over.ts";
import { ReportSender } from "../delivery/report_sender.ts";
import { Reporters } from "../delivery/reporters.ts";
import { DeadLetters } from "../store/dead_letters.ts";
import { type Database, openDatabase } from "../store/database.ts";
import type { Identity } from "../store/identity.ts";
import { Inbox } from "../store/inbox.ts";
import { OpenMessages } from "../store/open_messages.ts";
import { Outbox } from "../store/outbox.ts";
import { Reports } from "../store/reports.ts";
import { WorkspaceRows } from "../store/workspaces.ts";
import { Commands, type CommandTarget } from "./commands.ts";
import { enrol } from "./enrol.ts";
import { Heartbeat } from "./heartbeat.ts";
import { ControlLink } from "./link.ts";
import { Workspaces } from "./workspaces.ts";

/** How long the end may take to deliver what waits; the rest stays on the disk. */
const FLUSH_MS = 5_000;

export type EndReason = "signal" | "drained" | "edge_lost";

/** Runs until `stop` aborts or the node has to end, and says why it ended. */
export async function runNode(config: AgentConfig, log: Logger, stop: AbortSignal): Promise<EndReason> {
  await using db = await openDatabase(config.dataDir);
  log.info("agent_started", {
    version: AGENT_VERSION,
    instanceId: db.instanceId,
    projectId: config.projectId,
    chatSessionId: config.chatSessionId,
  });
  const edge = new EdgeClient({ config, log });
  const codingAgents = () => availableProfiles(config, { log });
  const identity = await enrol({ config, edge, codingAgents, log, signal: stop }).catch((error: unknown) => {
    if (stop.aborted) return null;
    throw error;
  });
  if (identity === null) return "signal";
  return await runEnrolled({ config: withEdgeLimits(config, identity), log, stop, db, edge, identity });
}

interface NodeParts {
  config: AgentConfig;
  log: Logger;
  stop: AbortSignal;
  db: Database;
  edge: EdgeClient;
  identity: Identity;
}

type Ender = (reason: EndReason) => void;

interface Running {
  workspaces: Workspaces;
  commands: Commands;
  link: ControlLink;
  heartbeat: Heartbeat;
  reporters: Reporters;
  sender: ReportSender;
  handOver: HandOver;
}

async function runEnrolled(parts: NodeParts): Promise<EndReason> {
  const end = Promise.withResolvers<EndReason>();
  parts.stop.addEventListener("abort", () => end.resolve("signal"), { once: true });
  if (parts.stop.aborted) return "signal";
  const running = compose(parts, end.resolve);
  const { workspaces, commands, link, heartbeat, reporters, sender } = running;
  await workspaces.resume();
  await Promise.all([commands.apply(), reporters.look(), sender.start()]);
  link.start();
  heartbeat.start();
  const reason = await end.promise;
  parts.log.info("agent_ending", { reason });
  await takeApart(running, reason);
  return reason;
}

function compose({ config, log, db, edge, identity }: NodeParts, end: Ender): Running {
  const outbox = new Outbox(db, {
    maxRows: config.msgOutboxMaxSize,
    maxBytes: config.msgOutboxMaxBytes,
    maxContentBytes: config.msgMaxMessageContentBytes,
    log,
  });
  const reports = new Reports(db);
  const inbox = new Inbox(db);
  const workspaces = new Workspaces({
    config,
    db,
    outbox,
    openMessages: new OpenMessages(db),
    reports,
    rows: new WorkspaceRows(db),
    edge,
    live: (frame) => void link.sendLive(frame),
    log,
  });
  let draining = false;
  const drain = () => {
    draining = true;
    workspaces.drain();
    heartbeat.poke();
  };
  const commands = new Commands({ inbox, target: commandTarget(workspaces, drain), log });
  const link = new ControlLink({
    config,
    edge,
    inbox,
    instanceId: db.instanceId,
    onCommand: () => void commands.apply().catch((error: unknown) => log.error("commands_not_read", { error })),
    onFenced: () => heartbeat.poke(),
    onRefresh: (workspaceId) => workspaces.refreshLive(workspaceId),
    log,
  });
  const deadLetters = new DeadLetters(db);
  const handOver = new HandOver({ config, deadLetters, edge, onProgress: () => heartbeat.poke(), log });
  const reporters = new Reporters({ outbox, edge, config, log });
  const heartbeat = new Heartbeat({
    config,
    intervalMs: identity.heartbeatMs,
    edge,
    outbox,
    heldLines: () => reporters.heldLines,
    inbox,
    workspaces,
    onBehind: (seq) => link.catchUp(seq),
    onAnswer: async ({ fenced, idle }) => {
      // Who leaves takes nothing along: what could not be delivered goes to the edge first.
      const handedOver = await handOver.isDone();
      if ((fenced || draining) && !handedOver) handOver.start();
      if (!idle || !handedOver || (await reports.workspacesWithReports()).length > 0) return;
      if (draining) end("drained");
      // Nothing of the time before is left, so a node that is still wanted begins anew; another one gets no tokens.
      else if (fenced && await edge.renew([])) heartbeat.poke();
    },
    onFuse: () => end("edge_lost"),
    log,
  });
  const onAnswer = workspaces.onReportAnswer.bind(workspaces);
  return {
    workspaces,
    commands,
    link,
    heartbeat,
    reporters,
    sender: new ReportSender({ reports, edge, config, onAnswer, log }),
    handOver,
  };
}

function commandTarget(workspaces: Workspaces, drain: () => void): CommandTarget {
  return {
    start: (workspaceId, run) => workspaces.start(workspaceId, run),
    beginAnew: (workspaceId) => workspaces.beginAnew(workspaceId),
    stop: (workspaceId, options) => workspaces.stop(workspaceId, options),
    sendPrompt: (workspaceId, prompt) => workspaces.sendPrompt(workspaceId, prompt),
    steerPrompt: (workspaceId, prompt) => workspaces.steerPrompt(workspaceId, prompt),
    cancelPrompt: (workspaceId, messageId) => workspaces.cancelPrompt(workspaceId, messageId),
    openRelay: (workspaceId, relayId) => workspaces.openRelay(workspaceId, relayId),
    answerPermission: (workspaceId, answer) => workspaces.answerPermission(workspaceId, answer),
    drain,
  };
}

/** No new work first, then the work itself, then the messages that it still had to say. */
async function takeApart(running: Running, reason: EndReason): Promise<void> {
  const { workspaces, commands, link, heartbeat, reporters, sender, handOver } = running;
  const flushUntil = performance.now() + FLUSH_MS;
  await Promise.all([link[Symbol.asyncDispose](), heartbeat[Symbol.asyncDispose]()]);
  await commands[Symbol.asyncDispose]();
  if (reason === "edge_lost") workspaces.stopAll();
  await Promise.all([workspaces, sender, handOver].map((part) => part[Symbol.asyncDispose]()));
  await reporters.shutdown(Math.max(0, flushUntil - performance.now()));
}

/** Of our own limits and the edge's the smaller one wins. */
function withEdgeLimits(config: AgentConfig, identity: Identity): AgentConfig {
  if (identity.limits === null) return config;
  return {
    ...config,
    msgBatchMaxSize: Math.min(config.msgBatchMaxSize, identity.limits.maxMessagesPerBatch),
    msgBatchMaxBytes: Math.min(config.msgBatchMaxBytes, identity.limits.maxBatchBytes),
  };
}

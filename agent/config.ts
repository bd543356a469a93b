/**
 * The agent's configuration in node mode: every variable with its default, read and checked once at the start; all
 * problems are told in one message. Nothing else in the agent reads the environment.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { amount, ConfigError, type Environment, flag, readEnv } from "../lib/env.ts";
import { LOG_LEVELS } from "../lib/log.ts";
import { uuid } from "../lib/wire/common.ts";
import { allowedEnvironment } from "./process/environment.ts";

export const AGENT_VERSION = "0.1.0";

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const edgeUrl = z.url({ protocol: /^https?$/, message: "must be the http(s) address of the edge" })
  .transform((text) => new URL(text))
  .refine((url) => url.protocol === "https:" || LOOPBACK_HOST.test(url.hostname), {
    message: "must be https: for an edge that is not on this machine",
  })
  .refine((url) => url.username === "" && url.password === "", { message: "must not hold a user or a password" })
  .transform((url) => url.href.replace(/\/+$/, ""));

const dataDir = z.string().default("./data/agent").transform((path) => resolve(path));
const optionalText = z.string().optional().transform((text) => text ?? null);

/** The variables, as `.env.example` lists them. */
export const agentEnvironment = z.object({
  NODE_ID: uuid.transform((id) => id.toLowerCase()),
  CONTROL_PLANE_URL: edgeUrl,
  BOOTSTRAP_TOKEN: optionalText,
  AGENT_DATA_DIR: dataDir,
  PROJECT_ID: optionalText,
  CHAT_SESSION_ID: optionalText,
  MSG_BATCH_MAX_WAIT_MS: amount(2_000),
  MSG_BATCH_MAX_SIZE: amount(50, 1),
  MSG_BATCH_MAX_BYTES: amount(65_536, 1_024),
  MSG_MAX_MESSAGE_CONTENT_BYTES: amount(204_800, 1_024),
  MSG_OUTBOX_MAX_SIZE: amount(10_000, 1),
  MSG_OUTBOX_MAX_BYTES: amount(512 * 1024 * 1024, 1_024),
  MSG_RETRY_INITIAL_INTERVAL_MS: amount(1_000, 1),
  MSG_RETRY_MAX_INTERVAL_MS: amount(30_000, 1),
  MSG_RETRY_MAX_ELAPSED_TIME_MS: amount(300_000),
  MSG_HTTP_TIMEOUT_MS: amount(10_000, 1),
  MSG_REFUSED_HOLD_MS: amount(900_000),
  MIRROR_CACHE_MAX_BYTES: amount(10 * GIB),
  HEARTH_POWEROFF: flag(false),
  NODE_HARD_LIFETIME_MS: amount(86_400_000, 1),
  TURN_STALL_TIMEOUT_MS: amount(600_000, 1),
  TOOL_STALL_TIMEOUT_MS: amount(3_600_000, 1),
  TURN_REPEATS_MAX: amount(25),
  PREWARM_POOL_SIZE: amount(1),
  MAX_SESSION_RSS_MB: amount(0),
  SESSION_IDLE_TIMEOUT_SECONDS: amount(1_800, 60),
  SESSION_IDLE_GRACE_SECONDS: amount(300),
  ISOLATE_WORKSPACES: flag(true),
  GIT_AUTHOR_NAME: z.string().default("Hearth"),
  GIT_AUTHOR_EMAIL: z.string().default("agent@hearth.invalid"),
  GIT_ALLOW_FILE: flag(false),
  LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  HEARTH_AGENT_EXECUTABLE: optionalText,
});

export type AgentConfig = ReturnType<typeof readAgentConfig>;

/** Node mode's configuration. Throws one ConfigError that names every bad variable. */
export function readAgentConfig(environment: Environment) {
  const read = readEnv(agentEnvironment, environment);
  if (read.MSG_RETRY_MAX_INTERVAL_MS < read.MSG_RETRY_INITIAL_INTERVAL_MS) {
    throw new ConfigError("MSG_RETRY_MAX_INTERVAL_MS must not be below MSG_RETRY_INITIAL_INTERVAL_MS.");
  }
  return {
    nodeId: read.NODE_ID,
    controlPlaneUrl: read.CONTROL_PLANE_URL,
    bootstrapToken: read.BOOTSTRAP_TOKEN,
    dataDir: read.AGENT_DATA_DIR,
    /** The run that caused the machine: for the log and the doctor only. A workspace's ids come with its start command. */
    projectId: read.PROJECT_ID,
    chatSessionId: read.CHAT_SESSION_ID,
    msgBatchMaxWaitMs: read.MSG_BATCH_MAX_WAIT_MS,
    msgBatchMaxSize: read.MSG_BATCH_MAX_SIZE,
    msgBatchMaxBytes: read.MSG_BATCH_MAX_BYTES,
    msgMaxMessageContentBytes: read.MSG_MAX_MESSAGE_CONTENT_BYTES,
    msgOutboxMaxSize: read.MSG_OUTBOX_MAX_SIZE,
    msgOutboxMaxBytes: read.MSG_OUTBOX_MAX_BYTES,
    msgRetryInitialIntervalMs: read.MSG_RETRY_INITIAL_INTERVAL_MS,
    msgRetryMaxIntervalMs: read.MSG_RETRY_MAX_INTERVAL_MS,
    msgRetryMaxElapsedTimeMs: read.MSG_RETRY_MAX_ELAPSED_TIME_MS,
    msgHttpTimeoutMs: read.MSG_HTTP_TIMEOUT_MS,
    msgRefusedHoldMs: read.MSG_REFUSED_HOLD_MS,
    mirrorCacheMaxBytes: read.MIRROR_CACHE_MAX_BYTES,
    hearthPoweroff: read.HEARTH_POWEROFF,
    nodeHardLifetimeMs: read.NODE_HARD_LIFETIME_MS,
    turnStallTimeoutMs: read.TURN_STALL_TIMEOUT_MS,
    toolStallTimeoutMs: read.TOOL_STALL_TIMEOUT_MS,
    turnRepeatsMax: read.TURN_REPEATS_MAX,
    prewarmPoolSize: read.PREWARM_POOL_SIZE,
    /** Null: by the machine's memory. */
    maxSessionRssBytes: read.MAX_SESSION_RSS_MB === 0 ? null : read.MAX_SESSION_RSS_MB * MIB,
    sessionIdleTimeoutMs: read.SESSION_IDLE_TIMEOUT_SECONDS * 1_000,
    sessionIdleGraceMs: read.SESSION_IDLE_GRACE_SECONDS * 1_000,
    isolateWorkspaces: read.ISOLATE_WORKSPACES,
    gitAuthorName: read.GIT_AUTHOR_NAME,
    gitAuthorEmail: read.GIT_AUTHOR_EMAIL,
    gitAllowFile: read.GIT_ALLOW_FILE,
    logLevel: read.LOG_LEVEL,
    selfCommand: selfCommand(read.HEARTH_AGENT_EXECUTABLE),
    /** What child processes may have of our own environment. */
    childEnvironment: allowedEnvironment(environment),
  };
}

/** The data directory alone: what commands need that look at it without an edge. */
export function readDataDir(environment: Environment): string {
  return readEnv(z.object({ AGENT_DATA_DIR: dataDir }), environment).AGENT_DATA_DIR;
}

/** The argv that starts this very program again: the packed file, the compiled one, or Deno with the source. */
export function selfCommand(executable: string | null): string[] {
  if (executable !== null) return [executable];
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "-A", new URL("./main.ts", import.meta.url).pathname];
}

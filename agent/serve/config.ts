/**
 * The chat engine's configuration: every variable with its default and its rule, read and checked once at the start;
 * all problems are told in one message.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { amount, type Environment, readEnv } from "../../lib/env.ts";
import { LOG_LEVELS } from "../../lib/log.ts";
import { findProfile, type Profile } from "../coding/profiles.ts";
import { selfCommand } from "../config.ts";
import { allowedEnvironment } from "../process/environment.ts";

const KEY_MAX = 256;
const optionalText = z.string().optional().transform((text) => text ?? null);

const databaseFile = z.string().default("file:data/sessions.db")
  .refine((url) => url.startsWith("file:"), { message: "must begin with file:" })
  .transform((url) => url.startsWith("file://") ? fileURLToPath(url) : resolve(url.slice("file:".length)));

/** The variables, as `.env.example` lists them. */
export const serveEnvironment = z.object({
  HEARTH_API_KEY: z.string("must be given").max(KEY_MAX).regex(/^[\x21-\x7e]+$/, "must be printable ASCII"),
  CODING_AGENT_COMMAND: optionalText,
  ANTHROPIC_API_KEY: optionalText,
  PREWARM_POOL_SIZE: amount(2, 1),
  MAX_SESSIONS: amount(10, 1),
  MAX_SESSION_DURATION_SECONDS: amount(14_400, 60),
  DURATION_WARNING_PERCENT: z.coerce.number("must be a number").int().min(1).max(99).default(90),
  MAX_SESSION_RSS_MB: amount(2_048, 512),
  SESSION_IDLE_TIMEOUT_SECONDS: amount(1_800, 60),
  SESSION_IDLE_GRACE_SECONDS: amount(300),
  ORPHAN_TURN_TIMEOUT_SECONDS: amount(0),
  PREWARM_TIMEOUT_SECONDS: amount(60, 10),
  PREWARM_BACKOFF_SECONDS: amount(300),
  TURN_STALL_TIMEOUT_MS: amount(600_000, 1),
  TOOL_STALL_TIMEOUT_MS: amount(3_600_000, 1),
  DATABASE_URL: databaseFile,
  HOST: z.string().default("127.0.0.1"),
  PORT: z.coerce.number("must be a number").int().min(0).max(65_535).default(8_000),
  LOG_LEVEL: z.string().default("INFO").transform((word) => word.toLowerCase()).pipe(z.enum(LOG_LEVELS)),
  PROJECT_DIR: z.string().default(".").transform((path) => resolve(path)),
  HEARTH_AGENT_EXECUTABLE: optionalText,
});

export type ServeConfig = ReturnType<typeof readServeConfig>;

/** The configuration of `hearth-agent serve`. Throws one ConfigError that names every bad variable. */
export function readServeConfig(environment: Environment) {
  const read = readEnv(serveEnvironment, environment);
  const childEnvironment = allowedEnvironment(environment);
  const self = { selfCommand: selfCommand(read.HEARTH_AGENT_EXECUTABLE), childEnvironment };
  return {
    apiKey: read.HEARTH_API_KEY,
    profile: chooseProfile(read, self),
    prewarmPoolSize: read.PREWARM_POOL_SIZE,
    maxSessions: read.MAX_SESSIONS,
    maxSessionDurationMs: read.MAX_SESSION_DURATION_SECONDS * 1_000,
    durationWarningPercent: read.DURATION_WARNING_PERCENT,
    maxSessionRssBytes: read.MAX_SESSION_RSS_MB * 1024 * 1024,
    sessionIdleTimeoutMs: read.SESSION_IDLE_TIMEOUT_SECONDS * 1_000,
    sessionIdleGraceMs: read.SESSION_IDLE_GRACE_SECONDS * 1_000,
    /** 0: a turn that nobody watches goes on. */
    orphanTurnTimeoutMs: read.ORPHAN_TURN_TIMEOUT_SECONDS * 1_000,
    prewarmTimeoutMs: read.PREWARM_TIMEOUT_SECONDS * 1_000,
    prewarmBackoffMs: read.PREWARM_BACKOFF_SECONDS * 1_000,
    turnStallTimeoutMs: read.TURN_STALL_TIMEOUT_MS,
    toolStallTimeoutMs: read.TOOL_STALL_TIMEOUT_MS,
    databasePath: read.DATABASE_URL,
    host: read.HOST,
    port: read.PORT,
    logLevel: read.LOG_LEVEL,
    projectDir: read.PROJECT_DIR,
    childEnvironment: read.ANTHROPIC_API_KEY === null
      ? childEnvironment
      : { ...childEnvironment, ANTHROPIC_API_KEY: read.ANTHROPIC_API_KEY },
  };
}

/** `line` without the keys of this configuration, whatever they look like. */
export function hideKeys(line: string, config: Pick<ServeConfig, "apiKey" | "childEnvironment">): string {
  const keys = [config.apiKey, config.childEnvironment.ANTHROPIC_API_KEY ?? ""].filter((key) => key !== "");
  return keys.reduce((text, key) => text.replaceAll(key, "[secret]"), line);
}

type Self = Parameters<typeof findProfile>[1];

/** The command line given, else Claude Code where there is a key for it, else the demo, which needs none. */
function chooseProfile(read: z.output<typeof serveEnvironment>, self: Self): Profile {
  const claude = findProfile("claude", self)!;
  const [command, ...args] = splitCommand(read.CODING_AGENT_COMMAND ?? "");
  if (command) {
    const env = (read.CODING_AGENT_COMMAND ?? "").includes(claude.command) ? claude.env : {};
    return { id: "custom", label: "The coding agent", command, args, env };
  }
  return read.ANTHROPIC_API_KEY === null ? findProfile("demo", self)! : claude;
}

/** Words of a command line; quotes keep spaces together. */
function splitCommand(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) =>
    double ?? single ?? plain ?? ""
  );
}

/**
 * The edge's configuration: read once at start from the environment, every value with a default, all problems in one
 * message. `.env.example` lists the same names; a test compares the two.
 */
import { z } from "zod";
import { amount, ConfigError, type Environment, flag, readEnv } from "./env.ts";
import { LOG_LEVELS } from "./log.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Agents are downloaded and secrets sent over https alone; on this machine itself http will do. */
const secureUrl = z.url({ protocol: /^https?$/ }).max(2_000).refine(
  (text) => text.startsWith("https:") || isLoopback(new URL(text).hostname),
  "must be https",
);
const GITHUB_ALLOWED = /^(org:)?[a-z\d][\w-]{0,38}([ ,]+(org:)?[a-z\d][\w-]{0,38}){0,199}$/i;
const CRON = /^[\d*\/,-]+( [\dA-Za-z*\/,#L-]+){4}$/;
const sha256 = z.string().toLowerCase().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hexadecimal");
const packages = z.string().regex(
  /^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*@\d[\w.+-]*([ ,]+(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*@\d[\w.+-]*)*$/,
  "must be npm packages with exact versions, separated by spaces",
);

export const edgeEnvironment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8000),
  HOST: z.string().default("127.0.0.1"),
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  HEARTH_DATA_DIR: z.string().default("./data"),
  HEARTH_KV: z.string().optional(),
  HEARTH_ADMIN_KEY: z.string().regex(/^hk_[\w-]{20,200}$/, "must look like hk_ and at least 20 letters").optional(),
  ENCRYPTION_KEY: z.string().optional(),
  JWT_SECRET: z.string().min(32, "must have at least 32 characters").optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  METRICS_TOKEN: z.string().min(16, "must have at least 16 characters").optional(),
  GITHUB_CLIENT_ID: z.string().regex(/^[\w.-]{1,100}$/, "must be the client id of an OAuth app").optional(),
  GITHUB_CLIENT_SECRET: z.string().min(16, "must have at least 16 characters").max(200).optional(),
  GITHUB_ALLOWED: z.string().regex(GITHUB_ALLOWED, "must be logins and org:NAME, separated by commas").optional(),
  GITHUB_URL: secureUrl.default("https://github.com"),
  GITHUB_API_URL: secureUrl.default("https://api.github.com"),
  NODE_PROVIDER: z.enum(["local", "hetzner", "manual"]).default("local"),
  LOCAL_PROVIDER_SHARED: flag(false),
  LOCAL_ALLOW_REMOTE: flag(false),
  TRUST_PROXY: flag(false),
  DEFAULT_VM_LOCATION: z.string().default("nbg1"),
  HCLOUD_URL: z.url({ protocol: /^https?$/ }).default("https://api.hetzner.cloud/v1"),
  VM_TYPE_SMALL: z.string().default("cx23"),
  VM_TYPE_MEDIUM: z.string().default("cx33"),
  VM_TYPE_LARGE: z.string().default("cx43"),
  VM_IMAGE: z.string().default("debian-13"),
  AGENT_BINARY_URL_X64: secureUrl.optional(),
  AGENT_BINARY_URL_ARM64: secureUrl.optional(),
  AGENT_BINARY_SHA256_X64: sha256.optional(),
  AGENT_BINARY_SHA256_ARM64: sha256.optional(),
  CODING_AGENT_PACKAGES: packages.default("@agentclientprotocol/claude-agent-acp@0.100.0"),
  DEFAULT_CODING_AGENT: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/).optional(),
  NODE_WARM_TIMEOUT_MS: amount(30 * MINUTE, 1_000),
  MAX_AUTO_NODE_LIFETIME_MS: amount(4 * HOUR, 1_000),
  NODE_HARD_LIFETIME_MS: amount(24 * HOUR, 1_000),
  NODE_CLEANUP_SWEEP_INTERVAL_CRON: z.string().regex(CRON, "must be a cron expression of five fields").default(
    "*/15 * * * *",
  ),
  NODE_CLEANUP_GRACE_PERIOD_MS: amount(45 * MINUTE, 1_000),
  NODE_AGENT_READY_TIMEOUT_MS: amount(15 * MINUTE, 1_000),
  HEARTBEAT_INTERVAL_MS: amount(30_000, 100),
  HEARTBEAT_STALE_MS: amount(3 * MINUTE, 1_000),
  NODE_LOST_AFTER_MS: amount(30 * MINUTE, 1_000),
  NODE_RESCUE_MS: amount(2 * HOUR),
  MAX_WORKSPACES_PER_NODE: amount(3, 1),
  MAX_NODES_PER_USER: amount(10, 1),
  TASK_QUEUE_TIMEOUT_MS: amount(HOUR, 1_000),
  WORKSPACE_READY_TIMEOUT_MS: amount(10 * MINUTE, 1_000),
  AGENT_START_TIMEOUT_MS: amount(2 * MINUTE, 1_000),
  PROMPT_WAIT_TIMEOUT_MS: amount(15 * MINUTE, 1_000),
  FINALIZE_TIMEOUT_MS: amount(10 * MINUTE, 1_000),
  TASK_MAX_RUN_MS: amount(4 * HOUR, 1_000),
  WORKSPACE_STOP_TIMEOUT_MS: amount(MINUTE, 1_000),
  KEPT_WORKSPACE_TTL_MS: amount(2 * HOUR, 1_000),
  WORKSPACE_IDLE_TIMEOUT_MS: amount(2 * HOUR, 1_000),
  PERMISSION_TIMEOUT_MS: amount(HOUR, 1_000),
  MAX_PROJECTS_PER_USER: amount(100, 1),
  MAX_TASKS_PER_PROJECT: amount(10_000, 1),
  MAX_MESSAGES_PER_SESSION: amount(100_000, 10),
  MAX_MESSAGES_PER_BATCH: z.coerce.number().int().min(1).max(100).default(100),
  MAX_MESSAGES_PAYLOAD_BYTES: z.coerce.number().int().min(1_024).max(262_144).default(262_144),
  LIVE_RECHECK_MS: amount(MINUTE, 50),
  RATE_USER_PER_SECOND: amount(40, 1),
  RATE_USER_BURST: amount(200, 1),
  RATE_NODE_PER_SECOND: amount(40, 1),
  RATE_NODE_BURST: amount(100, 1),
  RATE_ANONYMOUS_PER_SECOND: amount(5, 1),
  RATE_ANONYMOUS_BURST: amount(50, 1),
  RATE_SIGN_IN_PER_15_MIN: amount(10, 1),
  RATE_RUNS_PER_HOUR: amount(60, 1),
});

type Raw = z.output<typeof edgeEnvironment>;

/** Values as the code uses them; `publicUrl` has no slash at its end. */
export type EdgeConfig = Omit<Raw, "PUBLIC_URL" | "DEFAULT_CODING_AGENT"> & {
  DEFAULT_CODING_AGENT: string;
  publicUrl: string;
  onDeploy: boolean;
};

/** Reads and validates. Throws ConfigError with every problem. */
export function readEdgeConfig(environment: Environment): EdgeConfig {
  const raw = readEnv(edgeEnvironment, environment);
  const onDeploy = Boolean(environment.DENO_DEPLOYMENT_ID);
  // The demo needs no key, but is no reason to rent a machine.
  const DEFAULT_CODING_AGENT = raw.DEFAULT_CODING_AGENT ?? (raw.NODE_PROVIDER === "local" ? "demo" : "claude");
  const config = { ...raw, DEFAULT_CODING_AGENT, publicUrl: publicUrlOf(raw), onDeploy };
  const problems = findConflicts(config);
  if (problems.length) {
    throw new ConfigError(`The configuration cannot work:\n${problems.map((p) => `  ${p}`).join("\n")}`);
  }
  return config;
}

/** Whether `host` is a name of this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/.test(host);
}

function publicUrlOf(raw: Raw): string {
  const host = raw.HOST.includes(":") ? `[${raw.HOST}]` : raw.HOST;
  return (raw.PUBLIC_URL ?? `http://${host}:${raw.PORT}`).replace(/\/+$/, "");
}

/** The local provider runs coding agents as the edge's own user: only where one person's own machine is meant. */
function findConflicts(config: EdgeConfig): string[] {
  const problems: string[] = [];
  const local = config.NODE_PROVIDER === "local";
  if (local && config.onDeploy) {
    problems.push("NODE_PROVIDER: local runs agents as child processes, which the hosted platform cannot do");
  }
  if (local && !config.LOCAL_ALLOW_REMOTE && !isLoopback(config.HOST)) {
    problems.push(
      "NODE_PROVIDER: with local, coding agents run as your own user; listening on other addresses than loopback needs LOCAL_ALLOW_REMOTE=1",
    );
  }
  if (config.onDeploy && !config.HEARTH_ADMIN_KEY) {
    problems.push("HEARTH_ADMIN_KEY: is required on the hosted platform");
  }
  if (config.onDeploy && !config.ENCRYPTION_KEY) {
    problems.push("ENCRYPTION_KEY: is required on the hosted platform");
  }
  for (const processor of ["X64", "ARM64"] as const) {
    const given = [config[`AGENT_BINARY_URL_${processor}`], config[`AGENT_BINARY_SHA256_${processor}`]].filter(Boolean);
    if (given.length === 1) {
      problems.push(`AGENT_BINARY_URL_${processor} and AGENT_BINARY_SHA256_${processor}: go together`);
    }
  }
  problems.push(...findGithubConflicts(config));
  if (config.NODE_PROVIDER === "hetzner") problems.push(...findMachineConflicts(config));
  if (config.onDeploy && !config.JWT_SECRET) problems.push("JWT_SECRET: is required on the hosted platform");
  return problems;
}

function findGithubConflicts(config: EdgeConfig): string[] {
  const problems: string[] = [];
  if (Boolean(config.GITHUB_CLIENT_ID) !== Boolean(config.GITHUB_CLIENT_SECRET)) {
    problems.push("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET: go together");
  }
  if (!config.GITHUB_ALLOWED) return problems;
  if (!config.GITHUB_CLIENT_ID) problems.push("GITHUB_ALLOWED: needs GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET");
  // Whoever is let in is a second account, and with that nothing would run any more.
  if (config.NODE_PROVIDER === "local" && !config.LOCAL_PROVIDER_SHARED) {
    problems.push(
      "GITHUB_ALLOWED: with NODE_PROVIDER=local, everybody's coding agents run as the same user; needs LOCAL_PROVIDER_SHARED=1",
    );
  }
  return problems;
}

/** What a machine elsewhere needs to become a node. */
function findMachineConflicts(config: EdgeConfig): string[] {
  const problems: string[] = [];
  if (!config.AGENT_BINARY_URL_X64 && !config.AGENT_BINARY_URL_ARM64) {
    problems.push(
      "AGENT_BINARY_URL_X64: is required with NODE_PROVIDER=hetzner; machines download the agent from there",
    );
  }
  const { protocol, hostname } = new URL(config.publicUrl);
  if (isLoopback(hostname) && !isLoopback(new URL(config.HCLOUD_URL).hostname)) {
    problems.push("PUBLIC_URL: with NODE_PROVIDER=hetzner it must be an address that machines elsewhere can reach");
  } else if (protocol === "http:" && !isLoopback(hostname)) {
    problems.push("PUBLIC_URL: must be https, because agents elsewhere send their secrets to it");
  }
  return problems;
}

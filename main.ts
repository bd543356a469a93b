/**
 * The edge's composition root. Crons are registered first, before anything heavy, because the hosted platform looks for
 * them at the top level; then the configuration is read, everything is made once, and the server starts.
 */
import { resolve } from "node:path";
import { type CronTargets, registerCrons } from "./lib/scheduler/cron.ts";

let targets: CronTargets | null = null;
registerCrons(() => targets, Deno.env.get("NODE_CLEANUP_SWEEP_INTERVAL_CRON") || undefined);

const { ensureAdmin } = await import("./lib/auth/api_keys.ts");
const { makeSignInLink } = await import("./lib/auth/logins.ts");
const { checkLocalProvider, composeEdge } = await import("./lib/admin/compose.ts");
const { ensureSample } = await import("./lib/admin/sample.ts");
const { isLoopback, readEdgeConfig } = await import("./lib/config.ts");
const { ConfigError } = await import("./lib/env.ts");
const { createLogger } = await import("./lib/log.ts");
const { DueLoop } = await import("./lib/scheduler/loop.ts");
const { cleanUp, sweep } = await import("./lib/scheduler/sweep.ts");
const { createPageFiles } = await import("./lib/render/files.ts");
const { createApp } = await import("./routes/mod.ts");
const { listen } = await import("./routes/_listen.ts");
const { islands } = await import("./routes/_islands.ts");
const { default: fresh } = await import("./fresh.config.ts");

type EdgeConfig = ReturnType<typeof readEdgeConfig>;

const ROOT = import.meta.dirname!;
/** What local agents may have of our environment: settings meant for them, never a secret of ours. */
const AGENT_VARIABLES =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|DENO_DIR|LOG_LEVEL|MSG_\w+|TURN_STALL_TIMEOUT_MS|TOOL_STALL_TIMEOUT_MS|TURN_REPEATS_MAX|PREWARM_POOL_SIZE|MIRROR_CACHE_MAX_BYTES|GIT_AUTHOR_NAME|GIT_AUTHOR_EMAIL|GIT_SSL_CAINFO|GIT_SSL_CAPATH|SSL_CERT_\w+|XDG_(?:CONFIG|CACHE|DATA|STATE)_HOME|ANTHROPIC_BASE_URL|ANTHROPIC_MODEL|CLAUDE_CONFIG_DIR|CODEX_HOME|GOOGLE_GEMINI_BASE_URL|OPENAI_BASE_URL|OPENCODE_CONFIG|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)$/;

export interface RunningEdge extends AsyncDisposable {
  edge: import("./lib/admin/compose.ts").ComposedEdge;
  url: string;
  loop: InstanceType<typeof DueLoop>;
  admin: import("./lib/store/accounts.ts").UserRecord;
  /** The first admin's key, when it was made by this start. */
  madeKey: string | null;
}

export interface StartOptions {
  config: EdgeConfig;
  environment: Record<string, string>;
  log: import("./lib/log.ts").Logger;
  /** Rebuild the page's files whenever a source changes. */
  watch?: boolean;
}

/**
 * Starts a whole edge: store, provider, page files, scheduler, server. On one machine the page is built into the data
 * directory, so that edges of one checkout do not write over each other's files.
 */
export async function startEdge({ config, environment, log, watch }: StartOptions): Promise<RunningEdge> {
  const edge = await composeEdge({
    config,
    log,
    agentCommand: [Deno.execPath(), "run", "-A", "--quiet", `${ROOT}/agent/main.ts`],
    agentEnvironment: agentEnvironmentOf(environment),
  });
  const files = await createPageFiles({
    root: ROOT,
    config: config.onDeploy ? fresh : { ...fresh, output: resolve(config.HEARTH_DATA_DIR, "page") },
    islands: Object.keys(islands),
    watch,
    fixed: config.onDeploy,
  });
  const { admin, made } = await ensureAdmin(edge, config.HEARTH_ADMIN_KEY);
  await checkLocalProvider(edge);
  const app = createApp({ edge, manifest: files.manifest, serveStatic: files.serve, sweep: () => sweepAll(edge) });
  const server = listen(app, { port: config.PORT, hostname: config.HOST });
  const url = publicUrlOf(config, server.addr);
  config.publicUrl = url;
  if (edge.provider.id === "local") await ensureSample(edge, admin);
  if (!config.onDeploy) await edge.local.adopt(url);
  const loop = new DueLoop(edge, { queues: edge.store.queues });
  loop.start();
  targets = {
    minute: async () => {
      loop.ring();
      await sweep(edge);
    },
    cleanup: async () => {
      await cleanUp(edge);
      loop.ring();
    },
  };
  return {
    edge,
    url,
    loop,
    admin,
    madeKey: made,
    async [Symbol.asyncDispose]() {
      targets = null;
      await server[Symbol.asyncDispose]();
      await loop[Symbol.asyncDispose]();
      await edge[Symbol.asyncDispose]();
      await loop.closed();
      await files[Symbol.asyncDispose]();
    },
  };
}

async function sweepAll(edge: import("./lib/edge.ts").Edge): Promise<Record<string, number | null>> {
  return { ...await sweep(edge), ...await cleanUp(edge) };
}

/** With port 0 the system chose one: agents and links need the real one. */
function publicUrlOf(config: EdgeConfig, addr: Deno.NetAddr): string {
  if (config.PORT !== 0) return config.publicUrl;
  const url = new URL(config.publicUrl);
  if (url.port === "" || url.port === "0") url.port = String(addr.port);
  return url.href.replace(/\/+$/, "");
}

function agentEnvironmentOf(environment: Record<string, string>): Record<string, string> {
  const allowed = Object.entries(environment).filter(([name]) => AGENT_VARIABLES.test(name));
  return { ...Object.fromEntries(allowed), GIT_ALLOW_FILE: "1", ISOLATE_WORKSPACES: "0" };
}

async function greet(running: RunningEdge): Promise<void> {
  const { config } = running.edge;
  const lines = ["", `  Hearth is running at ${running.url}`, ""];
  if (running.madeKey) {
    lines.push(`  Your admin API key, shown only this once:`, `    ${running.madeKey}`, "");
  }
  if (isLoopback(config.HOST)) {
    const token = await makeSignInLink(running.edge, running.admin.id);
    lines.push(
      `  Sign in with this link; it works once, within 15 minutes:`,
      `    ${running.url}/signin/once/${token}`,
      "",
    );
  }
  say(lines.join("\n"));
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));
}

async function main(args: string[]): Promise<number> {
  if (args[0] === "build") {
    const files = await createPageFiles({ root: ROOT, config: fresh, islands: Object.keys(islands) });
    say(`Built ${Object.keys(files.manifest().files).length} files into ${fresh.output}.`);
    await files[Symbol.asyncDispose]();
    return 0;
  }
  const environment = Deno.env.toObject();
  const config = readEdgeConfig(environment);
  const log = createLogger(config.LOG_LEVEL);
  const stop = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGINT", () => stop.resolve());
  Deno.addSignalListener("SIGTERM", () => stop.resolve());
  await using running = await startEdge({ config, environment, log, watch: args[0] === "dev" });
  log.info("edge_started", { url: running.url, provider: running.edge.provider.id, queues: running.edge.store.queues });
  if (!config.onDeploy) await greet(running);
  await stop.promise;
  log.info("edge_stopping");
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof Deno.errors.AddrInUse)) throw error;
    const text = error instanceof ConfigError
      ? error.message
      : "The port is in use. Stop the other program, or set PORT to another one.";
    Deno.stderr.writeSync(new TextEncoder().encode(text + "\n"));
    Deno.exit(2);
  }
}

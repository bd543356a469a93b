/**
 * `hearth-agent`: the program on a node. Every sub-command loads only what it needs; exit codes are 0 for a good end,
 * 1 for a failure, 2 for a wrong call, 75 when another agent has the data directory, 77 when the edge refuses this
 * node, 78 for a wrong configuration.
 */
import { ConfigError } from "../lib/env.ts";
import { messageOf } from "../lib/errors.ts";
import { createLogger, scrub } from "../lib/log.ts";
import { AGENT_VERSION, readAgentConfig, readDataDir } from "./config.ts";

/** When the end takes longer than this, something hangs: what matters is on the disk already. */
const END_MAX_MS = 15_000;
/** Running turns are given 30 s, and then their processes have to end. */
const SERVE_END_MAX_MS = 60_000;

/** What stands for a node where there is none: the doctor asks nothing of it. */
const NO_NODE = { NODE_ID: "00000000-0000-7000-8000-000000000000", CONTROL_PLANE_URL: "http://127.0.0.1" };

const HELP = `hearth-agent ${AGENT_VERSION}

Usage: hearth-agent COMMAND

  serve     chat with a coding agent on this machine, in a browser (HEARTH_API_KEY is the key to it)
  node      run workspaces for an edge (configured by the environment: NODE_ID, CONTROL_PLANE_URL, …)
  doctor    check git, coding agents, disk, edge and clock, and say what to put right
  outbox    look at messages that wait here, and send refused ones again
  demo      the demo coding agent: speaks ACP on standard input and output
  version   print the version
`;

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Runs one sub-command and answers its exit code. */
export async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  try {
    switch (command) {
      case "node":
        return await runNodeCommand();
      case "serve":
        return await runServeCommand();
      case "demo": {
        const { runDemo } = await import("./coding/demo.ts");
        await runDemo();
        return 0;
      }
      case "doctor":
        return await runDoctor();
      case "outbox": {
        const { runOutboxCommand } = await import("./outbox_command.ts");
        const { exitCode, output } = await runOutboxCommand(readDataDir(Deno.env.toObject()), rest);
        print(output, exitCode === 0 ? Deno.stdout : Deno.stderr);
        return exitCode;
      }
      case "version":
        print(`${AGENT_VERSION}\n`);
        return 0;
      case "help":
        print(HELP);
        return 0;
      default:
        print(HELP, Deno.stderr);
        return 2;
    }
  } catch (error) {
    print(`hearth-agent: ${scrub(messageOf(error))}\n`, Deno.stderr);
    return exitCodeOf(error);
  }
}

async function runNodeCommand(): Promise<number> {
  const config = readAgentConfig(Deno.env.toObject());
  const log = createLogger(config.logLevel).with({ nodeId: config.nodeId });
  return await untilSignal(END_MAX_MS, async (stop) => {
    const { runNode } = await import("./node/run.ts");
    const reason = await runNode(config, log, stop);
    log.info("agent_ended", { reason });
    if (reason === "edge_lost" && config.hearthPoweroff) await powerOff();
    return 0;
  });
}

async function runServeCommand(): Promise<number> {
  const { hideKeys, readServeConfig } = await import("./serve/config.ts");
  const config = readServeConfig(Deno.env.toObject());
  const log = createLogger(config.logLevel, (line) => print(`${hideKeys(line, config)}\n`, Deno.stderr));
  return await untilSignal(SERVE_END_MAX_MS, async (stop) => {
    const { runServe } = await import("./serve/run.ts");
    const onReady = (url: string) => print(`Open ${url} and sign in with HEARTH_API_KEY.\n`);
    return await runServe(config, { stop, log, onReady }) ? 0 : 1;
  });
}

/** Runs `work` with a signal that aborts on SIGTERM and SIGINT; `limitMs` later the program ends in any case. */
async function untilSignal(limitMs: number, work: (stop: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  let guard: ReturnType<typeof setTimeout> | undefined;
  const onSignal = () => {
    stop.abort(new Error("the agent was told to end"));
    guard ??= setTimeout(() => Deno.exit(0), limitMs);
  };
  const signals = ["SIGTERM", "SIGINT"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    clearTimeout(guard);
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
}

async function runDoctor(): Promise<number> {
  const { describeFindings, examine, examineMachine } = await import("./doctor.ts");
  const environment = Deno.env.toObject();
  const isNode = environment.NODE_ID || environment.CONTROL_PLANE_URL;
  const findings = isNode
    ? await examine(readAgentConfig(environment))
    : await examineMachine(readAgentConfig({ ...NO_NODE, ...environment }));
  print(describeFindings(findings));
  return findings.every((finding) => finding.ok) ? 0 : 1;
}

/** Only where the machine was made for this agent alone. */
async function powerOff(): Promise<void> {
  await new Deno.Command("systemctl", { args: ["poweroff"] }).output();
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return 78;
  const name = error instanceof Error ? error.name : "";
  return name === "DataDirectoryInUse" ? 75 : name === "EnrolmentRefused" ? 77 : 1;
}

function print(text: string, to: { writeSync(bytes: Uint8Array): number } = Deno.stdout): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

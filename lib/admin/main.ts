/**
 * `deno task admin COMMAND`: manages users, keys, nodes and tasks on the store of an edge, whether it runs or not.
 * Exit codes: 0 done, 1 refused or failed, 2 a wrong call, 78 a wrong configuration.
 */
import { readEdgeConfig } from "../config.ts";
import { ConfigError } from "../env.ts";
import { AppError, messageOf } from "../errors.ts";
import { scrub } from "../log.ts";
import { makeKey, makeLink } from "./access.ts";
import { type CommandCall, type CommandResult, printable, Refusal, UsageError } from "./command.ts";
import { destroyNodeCommand, drainNodeCommand, listNodesCommand } from "./nodes.ts";
import { openForCommand } from "./open.ts";
import { writeOpenApi } from "./openapi_file.ts";
import { reapCommand, reconcileCommand } from "./servers.ts";
import { resealCommand } from "./reseal.ts";
import { runSweepCommand } from "./sweep.ts";
import { cancelTaskCommand, listTasksCommand, retryTaskCommand } from "./tasks.ts";
import { addUser, disableUser, enableUser, listUsersCommand, setGithub } from "./users.ts";

const HELP = `Usage: deno task admin COMMAND

  users list                     who may sign in
  users add LOGIN [--admin]      add a user; --github NAME: who they are at GitHub
  users disable LOGIN            end a user's access; nothing of theirs is deleted
  users enable LOGIN             give it back
  users github LOGIN --name NAME let them sign in at GitHub as NAME; --none: not any more
  keys make LOGIN                make an API key and print it, this once
  signin-link [LOGIN]            print a link that signs in once, within 15 minutes (default: the first admin)
  nodes list                     machines that exist
  nodes drain ID                 no new work; destroyed when its last workspace is gone
  nodes destroy ID [--force]     destroy a machine; --force fails the tasks on it first
  tasks list [--project ID]      runs under way, or all tasks of a project
  tasks cancel ID                cancel a run; its workspace is kept for a while
  reconcile [--dry-run]          compare the providers' servers with the records, as the sweep does
  reap [--yes]                   list servers that no record knows or that are to go; --yes deletes them now
  tasks retry ID                 start a failed or cancelled task again
  sweep run                      let the Hearth that runs compare what is wanted with what is, now
  reseal                         seal stored secrets anew with the first key of ENCRYPTION_KEY
  openapi                        write docs/openapi.json
  help                           this text

Lists take --json. The commands work on the data of the Hearth that the environment describes (HEARTH_DATA_DIR,
HEARTH_KV), also while it runs; machines are removed by the Hearth that runs.
`;

interface Command {
  run: (call: CommandCall) => Promise<CommandResult>;
  /** Options that it takes, and whether a value follows. */
  options?: Record<string, "value" | "flag">;
  /** It takes no words. */
  plain?: boolean;
}

const TRIES_MAX = 3;

const LIST: Pick<Command, "options" | "plain"> = { options: { json: "flag" }, plain: true };

const COMMANDS: Record<string, Command> = {
  "reconcile": { run: reconcileCommand, options: { json: "flag", "dry-run": "flag" }, plain: true },
  "reap": { run: reapCommand, options: { json: "flag", yes: "flag" }, plain: true },
  "reseal": { run: resealCommand, plain: true },
  "users list": { run: listUsersCommand, ...LIST },
  "users add": { run: addUser, options: { admin: "flag", github: "value" } },
  "users disable": { run: disableUser },
  "users enable": { run: enableUser },
  "users github": { run: setGithub, options: { name: "value", none: "flag" } },
  "keys make": { run: makeKey },
  "signin-link": { run: makeLink },
  "nodes list": { run: listNodesCommand, ...LIST },
  "nodes drain": { run: drainNodeCommand },
  "nodes destroy": { run: destroyNodeCommand, options: { force: "flag" } },
  "tasks list": { run: listTasksCommand, options: { json: "flag", project: "value" }, plain: true },
  "tasks cancel": { run: cancelTaskCommand },
  "tasks retry": { run: retryTaskCommand },
  "sweep run": { run: runSweepCommand, ...LIST },
};

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Runs one command and answers its exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    const { text, note, failed = false } = await run(args);
    if (text !== "") print(`${text}\n`);
    if (note) print(`${note}\n`, Deno.stderr);
    return failed ? 1 : 0;
  } catch (error) {
    const usage = error instanceof UsageError ? "\n`deno task admin help` lists the commands." : "";
    print(`${scrub(describe(error))}${usage}\n`, Deno.stderr);
    return error instanceof UsageError ? 2 : error instanceof ConfigError ? 78 : 1;
  }
}

async function run(args: string[]): Promise<CommandResult> {
  if (args.length === 0) throw new UsageError("Name a command.");
  if (["help", "--help", "-h"].includes(args[0]!)) return { text: HELP.trimEnd() };
  if (args[0] === "openapi") {
    if (args.length > 1) throw new UsageError("openapi takes nothing after it.");
    return await writeOpenApi();
  }
  const { command, rest } = findCommand(args);
  const { words, options } = readArguments(command, rest);
  await using edge = await openForCommand(readEdgeConfig(Deno.env.toObject()));
  return await runPatiently(command, { edge, words, options });
}

/** A busy store has applied nothing, or at worst what giving the command again finds done: so it is given again. */
async function runPatiently(command: Command, call: CommandCall): Promise<CommandResult> {
  for (let tries = 1;; tries++) {
    try {
      return await command.run(call);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "store_busy" || tries === TRIES_MAX) throw error;
    }
  }
}

function findCommand(args: string[]): { command: Command; rest: string[] } {
  for (const length of [2, 1]) {
    const name = args.slice(0, length).join(" ");
    if (Object.hasOwn(COMMANDS, name)) return { command: COMMANDS[name]!, rest: args.slice(length) };
  }
  throw new UsageError(`There is no command "${printable(args.slice(0, 2).join(" "))}".`);
}

function readArguments(command: Command, args: string[]): Pick<CommandCall, "words" | "options"> {
  const [words, options] = [[] as string[], new Map<string, string>()];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (!arg.startsWith("-")) words.push(arg);
    else {
      const [name = "", given] = arg.replace(/^--/, "").split("=", 2);
      const kind = Object.hasOwn(command.options ?? {}, name) ? command.options![name] : undefined;
      const value = kind === "value" ? given ?? args[++at] : given;
      if (!kind || (kind === "flag") !== (value === undefined)) throw wrongOption(arg, kind);
      options.set(name, value ?? "");
    }
  }
  if (command.plain && words.length > 0) throw new UsageError(`"${printable(words[0]!)}" is one word too many.`);
  return { words, options };
}

function wrongOption(arg: string, kind: "value" | "flag" | undefined): UsageError {
  const name = printable(arg);
  if (kind === undefined) return new UsageError(`This command does not know ${name}.`);
  return new UsageError(kind === "value" ? `${name} needs a value.` : `${name} takes no value.`);
}

/** Expected refusals in their own words; anything else with what happened, for a person to pass on. */
function describe(error: unknown): string {
  const isExpected = [UsageError, Refusal, ConfigError, AppError].some((kind) => error instanceof kind);
  return isExpected ? messageOf(error) : `The command failed: ${messageOf(error)}`;
}

function print(text: string, to: { writeSync(bytes: Uint8Array): number } = Deno.stdout): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

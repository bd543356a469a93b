/**
 * Runs git: with nothing of a user's or the system's configuration, no hooks, no prompts, only the protocols named,
 * a time limit, and an end to all it started. Its last lines, without secrets, are the reason when it fails.
 */
import { wait } from "../../lib/backoff.ts";
import { scrub } from "../../lib/log.ts";
import type { GitCredential } from "../../lib/wire/credential.ts";
import { LastLines } from "../coding/last_lines.ts";
import { type Child, killGroup, type ProcessUser, spawnChild } from "../process/spawn.ts";

const OUTPUT_MAX_CHARS = 16 * 1024 * 1024;
/** A connection that ssh keeps open for later calls holds standard error: it is not waited for. */
const LAST_LINES_WAIT_MS = 500;

export interface GitOptions {
  cwd: string;
  /** What children may have of our environment. */
  environment: Record<string, string>;
  /** Value of GIT_ALLOW_PROTOCOL: `https:ssh`, or `file` for what stays on this machine. */
  protocols: string;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Output beyond this is not wanted: what came is given, and git is ended. Without it more than 16 Mi is a fault. */
  maxChars?: number;
  /** Told to git when it asks for exactly this host over https. Never together with a folder of a coding agent. */
  credential?: GitCredential | null;
  /** Whom it runs as, in a folder that is not ours; never with a credential. */
  user?: ProcessUser;
}

export class GitError extends Error {
  override name = "GitError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Standard output of `git <args>`, trimmed at the end. Throws a GitError with git's last lines. */
export async function git(args: string[], options: GitOptions): Promise<string> {
  const { process } = await start(args, options);
  let why: string | null = null;
  const end = (reason: string) => {
    why ??= reason;
    killGroup(process.pid);
  };
  const timer = setTimeout(
    () => end(`did not end within ${Math.round(options.timeoutMs / 1_000)} s`),
    options.timeoutMs,
  );
  const onAbort = () => end("was stopped");
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort);
  await using lastLines = new LastLines(process.stderr);
  try {
    const onTooMuch = () => end("said too much");
    const [stdout, status] = await Promise.all([readAll(process.stdout, { ...options, onTooMuch }), process.status]);
    await settle(lastLines.whenEnded());
    if (options.maxChars !== undefined && stdout.length > options.maxChars) return stdout;
    if (why !== null) throw new GitError(`git ${args[0]} ${why}.`, status.code);
    if (!status.success) throw new GitError(explain(args[0] ?? "", lastLines.text), status.code);
    return stdout.trimEnd();
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * A secret goes through a pipe that only this git and its helpers have: it is in no argument, no file and no variable.
 * Their standard input is taken, so the pipe is moved to where nothing but our helper looks.
 */
async function start(args: string[], options: GitOptions): Promise<Child> {
  const { cwd, credential } = options;
  const env = gitEnvironment(options);
  if (!credential) {
    return await spawnChild("git", { args: [...SETTINGS, ...args], cwd, env, user: options.user, stdin: "null" });
  }
  const helper = `credential.https://${credential.host}.helper=${HELPER}`;
  const child = await spawnChild("sh", {
    args: ["-c", 'exec 3<&0 </dev/null; exec git "$@"', "sh", ...SETTINGS, "-c", helper, ...args],
    cwd,
    env,
    stdin: "piped",
  });
  await hand(child.process.stdin, `username=${credential.username}\npassword=${credential.password}\n`);
  return child;
}

/** Git itself asks it for the host in its name and for no other; it only ever answers, and keeps nothing. */
const HELPER = '!f() { test "$1" = get && cat <&3; }; f';

async function hand(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  // A git that ended at once has closed it; how it ended is told by its exit.
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

/** Whether the command ended with success; any other end than a plain "no" (exit code 1) is thrown. */
export async function gitSays(args: string[], options: GitOptions): Promise<boolean> {
  try {
    await git(args, options);
    return true;
  } catch (error) {
    if (error instanceof GitError && error.exitCode === 1) return false;
    throw error;
  }
}

/**
 * A checkout belongs to a coding agent, which may have planted hooks, a file watcher or a helper in its configuration.
 * What is given on the command line wins over it.
 */
const SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "commit.gpgSign=false",
  "push.gpgSign=false",
  "submodule.recurse=false",
  "credential.helper=",
].flatMap((setting) => ["-c", setting]);

function gitEnvironment({ environment, protocols }: GitOptions): Record<string, string> {
  return {
    ...environment,
    LC_ALL: "C",
    GIT_ALLOW_PROTOCOL: protocols,
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
  };
}

function explain(command: string, lastLines: string): string {
  const lines = lastLines.split("\n").filter((line) => !line.startsWith("hint:"));
  return scrub(lines.join("\n")) || `git ${command} failed without a word.`;
}

async function readAll(
  stream: ReadableStream<Uint8Array>,
  { maxChars = OUTPUT_MAX_CHARS, onTooMuch }: { maxChars?: number; onTooMuch: () => void },
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    if (text.length > maxChars) onTooMuch();
    else text += decoder.decode(bytes, { stream: true });
  }
  return text;
}

async function settle(ended: Promise<void>): Promise<void> {
  const enough = new AbortController();
  await Promise.race([ended, wait(LAST_LINES_WAIT_MS, enough.signal)]);
  enough.abort();
}

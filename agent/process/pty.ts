/**
 * A shell behind a real terminal device. The runtime can make none itself, so `script` of util-linux (a part of every
 * Debian) holds the device and copies between it and two pipes; `stty` sets its size. The pipe is read only when the
 * output is wanted: a program that floods waits. Ending it ends everything that was started in it.
 */
import { endProcesses } from "../../lib/end_processes.ts";
import { LastLines } from "../coding/last_lines.ts";
import type { TerminalSize } from "../../lib/wire/relay.ts";
import { type Child, type ProcessUser, spawnChild } from "./spawn.ts";

const START_MAX_MS = 10_000;
/** The first line names the device; more than this without one is not our `script`. */
const FIRST_LINE_MAX_BYTES = 4_096;
/** Shells at a prompt ignore a polite request; they hear that their terminal is gone. */
const GRACE_MS = 1_000;

/** Tells where the device is, then becomes the shell; the names are ours and hold nothing to be quoted. */
const BEGIN = 'stty sane rows "$HEARTH_ROWS" cols "$HEARTH_COLS" 2>/dev/null; tty; ' +
  'export SHELL="$HEARTH_SHELL"; unset HEARTH_SHELL HEARTH_ROWS HEARTH_COLS; exec "$SHELL"';

export interface PtyOptions {
  cwd: string;
  /** What children may have of our environment. */
  environment: Record<string, string>;
  /** By which every process of this terminal is found again; no other terminal has the same. */
  mark: string;
  /** Whom the shell runs as, where it is not us. */
  user?: ProcessUser;
  size: TerminalSize;
}

export class Pty implements AsyncDisposable {
  readonly #child: Child;
  readonly #mark: string;
  readonly #environment: Record<string, string>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #errors: LastLines;
  #device = "";
  /** What was read beyond the first line. */
  #early: Uint8Array = new Uint8Array();
  #resizing: Promise<void> = Promise.resolve();
  #size: TerminalSize;
  #ending: Promise<void> | null = null;

  private constructor(child: Child, options: PtyOptions) {
    this.#child = child;
    this.#mark = options.mark;
    this.#environment = options.environment;
    this.#size = options.size;
    this.#reader = child.process.stdout.getReader();
    this.#writer = child.process.stdin.getWriter();
    this.#errors = new LastLines(child.process.stderr);
  }

  /** Starts the person's shell in `cwd`. Throws an Error with a sentence for a person. */
  static async start(options: PtyOptions): Promise<Pty> {
    const { environment, mark, user, size, cwd } = options;
    const env = {
      LANG: "C.UTF-8",
      ...environment,
      TERM: "xterm-256color",
      COLORTERM: "truecolor",
      // A prompt shows the last part of the folder, not the agent's own way to it.
      PROMPT_DIRTRIM: "1",
      // `script` runs its command by this one; the person's own is in the other.
      SHELL: "/bin/sh",
      HEARTH_SHELL: await shellOf(environment),
      HEARTH_ROWS: String(size.rows),
      HEARTH_COLS: String(size.cols),
    };
    const child = await spawnChild("script", { args: ["-qefc", BEGIN, "/dev/null"], cwd, env, mark, user }).catch(
      (error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        throw new Error(
          "This machine has no terminals: the program `script` is missing. Install it there, on Debian with: " +
            "apt-get install bsdutils",
        );
      },
    );
    const pty = new Pty(child, options);
    try {
      await pty.#begin();
      return pty;
    } catch (error) {
      await pty[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The next bytes of output; null when the shell has ended and everything was read. */
  async read(): Promise<Uint8Array | null> {
    if (this.#early.length > 0) {
      const early = this.#early;
      this.#early = new Uint8Array();
      return early;
    }
    try {
      return (await this.#reader.read()).value ?? null;
    } catch {
      // Ended in the middle of a read.
      return null;
    }
  }

  /** Types. Resolves when the terminal has taken it; what a terminal that has ended is sent is dropped. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes).catch(() => {});
  }

  /** Sets the size; of several at once the last one counts. */
  resize(size: TerminalSize): Promise<void> {
    this.#size = size;
    return this.#resizing = this.#resizing.then(async () => {
      if (this.#size !== size || this.#ending) return;
      const args = ["-F", this.#device, "rows", String(size.rows), "cols", String(size.cols)];
      const env = { PATH: this.#environment.PATH ?? "/usr/bin:/bin" };
      await new Deno.Command("stty", { args, clearEnv: true, env, stdin: "null", stdout: "null", stderr: "null" })
        .output().catch(() => {});
    });
  }

  /** How the shell ended; null: by a signal. */
  async exitCode(): Promise<number | null> {
    const { code, signal } = await this.#child.process.status;
    return signal ? null : code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#ending ??= this.#end());
  }

  async #begin(): Promise<void> {
    const timer = setTimeout(() => void this.#reader.cancel().catch(() => {}), START_MAX_MS);
    let seen = new Uint8Array();
    try {
      while (seen.length < FIRST_LINE_MAX_BYTES) {
        const { value } = await this.#reader.read();
        if (!value) break;
        seen = concat(seen, value);
        const end = seen.indexOf(10);
        if (end < 0) continue;
        const device = /^(\/dev\/[\w/]+)\r?$/.exec(new TextDecoder().decode(seen.subarray(0, end)));
        if (!device) break;
        this.#device = device[1]!;
        this.#early = seen.subarray(end + 1);
        return;
      }
    } finally {
      clearTimeout(timer);
    }
    const why = this.#errors.text || new TextDecoder().decode(seen).trim().slice(0, 200);
    throw new Error(`The machine could not open a terminal${why ? `: ${why}` : "."}`);
  }

  async #end(): Promise<void> {
    await endProcesses(this.#mark, { leader: this.#child.leader, graceMs: GRACE_MS });
    await this.#writer.abort().catch(() => {});
    await this.#reader.cancel().catch(() => {});
    await this.#errors[Symbol.asyncDispose]();
    await this.#child.process.status;
    await this.#resizing;
  }
}

async function shellOf(environment: Record<string, string>): Promise<string> {
  for (const path of [environment.SHELL, "/bin/bash"]) {
    if (path?.startsWith("/") && await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return "/bin/sh";
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

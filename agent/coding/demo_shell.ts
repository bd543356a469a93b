/**
 * A command in a real shell, in a process group of its own: when the turn is cancelled, all of the group ends. The
 * output is the newest part, standard output and error together as they come.
 */
import { killGroup } from "../process/spawn.ts";

const OUTPUT_MAX_CHARS = 64 * 1024;
/** How often growing output is shown. */
const SHOW_EVERY_MS = 100;
/** After the command ended, for output that is on its way. */
const PIPES_WAIT_MS = 200;

export interface ShellOptions {
  cwd: string;
  signal: AbortSignal;
  onOutput: (output: string) => Promise<void>;
}

export interface ShellResult {
  output: string;
  exitCode: number;
}

/** Runs `command` with `sh -c` and waits for its end. Never throws because of the command. */
export async function runShell(command: string, options: ShellOptions): Promise<ShellResult> {
  const child = new Deno.Command("sh", {
    args: ["-c", command],
    cwd: options.cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const kill = () => killGroup(child.pid);
  options.signal.addEventListener("abort", kill);
  if (options.signal.aborted) kill();
  const collected = { text: "" };
  const stopShowing = showWhile(collected, options);
  try {
    const reading = Promise.all([collect(child.stdout, collected), collect(child.stderr, collected)]);
    const { code } = await child.status;
    await settleWithin(reading, PIPES_WAIT_MS);
    return { output: collected.text.trimEnd(), exitCode: code };
  } finally {
    stopShowing();
    options.signal.removeEventListener("abort", kill);
  }
}

interface Collected {
  text: string;
}

async function collect(stream: ReadableStream<Uint8Array>, collected: Collected): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    collected.text = (collected.text + decoder.decode(bytes, { stream: true })).slice(-OUTPUT_MAX_CHARS);
  }
}

/** Shows the output whenever it has grown. Answers the function that ends it. */
function showWhile(collected: Collected, options: ShellOptions): () => void {
  let shown = "";
  const timer = setInterval(() => {
    if (collected.text === shown) return;
    shown = collected.text;
    void options.onOutput(shown);
  }, SHOW_EVERY_MS);
  return () => clearInterval(timer);
}

/** A command may leave a daemon behind that keeps the pipes open: that is not waited for. */
async function settleWithin(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/**
 * `deno task test [paths] [--filter name]`: runs the suite, or what the arguments name, with all that it needs from
 * the machine. The last line is always `N passed, N failed`, and the exit code is 0 only when at least one test ran
 * and none failed.
 */
import { provideTools } from "./tooling/provide.ts";
import { readSummary, type Summary } from "./tooling/summary.ts";

/** The closing line is looked for in the last characters of the output only. */
const TAIL_MAX = 20_000;

if (import.meta.main) Deno.exit(await runSuite(Deno.args));

async function runSuite(args: string[]): Promise<number> {
  const isWhole = args.every((arg) => arg.startsWith("-"));
  if (isWhole) await provideTools(say);
  const { tail, code } = await runDenoTest([...args, ...isWhole ? ["--no-check"] : []]);
  const summary = readSummary(tail) ?? { passed: 0, failed: 1, ignored: 0 };
  const exitCode = judge(summary, code);
  if (summary.ignored > 0) say(`${summary.ignored} skipped`);
  say(`${summary.passed} passed, ${summary.failed} failed`);
  return exitCode;
}

/** A suite in which nothing ran has not passed. */
function judge(summary: Summary, code: number): number {
  if (summary.passed + summary.failed === 0) say("No test ran.");
  return code === 0 && summary.failed === 0 && summary.passed > 0 ? 0 : code || 1;
}

/**
 * The whole suite runs unchecked, because checking every file is one of its tests: so a wrong type is one failure
 * among the results instead of the end of the run. Deno's own checks stay on when single files are run.
 */
async function runDenoTest(args: string[]): Promise<{ tail: string; code: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let tail = "";
  for await (const chunk of child.stdout) {
    await writeAll(chunk);
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-TAIL_MAX);
  }
  return { tail, code: (await child.status).code };
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/**
 * `deno task test [paths] [--filter name]`: runs the suite, or what the arguments name, with all that it needs from
 * the machine. The last line is always `N passed, N failed`, and the exit code is 0 only when at least one test ran
 * and none failed.
 */
import { provideTools } from "./tooling/provide.ts";
import { readFailedFiles, readSummary, type Summary } from "./tooling/summary.ts";

/** The closing line is looked for in the last characters of the output only. */
const TAIL_MAX = 20_000;
/** More failures than these are no accident of a busy machine. */
const SECOND_LOOK_MAX = 3;

interface Outcome {
  summary: Summary;
  failedFiles: string[];
  code: number;
}

if (import.meta.main) Deno.exit(await runSuite(Deno.args));

async function runSuite(args: string[]): Promise<number> {
  const isWhole = args.every((arg) => arg.startsWith("-"));
  if (isWhole) await provideTools(say);
  const first = await runDenoTest([...args, ...isWhole ? ["--no-check"] : []]);
  const { summary, code } = isWhole ? await lookAgain(first) : first;
  const exitCode = judge(summary, code);
  if (summary.ignored > 0) say(`${summary.ignored} skipped`);
  say(`${summary.passed} passed, ${summary.failed} failed`);
  return exitCode;
}

/**
 * The suite starts hundreds of processes and browsers beside each other, and on a machine that others want too a
 * deadline may pass. So the files of a few failures are run once more, alone. What fails again has failed; what passes
 * counts as passed and is named, for whoever mends it: an unsteady test is a fault of the test.
 */
async function lookAgain(first: Outcome): Promise<Outcome> {
  const { summary, failedFiles } = first;
  if (summary.failed === 0 || summary.failed > SECOND_LOOK_MAX || failedFiles.length === 0) return first;
  say(`\nRun once more, alone: ${failedFiles.join(" ")}`);
  const second = await runDenoTest(["--no-check", ...failedFiles]);
  if (judge(second.summary, second.code) !== 0) return first;
  say(`UNSTEADY: ${summary.failed} failed at first and passed alone, in ${failedFiles.join(" ")}`);
  return { ...first, summary: { ...summary, passed: summary.passed + summary.failed, failed: 0 }, code: 0 };
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
async function runDenoTest(args: string[]): Promise<Outcome> {
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
  return {
    summary: readSummary(tail) ?? { passed: 0, failed: 1, ignored: 0 },
    failedFiles: readFailedFiles(tail),
    code: (await child.status).code,
  };
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/**
 * How a run of `deno test` ended, read from the line with which its reporter closes. Unlike the JUnit report, that
 * line also counts the files that failed before their first test.
 */

export interface Summary {
  passed: number;
  failed: number;
  ignored: number;
}

// deno-lint-ignore no-control-regex -- colours come as control sequences
const COLOUR = /\x1b\[[0-9;]*m/g;
const CLOSING_LINE =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/gm;

/** The last closing line in `output`; undefined when there is none, so when nothing could be run. */
export function readSummary(output: string): Summary | undefined {
  const last = [...output.replace(COLOUR, "").matchAll(CLOSING_LINE)].at(-1);
  if (!last) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]), ignored: Number(last[3] ?? 0) };
}

const FAILURES = /^ FAILURES *$/gm;
const FAILED_FILE = /^.* => (\.\/.+?):\d+:\d+$|^(\.\/.+) \(uncaught error\)$/gm;

/** The files of the tests that the reporter lists as failed, each once; none when it did not get to its list. */
export function readFailedFiles(output: string): string[] {
  const plain = output.replace(COLOUR, "");
  const list = [...plain.matchAll(FAILURES)].at(-1);
  if (!list) return [];
  const files = [...plain.slice(list.index).matchAll(FAILED_FILE)].map((match) => match[1] ?? match[2]!);
  return [...new Set(files)];
}

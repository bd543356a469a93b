import { assertEquals, assertStringIncludes } from "@std/assert";
import { readSummary } from "./summary.ts";

const RUN = new URL("../run.ts", import.meta.url).pathname;

/** Runs the suite's own entry over `files` in a folder of its own. */
async function runOver(files: Record<string, string>, args: string[] = []): Promise<{ lines: string[]; code: number }> {
  const cwd = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${cwd}/${name}`, text);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", RUN, ...Object.keys(files), ...args],
      cwd,
      stdin: "null",
    });
    const { stdout, code } = await command.output();
    return { lines: new TextDecoder().decode(stdout).trimEnd().split("\n"), code };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("a run that passes ends with the counts and code 0", async () => {
  const { lines, code } = await runOver({ "a_test.ts": `Deno.test("one", () => {}); Deno.test("two", () => {});` });
  assertEquals([lines.at(-1), code], ["2 passed, 0 failed", 0]);
});

Deno.test("failures, files that do not load and skipped tests are counted", async () => {
  const { lines, code } = await runOver({
    "a_test.ts": `Deno.test("one", () => {}); Deno.test("two", () => { throw new Error("no"); });
      Deno.test({ name: "three", ignore: true, fn() {} });`,
    "b_test.ts": `throw new Error("at load");`,
  });
  assertEquals(lines.slice(-2), ["1 skipped", "1 passed, 2 failed"]);
  assertEquals(code, 1);
});

Deno.test("a run in which no test ran has not passed", async () => {
  const { lines, code } = await runOver({ "a_test.ts": `Deno.test("one", () => {});` }, ["--filter", "another"]);
  assertEquals([lines.at(-1), code], ["0 passed, 0 failed", 1]);
});

Deno.test("a run that could not start counts as one failure", async () => {
  const { lines, code } = await runOver({ "a_test.ts": `import "./missing.ts";` });
  assertEquals([lines.at(-1), code], ["0 passed, 1 failed", 1]);
});

Deno.test("arguments are passed on", async () => {
  const { lines } = await runOver({ "a_test.ts": `Deno.test("one", () => {}); Deno.test("two", () => {});` }, [
    "--filter",
    "one",
  ]);
  assertEquals(lines.at(-1), "1 passed, 0 failed");
});

Deno.test("the last closing line counts, with colours and steps", () => {
  const output =
    "ok | 9 passed | 0 failed (1s)\n\x1b[31mFAILED\x1b[0m | 1 passed (4 steps) | 6 failed (1 step) | 2 ignored (1s)";
  assertEquals(readSummary(output), { passed: 1, failed: 6, ignored: 2 });
  assertEquals(readSummary("error: nothing to run"), undefined);
});

Deno.test("a test that leaks fails, because deno.json turns the sanitizers on", async () => {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { lines, code } = await runOver({
    "a_test.ts": `Deno.test("timer", () => { setTimeout(() => {}, 1e6); });
      Deno.test("file", () => { Deno.openSync("/dev/null"); });`,
  }, ["--config", config]);
  assertEquals([lines.at(-1), code], ["0 passed, 2 failed", 1]);
  assertStringIncludes(lines.join("\n"), "Leaks detected");
});

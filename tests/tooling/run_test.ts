import { assertEquals, assertStringIncludes } from "@std/assert";
import { readFailedFiles, readSummary } from "./summary.ts";

const RUN = new URL("../run.ts", import.meta.url).pathname;

/** Runs the suite's own entry over `files` in a folder of its own; `isWhole`: without naming them. */
async function runOver(
  files: Record<string, string>,
  args: string[] = [],
  { isWhole = false } = {},
): Promise<{ lines: string[]; code: number }> {
  const cwd = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${cwd}/${name}`, text);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", RUN, ...isWhole ? [] : Object.keys(files), ...args],
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

/** Fails in the first process that runs it. */
const UNSTEADY = `Deno.test("unsteady", () => {
  const isFirst = !Deno.readDirSync(".").some(({ name }) => name === "seen");
  Deno.writeTextFileSync("seen", "");
  if (isFirst) throw new Error("too early");
});`;

Deno.test("in a whole run, what fails once and passes alone is named, and counts as passed", async () => {
  const files = { "a_test.ts": UNSTEADY, "b_test.ts": `Deno.test("steady", () => {});` };
  const whole = await runOver(files, [], { isWhole: true });
  assertEquals([whole.lines.at(-1), whole.code], ["2 passed, 0 failed", 0]);
  assertStringIncludes(whole.lines.at(-2)!, "UNSTEADY: 1 failed at first and passed alone, in ./a_test.ts");
  const named = await runOver(files);
  assertEquals([named.lines.at(-1), named.code], ["1 passed, 1 failed", 1]);
});

Deno.test("what fails again has failed, and so have many failures at once", async () => {
  const again = await runOver(
    { "a_test.ts": UNSTEADY, "b_test.ts": `Deno.test("broken", () => { throw new Error("no"); });` },
    [],
    { isWhole: true },
  );
  assertEquals([again.lines.at(-1), again.code], ["0 passed, 2 failed", 1]);
  const many = Object.fromEntries(["a", "b", "c", "d"].map((name) => [`${name}_test.ts`, "throw new Error('no');"]));
  const broken = await runOver(many, [], { isWhole: true });
  assertEquals([broken.lines.at(-1), broken.code], ["0 passed, 4 failed", 1]);
  assertEquals(broken.lines.some((line) => line.startsWith("Run once more")), false);
});

Deno.test("the failed files are read from the reporter's list, each once", () => {
  const output = "a => b \x1b[0m=> ./x/no_test.ts:1:1\n\n FAILURES \n\na => b => ./x/a_test.ts:1:6\n" +
    "c ... one => ./x/a_test.ts:2:43\n./b_test.ts (uncaught error)\n\nFAILED | 0 passed | 3 failed (1ms)";
  assertEquals(readFailedFiles(output), ["./x/a_test.ts", "./b_test.ts"]);
  assertEquals(readFailedFiles("ok | 1 passed | 0 failed (1ms)"), []);
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

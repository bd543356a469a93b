/** The house's checks as tests of the suite, so that the one test command also fails on format, lint and types. */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../..", import.meta.url).pathname;

async function assertClean(args: string[]): Promise<void> {
  const env = { NO_COLOR: "1" };
  const command = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, env, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(code, 0, `deno ${args.join(" ")} found:\n${output}`);
}

Deno.test("every file is formatted", () => assertClean(["fmt", "--check"]));
Deno.test("lint finds nothing", () => assertClean(["lint"]));
Deno.test("every file type-checks", () => assertClean(["check"]));

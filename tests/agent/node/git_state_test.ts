/** What git says of a checkout, as it is read: every kind of change, and never more than the wire takes. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { readGitState, readStatus } from "../../../agent/node/git_state.ts";
import { GIT_DIFF_MAX, GIT_FILES_MAX, gitState } from "../../../lib/wire/git_state.ts";
import { TestRepository } from "../../repository.ts";

const HASH = "a".repeat(40);

Deno.test("each kind of change is named, with paths that hold blanks, and a checkout on no branch", () => {
  const ordinary = `N... 100644 100644 100644 ${HASH} ${HASH}`;
  const entries = [
    `# branch.oid ${HASH}`,
    "# branch.head (detached)",
    `1 .M ${ordinary} a file.txt`,
    `1 A. ${ordinary} new.txt`,
    `1 .D ${ordinary} gone.txt`,
    `2 R. ${ordinary} R100 after.txt`,
    "be fore.txt",
    `u UU N... 100644 100644 100644 100644 ${HASH} ${HASH} ${HASH} both.txt`,
    "? un known.txt",
    "",
  ];
  assertEquals(readStatus(entries.join("\0")), {
    branch: null,
    head: HASH,
    files: [
      { path: "a file.txt", from: null, status: "modified" },
      { path: "new.txt", from: null, status: "added" },
      { path: "gone.txt", from: null, status: "deleted" },
      { path: "after.txt", from: "be fore.txt", status: "renamed" },
      { path: "both.txt", from: null, status: "conflicted" },
      { path: "un known.txt", from: null, status: "untracked" },
    ],
  });
});

Deno.test("of more files and lines than the wire takes the first are told, and that there are more", async () => {
  await using repository = await TestRepository.make();
  const path = join(repository.path, "..", "checkout");
  const environment = { PATH: Deno.env.get("PATH")! };
  await new Deno.Command("git", { args: ["clone", "--quiet", repository.path, path], env: environment }).output();
  const base = await repository.git(["rev-parse", "main"]);
  const quiet = await readGitState(path, { environment, base });
  assertEquals(quiet, { branch: "main", head: base, ahead: 0, files: [], diff: "", truncated: false });
  await Deno.writeTextFile(join(path, "README.md"), `${"a long line of text\n".repeat(60_000)}`);
  for (let i = 0; i <= GIT_FILES_MAX; i++) await Deno.writeTextFile(join(path, `file ${i}`), "x\n");
  const state = await readGitState(path, { environment, base });
  assert(gitState.safeParse(state).success);
  assertEquals([state.files.length, state.truncated], [GIT_FILES_MAX, true]);
  assert(state.diff.length <= GIT_DIFF_MAX && state.diff.length > GIT_DIFF_MAX - 100, `${state.diff.length}`);
  assert(state.diff.endsWith("\n"), "whole lines");
});

Deno.test("a program that a repository names for its diffs is not run", async () => {
  await using repository = await TestRepository.make();
  const path = join(repository.path, "..", "checkout");
  const environment = { PATH: Deno.env.get("PATH")! };
  const inside = (args: string[]) =>
    new Deno.Command("git", { args: ["-C", path, ...args], env: environment }).output();
  await new Deno.Command("git", { args: ["clone", "--quiet", repository.path, path], env: environment }).output();
  const trace = join(repository.path, "..", "was-run");
  await inside(["config", "diff.external", `touch ${trace}`]);
  await inside(["config", "diff.bad.textconv", `touch ${trace}`]);
  await inside(["config", "core.fsmonitor", `touch ${trace}`]);
  await Deno.writeTextFile(join(path, ".gitattributes"), "* diff=bad\n");
  await Deno.writeTextFile(join(path, "README.md"), "changed\n");
  const base = await repository.git(["rev-parse", "main"]);
  const state = await readGitState(path, { environment, base });
  assert(state.diff.includes("+changed"));
  assertEquals(await Deno.stat(trace).then(() => true, () => false), false);
});

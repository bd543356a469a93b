/** Children that run as another user, for whom the agent is root. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { readGitState } from "../../../agent/node/git_state.ts";
import { Pty } from "../../../agent/process/pty.ts";
import { run } from "../node/repository.ts";

const isRoot = Deno.uid() === 0;
const skipped = isRoot ? "" : " [skipped: only root can become somebody else]";
const USER = { uid: 60_777, gid: 60_888 };
const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" };

Deno.test({
  name: `a terminal is the user's own, with nothing of root left${skipped}`,
  ignore: !isRoot,
  fn: async () => {
    const size = { cols: 200, rows: 20 };
    const mark = `${crypto.randomUUID()}/terminal`;
    await using pty = await Pty.start({ cwd: "/", environment: ENVIRONMENT, mark, user: USER, size });
    await pty.write(new TextEncoder().encode("echo ids $(id -u) $(id -G); grep CapEff /proc/self/status; exit\n"));
    let text = "";
    for (let bytes = await pty.read(); bytes; bytes = await pty.read()) text += new TextDecoder().decode(bytes);
    assertStringIncludes(text, "ids 60777 60888");
    assertStringIncludes(text, "0000000000000000");
  },
});

Deno.test({
  name: `what git says of a checkout is read as its owner, through no link that leads out${skipped}`,
  ignore: !isRoot,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const secret = await Deno.makeTempFile();
    try {
      await run(folder, "init", "--quiet", "--initial-branch=main", folder);
      await Deno.writeTextFile(`${folder}/new.txt`, "new\n");
      await chown(folder);
      const state = await readGitState(folder, { environment: ENVIRONMENT, base: null, user: USER });
      assertEquals([state.branch, state.files], ["main", [{ path: "new.txt", from: null, status: "untracked" }]]);
      // Root would follow the link, and git would tell what it found there.
      await Deno.writeTextFile(secret, "not yours");
      await Deno.symlink(secret, `${folder}/.git/index`);
      const failed = await readGitState(folder, { environment: ENVIRONMENT, base: null, user: USER })
        .then(() => "", (error) => String(error.message));
      assertEquals(failed.includes("not yours"), false);
      assertStringIncludes(failed, "ermission denied");
    } finally {
      await Deno.remove(folder, { recursive: true });
      await Deno.remove(secret);
    }
  },
});

async function chown(folder: string): Promise<void> {
  await new Deno.Command("chown", { args: ["-R", `${USER.uid}:${USER.gid}`, folder] }).output();
}

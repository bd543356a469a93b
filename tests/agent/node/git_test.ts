import { assertEquals, assertRejects } from "@std/assert";
import { git, GitError, gitSays } from "../../../agent/node/git.ts";
import { allowedEnvironment } from "../../../agent/process/environment.ts";
import { emptyRepository, plant, temporaryFolder } from "./repository.ts";

const environment = allowedEnvironment(Deno.env.toObject());

Deno.test("git answers its output, says no with exit code 1, and throws its last lines otherwise", async () => {
  await using folder = await temporaryFolder();
  const cwd = await emptyRepository(folder.path);
  const options = { cwd, environment, protocols: "file", timeoutMs: 10_000 };
  assertEquals(await git(["rev-parse", "--is-bare-repository"], options), "true");
  assertEquals(await gitSays(["config", "--get", "no.such"], options), false);
  const error = await assertRejects(() => git(["rev-parse", "--verify", "nothing"], options), GitError);
  assertEquals(error.message, "fatal: Needed a single revision");
});

Deno.test("a git that hangs is ended with all it started, by its time limit and by a stop", async () => {
  await using folder = await temporaryFolder();
  const cwd = await emptyRepository(folder.path);
  await plant(`${folder.path}/bin/git`, "echo secret; sleep 300 & wait");
  const options = {
    cwd,
    environment: { ...environment, PATH: `${folder.path}/bin:${environment.PATH}` },
    protocols: "",
  };
  await assertRejects(
    () => git(["fetch"], { ...options, timeoutMs: 100 }),
    GitError,
    "git fetch did not end within 0 s.",
  );
  const signal = AbortSignal.abort();
  await assertRejects(
    () => git(["push"], { ...options, timeoutMs: 60_000, signal }),
    GitError,
    "git push was stopped.",
  );
});

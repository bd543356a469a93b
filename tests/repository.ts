/** Bare Git repositories for tests, with one commit on `main`, in a folder that goes with the test. */
import { join } from "node:path";

const ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "Test",
  GIT_AUTHOR_EMAIL: "test@example.org",
  GIT_COMMITTER_NAME: "Test",
  GIT_COMMITTER_EMAIL: "test@example.org",
};

export class TestRepository implements AsyncDisposable {
  readonly path: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, "repo.git");
  }

  static async make(): Promise<TestRepository> {
    const repository = new TestRepository(await Deno.makeTempDir({ prefix: "hearth-repo-" }));
    await git(["init", "--quiet", "--bare", "--initial-branch=main", repository.path]);
    const blob = await repository.git(["hash-object", "-w", "--stdin"], "# Test\n");
    const tree = await repository.git(["mktree"], `100644 blob ${blob}\tREADME.md\n`);
    const commit = await repository.git(["commit-tree", tree, "-m", "Begin"]);
    await repository.git(["update-ref", "refs/heads/main", commit]);
    return repository;
  }

  /** Runs git in the repository and returns what it printed. */
  git(args: string[], input?: string): Promise<string> {
    return git(["-C", this.path, ...args], input);
  }

  /** The content of a file on a branch. */
  show(branch: string, file: string): Promise<string> {
    return this.git(["show", `${branch}:${file}`]);
  }

  async branches(): Promise<string[]> {
    return (await this.git(["for-each-ref", "--format=%(refname:short)", "refs/heads"])).split("\n").filter(Boolean);
  }

  /** Lets every push fail with this text, as a server's rule would. */
  async refusePushes(text: string): Promise<void> {
    const hook = join(this.path, "hooks", "pre-receive");
    await Deno.writeTextFile(hook, `#!/bin/sh\necho '${text}' >&2\nexit 1\n`, { mode: 0o755 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }
}

async function git(args: string[], input = ""): Promise<string> {
  const child = new Deno.Command("git", { args, env: ENVIRONMENT, stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trimEnd();
}

/** Real repositories for tests, made with plain git, apart from the code under test. */

export interface Folder extends AsyncDisposable {
  path: string;
}

/** A new folder, removed afterwards. */
export async function temporaryFolder(): Promise<Folder> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "hearth-node-" }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const ENV = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.com",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.com",
};

/** Standard output of git; throws with what it said when it fails. */
export async function run(cwd: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd, env: ENV }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`git ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}

/** A bare repository without any commit. */
export async function emptyRepository(folder: string): Promise<string> {
  const path = `${folder}/remote.git`;
  await run(folder, "init", "--quiet", "--bare", "--initial-branch=main", path);
  return path;
}

/** A bare repository with one commit on `main`. */
export async function makeRepository(folder: string, files: Record<string, string> = { "README.md": "Hello\n" }) {
  const path = await emptyRepository(folder);
  await addCommit(folder, path, { branch: "main", files });
  return path;
}

/** Adds a commit to a branch of the bare repository, made in a clone of its own. Answers its id. */
export async function addCommit(
  folder: string,
  remote: string,
  { branch, files }: { branch: string; files: Record<string, string> },
): Promise<string> {
  const clone = await Deno.makeTempDir({ dir: folder, prefix: "clone-" });
  await run(clone, "clone", "--quiet", remote, clone);
  const exists = (await run(clone, "branch", "--remotes", "--list", `origin/${branch}`)) !== "";
  await run(clone, "checkout", "--quiet", ...(exists ? [branch] : ["-B", branch]));
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${clone}/${name}`, text);
  await run(clone, "add", "--all");
  await run(clone, "commit", "--quiet", "--message=By a person");
  await run(clone, "push", "--quiet", "origin", branch);
  const commit = await run(clone, "rev-parse", "HEAD");
  await Deno.remove(clone, { recursive: true });
  return commit;
}

/** Writes an executable script. */
export async function plant(path: string, script: string): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

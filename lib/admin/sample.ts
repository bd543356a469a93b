/**
 * The sample project of a fresh installation: a small Git repository of its own, so that the first task needs no
 * account, no key and no cloud. Made once; whoever deletes it does not get it again.
 */
import { join, resolve } from "node:path";
import type { Edge } from "../edge.ts";
import type { UserRecord } from "../store/accounts.ts";
import { change } from "../store/change.ts";
import { metaKey } from "../store/keys.ts";
import { listProjects } from "../store/projects.ts";
import { makeProject } from "../tasks/projects.ts";

const README = `# Sample

A place to try Hearth. Write a task on the project's page and press Run Now; what the agent has done comes back as a
branch of this repository.
`;

const GIT_ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "Hearth",
  GIT_AUTHOR_EMAIL: "sample@hearth.invalid",
  GIT_COMMITTER_NAME: "Hearth",
  GIT_COMMITTER_EMAIL: "sample@hearth.invalid",
};

/** Makes the sample project, if this installation never had one and its admin has no project yet. */
export async function ensureSample(edge: Edge, admin: UserRecord): Promise<void> {
  const known = await change(edge.store, (tx) => tx.get(metaKey("sample")), edge.clock);
  if (known.value !== null || (await listProjects(edge.store, admin.id, { limit: 1 })).items.length > 0) return;
  const path = resolve(join(edge.config.HEARTH_DATA_DIR, "sample.git"));
  try {
    await makeRepository(path);
  } catch (error) {
    edge.log.warn("sample_not_made", { error });
    return;
  }
  await makeProject(edge, admin, {
    body: {
      name: "Sample",
      repositoryUrl: path,
      defaultBranch: "main",
      defaultVmSize: null,
      codingAgent: "demo",
      permissionMode: "autonomous",
      settings: {},
    },
    idempotency: null,
  });
  await change(edge.store, (tx) => Promise.resolve(tx.set(metaKey("sample"), 1)), edge.clock);
}

/** A bare repository with one commit, made without a working copy beside it that could be left behind. */
async function makeRepository(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
  await git(["init", "--quiet", "--bare", "--initial-branch=main", path]);
  const blob = await git(["-C", path, "hash-object", "-w", "--stdin"], README);
  const tree = await git(["-C", path, "mktree"], `100644 blob ${blob}\tREADME.md\n`);
  const commit = await git(["-C", path, "commit-tree", tree, "-m", "Begin"]);
  await git(["-C", path, "update-ref", "refs/heads/main", commit]);
}

async function git(args: string[], input = ""): Promise<string> {
  const child = new Deno.Command("git", {
    args,
    env: GIT_ENVIRONMENT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) {
    throw new Error(
      `git ${args.find((arg) => !arg.startsWith("-"))}: ${new TextDecoder().decode(stderr).slice(0, 500)}`,
    );
  }
  return new TextDecoder().decode(stdout).trim();
}

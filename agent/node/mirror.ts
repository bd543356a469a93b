/**
 * A mirror per repository, which only the agent writes, and shared clones of it for workspaces. Nothing that talks to
 * the remote runs in a directory that a coding agent can write: its commits are fetched into the mirror and pushed
 * from there, never by force. One lock per mirror, so that workspaces of one repository do not meet.
 */
import { cutText } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { GitCredential } from "../../lib/wire/credential.ts";
import type { AgentConfig } from "../config.ts";
import { type BranchChoice, chooseBranch, type RemoteHeads } from "./branch.ts";
import { adviseOnAccess } from "./git_access.ts";
import { argvAs, type ProcessUser } from "../process/spawn.ts";
import { git, GitError, type GitOptions } from "./git.ts";

const NETWORK_TIMEOUT_MS = 9 * 60_000;
const LOCAL_TIMEOUT_MS = 5 * 60_000;
const WARNING_MAX = 1_500;
const HEADS = "refs/remotes/origin/";
const LOCAL_ONLY = "file";

export interface CheckoutOptions {
  repositoryUrl: string;
  baseBranch: string;
  fallbackBranch?: string | null;
  /** The branch to make; null works on the base branch itself. */
  branch: string | null;
  /** What an earlier run pushed. */
  outputCommit: string | null;
  /** Where the checkout comes; must not exist. */
  path: string;
  signal?: AbortSignal;
  /** For the repository's host. */
  credential?: GitCredential | null;
}

export interface Checkout {
  branch: string;
  /** The commit that the work starts from; null in a repository without any. */
  base: string | null;
}

export interface PushOptions extends Checkout {
  workspaceId: string;
  repositoryUrl: string;
  path: string;
  /** Whose the checkout is, where it is not ours. */
  user?: ProcessUser;
  signal?: AbortSignal;
  credential?: GitCredential | null;
}

type Remote = Pick<CheckoutOptions, "repositoryUrl" | "signal" | "credential">;

/** What serves the commits reads a folder that is theirs, with a configuration that they may have written. */
function asTheirs(user: ProcessUser | undefined): string[] {
  return user ? [`--upload-pack=${[...argvAs(user), "git-upload-pack"].join(" ")}`] : [];
}

export type Pushed = { commit: string } | { nothing: true } | { warning: string };

type MirrorConfig = Pick<
  AgentConfig,
  | "dataDir"
  | "controlPlaneUrl"
  | "gitAllowFile"
  | "childEnvironment"
  | "mirrorCacheMaxBytes"
  | "gitAuthorName"
  | "gitAuthorEmail"
>;

export class Mirrors {
  readonly #config: MirrorConfig;
  readonly #log: Logger;
  readonly #locks = new Map<string, Promise<void>>();

  constructor(config: MirrorConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  /** Brings the mirror up to date and clones it. Throws a GitError or an Error, each with a sentence for a person. */
  async checkOut(options: CheckoutOptions): Promise<Checkout & { mirror: string }> {
    const mirror = await this.#pathOf(options.repositoryUrl);
    return await this.#locked(mirror, async () => {
      await this.#update(mirror, options);
      const heads = await this.#readHeads(mirror);
      const choice = chooseBranch(options, heads);
      await this.#clone(mirror, choice, options);
      return { branch: choice.branch, base: choice.base, mirror };
    });
  }

  /** Takes what the checkout's HEAD has into the mirror and pushes it to the branch. A refusal is a warning. */
  async push(options: PushOptions): Promise<Pushed> {
    const mirror = await this.#pathOf(options.repositoryUrl);
    return await this.#locked(mirror, async () => {
      const ref = `refs/hearth/${options.workspaceId}`;
      const fetched = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", ...asTheirs(options.user)];
      await git([...fetched, "--", options.path, `+HEAD:${ref}`], this.#local(mirror, options.signal));
      const excluded = options.base === null ? [] : ["--not", options.base];
      const ahead = await git(["rev-list", "--count", ref, ...excluded, "--"], this.#local(mirror, options.signal));
      if (ahead === "0") return { nothing: true };
      const commit = await git(["rev-parse", "--verify", ref], this.#local(mirror, options.signal));
      return await this.#send(mirror, ref, { ...options, commit });
    });
  }

  /** Removes the least recently used mirrors that no workspace borrows from, until the rest fits the limit. */
  async evict(borrowed: string[]): Promise<void> {
    const kept = new Set(await Promise.all(borrowed.map((url) => this.#pathOf(url))));
    const found = (await listMirrors(`${this.#config.dataDir}/mirrors`)).sort((a, b) => b.usedAtMs - a.usedAtMs);
    let total = 0;
    for (const { path, bytes } of found) {
      total += bytes;
      if (total <= this.#config.mirrorCacheMaxBytes || kept.has(path) || this.#locks.has(path)) continue;
      await Deno.remove(path, { recursive: true });
      total -= bytes;
      this.#log.info("mirror.evicted", { bytes });
    }
  }

  async #update(mirror: string, options: CheckoutOptions): Promise<void> {
    const { repositoryUrl, signal } = options;
    await Deno.mkdir(mirror, { recursive: true, mode: 0o700 });
    if (!await isFile(`${mirror}/HEAD`)) {
      await git(["init", "--quiet", "--bare", "--template=", "--", mirror], this.#local(mirror, signal));
    }
    await removeLocks(mirror);
    const fetched = ["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--no-recurse-submodules"];
    try {
      await git([...fetched, "--", repositoryUrl, `+refs/heads/*:${HEADS}*`], this.#remote(mirror, options));
    } catch (error) {
      if (signal?.aborted) throw error;
      const advice = this.#advise(error, options) ??
        "Check its address in the project's settings, and that this machine may read it.";
      throw new Error(`The repository could not be fetched. ${advice} Git says: ${messageOf(error)}`, { cause: error });
    }
    await Deno.utime(mirror, new Date(), new Date());
  }

  async #readHeads(mirror: string): Promise<RemoteHeads> {
    const listed = await git(["for-each-ref", "--format=%(objectname) %(refname)", HEADS], this.#local(mirror));
    const lines = listed.split("\n").filter((line) => line !== "");
    return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1 + HEADS.length), line.split(" ")[0]!]));
  }

  async #clone(mirror: string, choice: BranchChoice, options: CheckoutOptions): Promise<void> {
    const { path, repositoryUrl, signal } = options;
    const settings = [
      `remote.origin.fetch=+${HEADS}*:${HEADS}*`,
      "gc.auto=0",
      // For what the coding agent commits itself.
      `user.name=${this.#config.gitAuthorName}`,
      `user.email=${this.#config.gitAuthorEmail}`,
    ].flatMap((setting) => ["-c", setting]);
    const cloned = ["clone", "--quiet", "--shared", "--no-tags", "--no-checkout", "--template=", ...settings];
    await git([...cloned, "--", mirror, path], this.#local(mirror, signal));
    const inside = this.#local(path, signal);
    // From here on it looks like a clone of the repository itself to whoever works in it.
    await git(["config", "remote.origin.url", repositoryUrl], inside);
    await git(["config", "--replace-all", "remote.origin.fetch", `+refs/heads/*:${HEADS}*`], inside);
    if (choice.base === null) await git(["symbolic-ref", "HEAD", `refs/heads/${choice.branch}`], inside);
    else await git(["checkout", "--quiet", "--no-track", "-B", choice.branch, choice.base, "--"], inside);
  }

  async #send(mirror: string, ref: string, options: PushOptions & { commit: string }): Promise<Pushed> {
    const pushed = ["push", "--quiet", "--no-verify", "--recurse-submodules=no", "--", options.repositoryUrl];
    try {
      await git([...pushed, `${ref}:refs/heads/${options.branch}`], this.#remote(mirror, options));
      return { commit: options.commit };
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const advice = this.#advise(error, options);
      const why = advice === null ? `: ${messageOf(error)}` : `. ${advice} Git says: ${messageOf(error)}`;
      return { warning: cutText(`The branch ${options.branch} could not be pushed${why}`, WARNING_MAX) };
    }
  }

  #advise(error: unknown, { repositoryUrl, credential }: Remote): string | null {
    const settingsUrl = `${this.#config.controlPlaneUrl}/credentials`;
    return adviseOnAccess(messageOf(error), { repositoryUrl, credential, settingsUrl });
  }

  #local(cwd: string, signal?: AbortSignal): GitOptions {
    return {
      cwd,
      signal,
      environment: this.#config.childEnvironment,
      protocols: LOCAL_ONLY,
      timeoutMs: LOCAL_TIMEOUT_MS,
    };
  }

  /** The mirror is the agent's own, so nothing in it takes what git is told. */
  #remote(cwd: string, { signal, credential }: Remote): GitOptions {
    const protocols = this.#config.gitAllowFile ? "https:ssh:file" : "https:ssh";
    const environment = this.#config.childEnvironment;
    return { cwd, signal, credential, environment, protocols, timeoutMs: NETWORK_TIMEOUT_MS };
  }

  /** The name is a hash: no text of a user becomes part of a path. */
  async #pathOf(repositoryUrl: string): Promise<string> {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(repositoryUrl)));
    const name = [...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${await Deno.realPath(this.#config.dataDir)}/mirrors/${name}.git`;
  }

  async #locked<T>(mirror: string, work: () => Promise<T>): Promise<T> {
    const before = this.#locks.get(mirror) ?? Promise.resolve();
    const { promise: mine, resolve } = Promise.withResolvers<void>();
    const held = before.then(() => mine);
    this.#locks.set(mirror, held);
    await before;
    try {
      return await work();
    } finally {
      resolve();
      if (this.#locks.get(mirror) === held) this.#locks.delete(mirror);
    }
  }
}

/** A git that was killed leaves its locks; one data directory has one agent, so nobody else holds them. */
async function removeLocks(mirror: string): Promise<void> {
  for (const folder of [mirror, `${mirror}/refs/hearth`, `${mirror}/refs/remotes/origin`]) {
    try {
      for await (const entry of Deno.readDir(folder)) {
        if (entry.isFile && entry.name.endsWith(".lock")) await Deno.remove(`${folder}/${entry.name}`);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

async function listMirrors(folder: string): Promise<{ path: string; bytes: number; usedAtMs: number }[]> {
  const found: { path: string; bytes: number; usedAtMs: number }[] = [];
  const root = await Deno.realPath(folder).catch(() => null);
  if (root === null) return found;
  for await (const entry of Deno.readDir(root)) {
    const path = `${root}/${entry.name}`;
    found.push({ path, bytes: await sizeOf(path), usedAtMs: (await Deno.stat(path)).mtime?.getTime() ?? 0 });
  }
  return found;
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) bytes += await sizeOf(path);
    else bytes += (await Deno.lstat(path)).size;
  }
  return bytes;
}

async function isFile(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => null))?.isFile === true;
}

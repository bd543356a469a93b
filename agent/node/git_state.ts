/**
 * What git says of a checkout, for a reader. It belongs to a coding agent that may be at work in it: nothing of it is
 * changed (new files are shown by way of a copy of the index), no lock is taken that it would run into, and none of the
 * programs that its configuration may name for diffs is run. Everything is cut to what the wire allows.
 */
import { dirname } from "node:path";
import { cutText } from "../../lib/bytes.ts";
import { GIT_DIFF_MAX, GIT_FILES_MAX, type GitFile, type GitState } from "../../lib/wire/git_state.ts";
import { type ProcessUser, spawnChild } from "../process/spawn.ts";
import { git, type GitOptions } from "./git.ts";

const TIMEOUT_MS = 15_000;
/** New files of which the content is shown; the others are named only. */
const NEW_FILES_SHOWN = 100;

export interface GitStateOptions {
  /** What children may have of our environment. */
  environment: Record<string, string>;
  /** The commit that the run began from. */
  base: string | null;
  /** Whose the checkout is, where it is not ours. */
  user?: ProcessUser;
  signal?: AbortSignal;
}

/** Throws a GitError with git's last lines. */
export async function readGitState(path: string, options: GitStateOptions): Promise<GitState> {
  const folder = await Deno.makeTempDir({ prefix: "hearth-index-" });
  try {
    const index = `${folder}/index`;
    // A repository without a commit has none yet; git makes one.
    await copyIndex(`${path}/.git/index`, index, options);
    const environment = { ...options.environment, GIT_OPTIONAL_LOCKS: "0" };
    const inside: GitOptions = {
      cwd: path,
      environment,
      protocols: "file",
      timeoutMs: TIMEOUT_MS,
      user: options.user,
      signal: options.signal,
    };
    const status = readStatus(await git(STATUS, inside));
    const shown = { ...inside, environment: { ...environment, GIT_INDEX_FILE: index } };
    const unknown = status.files.filter((file) => file.status === "untracked").slice(0, NEW_FILES_SHOWN);
    if (unknown.length > 0) {
      // One that is gone again since would fail all of them.
      await git(["--literal-pathspecs", "add", "--intent-to-add", "--", ...unknown.map((file) => file.path)], shown)
        .catch(() => {});
    }
    const base = options.base ?? status.head;
    const [diff, ahead] = await Promise.all([
      base ? git([...DIFF, base, "--"], { ...shown, maxChars: GIT_DIFF_MAX + 1 }) : "",
      options.base && status.head ? git(["rev-list", "--count", `${options.base}..${status.head}`, "--"], inside) : "0",
    ]);
    const files = status.files.slice(0, GIT_FILES_MAX);
    return {
      branch: status.branch,
      head: status.head,
      ahead: Number(ahead) || 0,
      files,
      diff: cutDiff(diff),
      truncated: files.length < status.files.length || diff.length > GIT_DIFF_MAX,
    };
  } finally {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

/** It may be a link that the coding agent made: only its own user follows it, into a folder of that user. */
async function copyIndex(from: string, to: string, { user, environment }: GitStateOptions): Promise<void> {
  if (!user) return void await Deno.copyFile(from, to).catch(ignoreMissing);
  await Deno.chown(dirname(to), user.uid, user.gid);
  const args = ["--no-dereference", "--", from, to];
  const { process } = await spawnChild("cp", { args, cwd: "/", env: environment, user, stdin: "null" });
  await process.output();
}

const STATUS = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--ignore-submodules=all"];
const DIFF = [
  "-c",
  "core.quotePath=false",
  "diff",
  "--no-color",
  "--no-ext-diff",
  "--no-textconv",
  "--ignore-submodules=all",
  "--find-renames",
  "--src-prefix=a/",
  "--dst-prefix=b/",
];

interface Status {
  branch: string | null;
  head: string | null;
  files: GitFile[];
}

/** Git's second porcelain format, with NUL between the entries. Pure. */
export function readStatus(text: string): Status {
  const status: Status = { branch: null, head: null, files: [] };
  const entries = text.split("\0");
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const [kind] = entry;
    if (entry.startsWith("# branch.oid ")) status.head = /^[0-9a-f]{40,64}$/.exec(entry.slice(13))?.[0] ?? null;
    else if (entry.startsWith("# branch.head ")) {
      status.branch = entry.slice(14) === "(detached)" ? null : entry.slice(14);
    } else if (kind === "?") status.files.push({ path: entry.slice(2), from: null, status: "untracked" });
    else if (kind === "u") status.files.push({ path: afterFields(entry, 10), from: null, status: "conflicted" });
    else if (kind === "1") status.files.push({ path: afterFields(entry, 8), from: null, status: wordOf(entry) });
    else if (kind === "2") {
      status.files.push({ path: afterFields(entry, 9), from: entries[++i] ?? null, status: "renamed" });
    }
  }
  return status;
}

/** A path may hold blanks: it is what follows the fields before it. */
function afterFields(entry: string, fields: number): string {
  let at = 0;
  for (let i = 0; i < fields; i++) at = entry.indexOf(" ", at) + 1;
  return entry.slice(at);
}

/** Two letters, of the index and of the working tree: the latter is newer. */
function wordOf(entry: string): GitFile["status"] {
  const letters = entry.slice(2, 4);
  return letters.includes("D") ? "deleted" : letters.includes("A") ? "added" : "modified";
}

/** Whole lines only, unless there is but one. */
function cutDiff(diff: string): string {
  if (diff.length <= GIT_DIFF_MAX) return diff;
  const cut = diff.lastIndexOf("\n", GIT_DIFF_MAX - 1);
  return cut > 0 ? diff.slice(0, cut + 1) : cutText(diff, GIT_DIFF_MAX);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

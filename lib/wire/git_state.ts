/** What git says of a workspace's checkout: what is uncommitted, and everything that differs from where the run began. */
import { z } from "zod";
import { count, timestamp } from "./common.ts";

export const GIT_FILES_MAX = 500;
/** In UTF-16 units; a longer diff is cut at the end of a line. */
export const GIT_DIFF_MAX = 512 * 1024;
const PATH_MAX = 4_096;

export const gitFileStatus = z.enum(["added", "modified", "deleted", "renamed", "untracked", "conflicted"]);
export type GitFileStatus = z.infer<typeof gitFileStatus>;

export const gitFile = z.object({
  path: z.string().max(PATH_MAX),
  /** The name before, of a file that was renamed. */
  from: z.string().max(PATH_MAX).nullable(),
  status: gitFileStatus,
});
export type GitFile = z.infer<typeof gitFile>;

/** What the agent reads. */
export const gitState = z.object({
  /** Null where no branch is checked out. */
  branch: z.string().max(1_000).nullable(),
  head: z.string().regex(/^[0-9a-f]{40,64}$/).nullable(),
  /** Commits since the run began. */
  ahead: count,
  /** What `git status` names: not committed yet. */
  files: z.array(gitFile).max(GIT_FILES_MAX),
  /** Everything since the run began, committed or not, new files included. */
  diff: z.string().max(GIT_DIFF_MAX),
  /** Files or a part of the diff were left out. */
  truncated: z.boolean(),
});
export type GitState = z.infer<typeof gitState>;

/** The same with the time at which the edge got it. */
export const gitAnswer = gitState.extend({ at: timestamp });
export type GitAnswer = z.infer<typeof gitAnswer>;

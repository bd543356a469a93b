/** Which branch a run works on, decided from what the remote has. Pure. */

/** Branch names of the remote and the commits they are at. */
export type RemoteHeads = ReadonlyMap<string, string>;

export interface BranchChoice {
  branch: string;
  /** The commit to start from; null in a repository without any. */
  base: string | null;
}

const SUFFIX_MAX = 1_000;

/**
 * The wanted branch where the remote does not have it, starting from the base branch; the run before's, where the
 * remote still is at the commit it pushed; else the first of `-2`, `-3` … that is free. Null as the wanted branch
 * means the base branch itself. A base branch that is gone, as after a merge, is replaced by the fallback; throws when
 * that does not exist either.
 */
export function chooseBranch(
  wanted: { branch: string | null; baseBranch: string; fallbackBranch?: string | null; outputCommit: string | null },
  heads: RemoteHeads,
): BranchChoice {
  const base = heads.get(wanted.baseBranch) ?? heads.get(wanted.fallbackBranch ?? "") ?? null;
  if (base === null && heads.size > 0) {
    throw new Error(
      `The repository has no branch “${
        wanted.fallbackBranch ?? wanted.baseBranch
      }”. Set the project's default branch to one that exists.`,
    );
  }
  if (wanted.branch === null) return { branch: wanted.baseBranch, base };
  for (let n = 1; n <= SUFFIX_MAX; n++) {
    const branch = n === 1 ? wanted.branch : `${wanted.branch}-${n}`;
    const there = heads.get(branch);
    if (there === undefined) return { branch, base };
    if (there === wanted.outputCommit) return { branch, base: there };
  }
  throw new Error(`The repository has more than ${SUFFIX_MAX} branches that begin with “${wanted.branch}”.`);
}

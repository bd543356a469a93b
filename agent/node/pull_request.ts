/**
 * A draft pull request for a branch that was pushed to GitHub, with the token that pushed it. One that is there already
 * is taken; a token that may not make one, or a GitHub that does not answer, is no reason to hold anything up.
 */
import ky from "ky";
import { z } from "zod";
import type { Logger } from "../../lib/log.ts";
import type { GitCredential } from "../../lib/wire/credential.ts";
import { parseJson } from "../delivery/json.ts";

const API = "https://api.github.com";
const TIMEOUT_MS = 10_000;
const REPOSITORY = /^https:\/\/github\.com\/([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/i;

const found = z.object({ html_url: z.url({ protocol: /^https$/ }) });

export interface PullRequest {
  repositoryUrl: string;
  branch: string;
  /** The branch that it is to be merged into. */
  base: string;
  title: string;
  body: string;
  credential: GitCredential | null;
}

/** Its address; null where there is none. `api` takes the place of GitHub's own. */
export async function openPullRequest(wanted: PullRequest, log: Logger, api = API): Promise<string | null> {
  const { repositoryUrl, branch, base, title, body, credential } = wanted;
  const [, owner, name] = REPOSITORY.exec(repositoryUrl) ?? [];
  if (!owner || !name || credential?.host !== "github.com") return null;
  const url = `${api}/repos/${owner}/${name}/pulls`;
  const call = async (options: { json?: unknown; searchParams?: Record<string, string> }) => {
    const response = await ky(url, {
      ...options,
      method: options.json === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${credential.password}`, accept: "application/vnd.github+json" },
      retry: 0,
      timeout: TIMEOUT_MS,
      // A redirect would carry the token elsewhere.
      redirect: "manual",
      throwHttpErrors: false,
    });
    return { status: response.status, body: parseJson(await response.text()) };
  };
  try {
    const made = await call({ json: { title, head: branch, base, body, draft: true } });
    if (made.status === 201) return found.safeParse(made.body).data?.html_url ?? null;
    const there = made.status === 422
      ? z.array(found).safeParse((await call({ searchParams: { head: `${owner}:${branch}`, state: "open" } })).body)
      : null;
    if (!there?.data?.length) log.info("pull_request.not_made", { status: made.status });
    return there?.data?.[0]?.html_url ?? null;
  } catch {
    // What was thrown may hold the request with the token.
    log.info("pull_request.not_made", { status: null });
    return null;
  }
}

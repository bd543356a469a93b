/** The secrets that a run needs: what its provider and its coding agent name, of the person who starts it. */
import { openCredential, openRecord, toGitCredential } from "../auth/credentials.ts";
import { loginCommand } from "../coding_agent_logins.ts";
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { RENTED } from "../nodes/accounts.ts";
import { CODING_AGENTS, KEY_VARIABLES, keysOf } from "../nodes/coding_agents.ts";
import { readCredential } from "../store/credentials.ts";
import { isWorking, type WorkspaceRecord } from "../store/workspaces.ts";
import type { CredentialProvider, GitCredential } from "../wire/credential.ts";

const SETTINGS_PATH = "/credentials";

/** What a run needs depends on who starts it, and with which coding agent. */
export interface RunBy {
  userId: string;
  codingAgent: string;
}

/** Throws `credentials_missing` with the providers for which the user has stored nothing. */
export async function requireCredentials(edge: Edge, run: RunBy): Promise<void> {
  const problem = await findMissingCredentials(edge, run);
  if (problem) throw problem;
}

/** What is missing, as `credentials_missing`, or null. A coding agent that its machine is signed in to needs no key. */
export async function findMissingCredentials(edge: Edge, run: RunBy): Promise<AppError | null> {
  const wanted = wantedBy(edge, run.codingAgent);
  const stored = await Promise.all(wanted.map((provider) => readCredential(edge.store, run.userId, provider)));
  const missing = wanted.filter((_, i) => stored[i] === null);
  const isOnlyKey = missing.every((provider) => provider !== "hetzner");
  if (missing.length === 0 || (isOnlyKey && await edge.provider.hasLogin?.(run.codingAgent))) return null;
  const command = isOnlyKey && edge.provider.hasLogin ? loginCommand(run.codingAgent) : null;
  const orSignIn = command ? ` Or sign in to it on this machine: ${command}` : "";
  return new AppError("credentials_missing", `Store your credentials first, for: ${missing.join(", ")}.${orSignIn}`, {
    details: { missing, settingsUrl: SETTINGS_PATH },
  });
}

/** What the coding agent of a workspace finds in its environment. */
export async function readRunCredentials(edge: Edge, workspace: WorkspaceRecord): Promise<Record<string, string>> {
  const keys = await Promise.all(
    keysOf(workspace.codingAgent).map(async (provider) => {
      const credential = await openCredential(edge, workspace.ownerId, provider);
      return credential ? [[KEY_VARIABLES[provider], credential.secret]] : [];
    }),
  );
  return Object.fromEntries(keys.flat());
}

/** The owner's Git credential, where it is for the host of the workspace's repository and work still runs there. */
export async function readGitCredential(edge: Edge, workspace: WorkspaceRecord): Promise<GitCredential | null> {
  if (!workspace.repositoryUrl.startsWith("https://") || !isWorking(workspace)) return null;
  const stored = await readCredential(edge.store, workspace.ownerId, "git");
  if (!stored || stored.host !== new URL(workspace.repositoryUrl).host) return null;
  return toGitCredential(await openRecord(edge, stored));
}

function wantedBy(edge: Edge, codingAgent: string): CredentialProvider[] {
  const ofAgent = CODING_AGENTS.find(({ id }) => id === codingAgent)?.credential;
  const ofProvider = RENTED.has(edge.provider.id) ? ["hetzner" as const] : [];
  return [...ofProvider, ...ofAgent ? [ofAgent] : []];
}

/** A person's stored secrets: opened for a call that they are for, and for nothing else. */
import type { Edge } from "../edge.ts";
import { type CredentialRecord, readCredential } from "../store/credentials.ts";
import type { CredentialProvider, GitCredential } from "../wire/credential.ts";
import { unseal } from "./seal.ts";

export interface OpenCredential {
  secret: string;
  account: string;
  /** Of a Git credential. */
  host?: string;
  username?: string;
}

/** Most hosts look at the token alone; GitHub's own documents name this user. */
const ANY_USER = "x-access-token";

/** The secret that a user stored for a provider, or null. Throws when it cannot be opened. */
export async function openCredential(
  edge: Edge,
  userId: string,
  provider: CredentialProvider,
): Promise<OpenCredential | null> {
  const record = await readCredential(edge.store, userId, provider);
  return record && await openRecord(edge, record);
}

export async function openRecord(edge: Edge, record: CredentialRecord): Promise<OpenCredential> {
  const { userId, provider, account, host, username } = record;
  return { secret: await unseal(edge.sealKeys, record, { userId, provider }), account, host, username };
}

/** What Git is told when it asks for that host. */
export function toGitCredential({ secret, host, username }: OpenCredential): GitCredential {
  return { host: host ?? "", username: username ?? ANY_USER, password: secret };
}

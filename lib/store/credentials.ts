/** Credentials of users at providers, sealed; and the sealed constant by which a wrong key is seen at start. */
import type { Credential } from "../wire/credential.ts";
import type { Change, Versioned } from "./change.ts";
import { credentialKey, metaKey } from "./keys.ts";
import type { Store } from "./store.ts";
import { toIso } from "./time.ts";

export interface SealedBox {
  /** Which key sealed it. */
  kid: string;
  iv: Uint8Array;
  sealed: Uint8Array;
}

export interface CredentialRecord extends SealedBox, Versioned {
  userId: string;
  provider: Credential["provider"];
  /** Names the account behind it: stays when a secret is replaced by another of the same account. */
  account: string;
  /** Of a Git credential: the only host that may be shown it, and under which user name. */
  host?: string;
  username?: string;
  createdAt: number;
  updatedAt: number;
}

export type SealCheck = SealedBox & Versioned;

export async function readSealCheck(tx: Change): Promise<Deno.KvEntryMaybe<SealCheck>> {
  return await tx.get<SealCheck>(metaKey("seal"));
}

export async function readCredential(
  store: Store,
  userId: string,
  provider: string,
): Promise<CredentialRecord | null> {
  return (await store.kv.get<CredentialRecord>(credentialKey(userId, provider))).value;
}

export async function listCredentials(store: Store, userId: string): Promise<CredentialRecord[]> {
  const entries = store.kv.list<CredentialRecord>({ prefix: ["credential", userId] }, { limit: 100 });
  return (await Array.fromAsync(entries)).map(({ value }) => value);
}

/** Everybody's. */
export async function* listAllCredentials(store: Store): AsyncGenerator<CredentialRecord> {
  for await (const { value } of store.kv.list<CredentialRecord>({ prefix: ["credential"] })) yield value;
}

export function toCredential(record: CredentialRecord): Credential {
  return {
    provider: record.provider,
    host: record.host ?? null,
    createdAt: toIso(record.createdAt),
    updatedAt: toIso(record.updatedAt),
  };
}

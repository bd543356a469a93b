/**
 * Secrets at rest: AES-256-GCM under `ENCRYPTION_KEY`, a random 96-bit iv for each, and whose secret it is as additional
 * data, so that a sealed secret moved to another user or provider does not open. The first key seals, all open.
 */
import { AppError } from "../errors.ts";
import { ConfigError } from "../env.ts";
import { change } from "../store/change.ts";
import { readSealCheck, type SealedBox } from "../store/credentials.ts";
import type { Store } from "../store/store.ts";
import { toBytes, toText } from "../bytes.ts";

const KEY_BYTES = 32;
const IV_BYTES = 12;
/** What every installation seals once, to see at start whether its keys are the right ones. */
const CONSTANT = "hearth";
const CONSTANT_OWNER: SealOwner = { userId: "installation", provider: "check" };

export interface SealKeys {
  keys: { kid: string; key: CryptoKey }[];
}

/** Whose secret it is. */
export interface SealOwner {
  userId: string;
  provider: string;
}

/** Reads `ENCRYPTION_KEY`: `id:base64` of 32 bytes, more after commas. Throws ConfigError without repeating a key. */
export async function readSealKeys(text: string): Promise<SealKeys> {
  const keys = await Promise.all(
    text.split(",").map(async (part) => {
      const match = /^\s*([\w-]{1,20}):([A-Za-z0-9+/=_-]+)\s*$/.exec(part);
      const raw = match && decode(match[2]!);
      if (!match || raw?.length !== KEY_BYTES) throw wrongKey("every key must be id:base64 of 32 bytes");
      const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
      return { kid: match[1]!, key };
    }),
  );
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw wrongKey("two keys have the same id");
  return { keys };
}

/** A new key as `ENCRYPTION_KEY` has it. */
export function newSealKey(): string {
  return `k1:${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(KEY_BYTES))))}`;
}

export async function seal({ keys }: SealKeys, secret: string, owner: SealOwner): Promise<SealedBox> {
  const { kid, key } = keys[0]!;
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(algorithm(iv, owner), key, toBytes(secret));
  return { kid, iv, sealed: new Uint8Array(sealed) };
}

/** The secret in a box. Throws when no key fits or the box is not this owner's; the message names no secret. */
export async function unseal({ keys }: SealKeys, box: SealedBox, owner: SealOwner): Promise<string> {
  const key = keys.find(({ kid }) => kid === box.kid)?.key;
  if (!key) throw cannotOpen(`its key "${box.kid}" is not in ENCRYPTION_KEY`);
  try {
    const iv = new Uint8Array(box.iv);
    return toText(new Uint8Array(await crypto.subtle.decrypt(algorithm(iv, owner), key, new Uint8Array(box.sealed))));
  } catch {
    throw cannotOpen("the key is another one, or the data was changed");
  }
}

/** Opens the installation's sealed constant, or makes it. Throws ConfigError when the keys are not the right ones. */
export async function checkSealKeys(store: Store, keys: SealKeys): Promise<void> {
  const made = await seal(keys, CONSTANT, CONSTANT_OWNER);
  const box = await change(store, async (tx) => {
    const known = await readSealCheck(tx);
    if (known.value) return known.value;
    tx.put(known, { v: 1, ...made });
    return { v: 1 as const, ...made };
  });
  const opened = await unseal(keys, box, CONSTANT_OWNER).catch(() => null);
  if (opened === CONSTANT) return;
  throw wrongKey(
    `it does not open what is stored, which was sealed with the key "${box.kid}". Set the key that was used before, and ` +
      "put a new one in front of it to change it",
  );
}

/** Seals the constant anew with the first key. */
export async function resealCheck(store: Store, keys: SealKeys): Promise<void> {
  const made = await seal(keys, CONSTANT, CONSTANT_OWNER);
  await change(store, async (tx) => {
    tx.put(await readSealCheck(tx), { v: 1, ...made });
  });
}

function algorithm(iv: Uint8Array<ArrayBuffer>, owner: SealOwner): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: toBytes(`${owner.userId}|${owner.provider}`) };
}

function decode(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    const binary = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function wrongKey(why: string): ConfigError {
  return new ConfigError(`ENCRYPTION_KEY: ${why}.`);
}

function cannotOpen(why: string): AppError {
  return new AppError("internal_error", `A stored credential cannot be opened: ${why}. Store it anew.`);
}

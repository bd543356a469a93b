/**
 * Identifiers. Ids that the edge gives out are UUIDv7, so that primary keys list in creation order.
 * Ids that name one thing across retries (messages, commands) are made once, outside any retry loop.
 */
import { v7 } from "uuid";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A new id in creation order (RFC 9562 version 7, increasing within one process). */
export function newId(): string {
  return v7();
}

/** Whether `text` is written as a UUID of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A secret of `bytes` random bytes in base64url without padding (32 bytes are 43 characters). */
export function newSecret(bytes = 32): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return btoa(String.fromCharCode(...random)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

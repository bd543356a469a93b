/**
 * Answers of creating calls, kept for a day under the caller's key and written in the commit that creates: a repeated
 * call gets the same answer and creates nothing.
 */
import { AppError } from "../errors.ts";
import type { Change } from "./change.ts";
import { idemKey } from "./keys.ts";

const KEPT_MS = 24 * 3_600_000;

interface IdempotentAnswer {
  bodyHash: string;
  answer: unknown;
  expiresAt: number;
}

export interface IdempotentCall {
  caller: string;
  key: string;
  bodyHash: string;
}

/**
 * The answer that this call got before, or null the first time. Throws `idempotency_key_reused` when the key came with
 * another body. Checks that nobody else writes the same key meanwhile.
 */
export async function recallAnswer<T>(tx: Change, call: IdempotentCall | null): Promise<T | null> {
  if (!call) return null;
  const entry = await tx.get<IdempotentAnswer>(idemKey(call.caller, call.key));
  if (entry.value === null || entry.value.expiresAt <= tx.now) {
    tx.check(entry);
    return null;
  }
  if (entry.value.bodyHash !== call.bodyHash) {
    throw new AppError("idempotency_key_reused", "This Idempotency-Key was used with another body. Take a new key.");
  }
  return entry.value.answer as T;
}

export function rememberAnswer(tx: Change, call: IdempotentCall | null, answer: unknown): void {
  if (!call) return;
  const value: IdempotentAnswer = { bodyHash: call.bodyHash, answer, expiresAt: tx.now + KEPT_MS };
  tx.set(idemKey(call.caller, call.key), value, { expireIn: KEPT_MS });
}

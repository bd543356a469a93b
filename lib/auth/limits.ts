/**
 * Limits per caller. Token buckets lie in this process's memory: they protect it and cost nothing. What costs money or
 * guesses secrets is counted in the store and holds across processes.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { countInWindow, readWindow } from "../store/windows.ts";

/** Callers remembered at once; the oldest are forgotten first. */
const CALLERS_MAX = 10_000;
const QUARTER_HOUR_MS = 15 * 60_000;
const HOUR_MS = 3_600_000;

export interface BucketRule {
  perSecond: number;
  burst: number;
}

interface Bucket {
  level: number;
  at: number;
}

/** Token buckets of one process. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes one token of `caller`. Throws `rate_limited` with the seconds until the next one. */
  take(caller: string, rule: BucketRule, now: number): void {
    const { bucket, waitMs } = drain(this.#buckets.get(caller), rule, now);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > CALLERS_MAX) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (waitMs > 0) throw limited("You are sending requests too fast.", waitMs);
  }
}

/**
 * Pure: the bucket after one more request, and how long to wait when it is empty. A clock that was set back takes nothing
 * out of it.
 */
export function drain(bucket: Bucket | undefined, rule: BucketRule, now: number): { bucket: Bucket; waitMs: number } {
  const before = bucket ?? { level: rule.burst, at: now };
  const passedMs = Math.max(0, now - before.at);
  const level = Math.min(rule.burst, before.level + (passedMs / 1_000) * rule.perSecond);
  if (level < 1) return { bucket: { level, at: now }, waitMs: ((1 - level) / rule.perSecond) * 1_000 };
  return { bucket: { level: level - 1, at: now }, waitMs: 0 };
}

/** Refuses further tries of an address that failed to sign in or to register too often. */
export async function checkFailures(edge: Edge, kind: "signIn" | "register", address: string): Promise<void> {
  const failed = await readWindow(edge.store, window(edge, { kind, subject: address, lengthMs: QUARTER_HOUR_MS }));
  if (failed >= edge.config.RATE_SIGN_IN_PER_15_MIN) throw limited("Too many failed tries.", QUARTER_HOUR_MS / 3);
}

export async function countFailure(edge: Edge, kind: "signIn" | "register", address: string): Promise<void> {
  await countInWindow(edge.store, window(edge, { kind, subject: address, lengthMs: QUARTER_HOUR_MS }));
}

/** Counts one more run of a user. Throws `rate_limited` over the hourly limit. */
export async function countRun(edge: Edge, userId: string): Promise<void> {
  const runs = await countInWindow(edge.store, window(edge, { kind: "run", subject: userId, lengthMs: HOUR_MS }));
  if (runs > edge.config.RATE_RUNS_PER_HOUR) {
    throw limited(`You started more than ${edge.config.RATE_RUNS_PER_HOUR} runs in this hour.`, HOUR_MS / 4);
  }
}

function window<T extends object>(edge: Edge, subject: T): T & { now: number } {
  return { ...subject, now: edge.clock() };
}

function limited(what: string, waitMs: number): AppError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return new AppError("rate_limited", `${what} Try again in ${seconds} s.`, { retryAfterSeconds: seconds });
}

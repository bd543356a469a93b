/**
 * What follows from an answer of the edge: pure decisions. A batch is done only when the answer accounts for every row
 * that was sent (a proxy's login page is a 200 too); what speaks of a row costs that row, what speaks of the workspace
 * makes the line wait, and everything else is tried again.
 */
import { z } from "zod";
import { count } from "../../lib/wire/common.ts";
import { deadLetterAnswer } from "../../lib/wire/dead_letter.ts";
import { batchAnswer } from "../../lib/wire/message.ts";
import type { EdgeAnswer } from "./edge_client.ts";

export type Answer = EdgeAnswer | "unreachable";

export type BatchAction =
  | { kind: "accepted" }
  | { kind: "retry"; afterMs?: number }
  | { kind: "renew" }
  | { kind: "halve" }
  | { kind: "dead_row"; index: number }
  | { kind: "row_by_row" }
  | { kind: "hold" }
  | { kind: "partial"; remaining: number };

const badRow = z.looseObject({ index: count });
const sessionFull = z.looseObject({ error: z.literal("session_full"), remaining: count });

/** Statuses that say nothing about what was sent. */
const TRANSIENT = [408, 425, 429];

/** What to do with a batch of `sent` rows. */
export function decideBatch(answer: Answer, sent: number): BatchAction {
  if (answer === "unreachable") return { kind: "retry" };
  if (isTransient(answer.status)) return { kind: "retry", afterMs: answer.retryAfterMs };
  switch (answer.status) {
    case 200:
      return isAccepted(answer.body, sent) ? { kind: "accepted" } : { kind: "retry", afterMs: answer.retryAfterMs };
    case 401:
      return { kind: "renew" };
    case 413:
      return { kind: "halve" };
    case 400:
    case 422:
      return decideBadRow(answer.body, sent);
    case 409:
      return decideConflict(answer.body, sent);
    default:
      return { kind: "hold" };
  }
}

export type ReportAction = { kind: "answered" } | { kind: "refused" } | { kind: "retry"; afterMs?: number };

/** What to do with a report. A refusal is final: the edge has other ways to learn of the state of the workspace. */
export function decideReport(answer: Answer): ReportAction {
  if (answer === "unreachable") return { kind: "retry" };
  const { status, body, retryAfterMs } = answer;
  // A 2xx without JSON came from somebody else, but for the one that has no body by its meaning.
  if (status === 204 || (status >= 200 && status < 300 && body !== null)) return { kind: "answered" };
  if (status === 401 || isTransient(status) || status === 200) return { kind: "retry", afterMs: retryAfterMs };
  return { kind: "refused" };
}

export type HandOverAction =
  | { kind: "accepted" }
  /** Too much at once, or one of them is bad: fewer. */
  | { kind: "split" }
  /** The one that was sent is not wanted. */
  | { kind: "refused" }
  | { kind: "retry"; afterMs?: number };

/** What to do with `sent` dead letters. Answers that speak of the node are waited out: the edge bounds the time. */
export function decideHandOver(answer: Answer, sent: number): HandOverAction {
  if (answer === "unreachable") return { kind: "retry" };
  const { status, body, retryAfterMs } = answer;
  if ([400, 413, 422].includes(status)) return { kind: sent > 1 ? "split" : "refused" };
  const parsed = deadLetterAnswer.safeParse(body);
  const isAll = status === 200 && parsed.success && parsed.data.persisted + parsed.data.duplicates === sent;
  return isAll ? { kind: "accepted" } : { kind: "retry", afterMs: retryAfterMs };
}

/** Everything outside 200 and the 4xx that mean something: other 2xx, redirects, faults of the server. */
function isTransient(status: number): boolean {
  return status !== 200 && (status < 400 || status >= 500 || TRANSIENT.includes(status));
}

function isAccepted(body: unknown, sent: number): boolean {
  const parsed = batchAnswer.safeParse(body);
  return parsed.success && parsed.data.persisted + parsed.data.duplicates === sent;
}

function decideBadRow(body: unknown, sent: number): BatchAction {
  const parsed = badRow.safeParse(body);
  if (parsed.success && parsed.data.index < sent) return { kind: "dead_row", index: parsed.data.index };
  return sent === 1 ? { kind: "dead_row", index: 0 } : { kind: "row_by_row" };
}

function decideConflict(body: unknown, sent: number): BatchAction {
  const parsed = sessionFull.safeParse(body);
  return parsed.success && parsed.data.remaining < sent
    ? { kind: "partial", remaining: parsed.data.remaining }
    : { kind: "hold" };
}

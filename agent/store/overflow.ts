/**
 * Which rows of a full outbox make room, and what is left in their place: one `system` message per session that says
 * how many are missing there. Marks that meet are joined, so that an hour without the edge leaves one mark and not
 * thousands. A message that the edge refused leaves a mark of its own.
 */
import type { InStatement } from "@libsql/client";
import { newId } from "../../lib/ids.ts";
import { MESSAGE_NAMES } from "./message_columns.ts";
import type { OutboxRow, Refusal, Size } from "./outbox.ts";

export interface Evictable {
  id: number;
  workspaceId: string;
  projectId: string | null;
  sessionId: string;
  bytes: number;
}

export interface Mark {
  id: number;
  workspaceId: string;
  bytes: number;
  lost: number;
}

export interface EvictionInput {
  /** Rows that may go, oldest first. */
  oldest: Evictable[];
  /** Marks that may be replaced. */
  marks: Mark[];
  /** By how much the limits are exceeded. */
  over: Size;
  at: string;
}

export interface EvictionPlan {
  evicted: Evictable[];
  /** Ids of rows and marks that are deleted. */
  gone: number[];
  replaced: Mark[];
  marks: MarkRow[];
}

type MarkRow = OutboxRow & { id: number; lost: number };

/** What a mark of a refusal has for `lost`. */
const REFUSED = -1;

export function planEviction(input: EvictionInput): EvictionPlan {
  const evicted = chooseRows(input);
  const plan: EvictionPlan = { evicted, gone: evicted.map((row) => row.id), replaced: [], marks: [] };
  const marks = new Map(input.marks.map((mark) => [mark.workspaceId, mark]));
  // A workspace has one session, and its rows travel together: so its mark is its session's.
  for (const [workspaceId, rows] of Map.groupBy(evicted, (row) => row.workspaceId)) {
    const last = rows.at(-1)!;
    const before = marks.get(workspaceId);
    if (before) {
      plan.replaced.push(before);
      plan.gone.push(before.id);
    }
    plan.marks.push(makeMark(last, rows.length + (before?.lost ?? 0), input.at));
  }
  return plan;
}

/** Copies messages of the outbox to the dead letters. */
export function moveToDeadLetters(ids: number[], refusal: Refusal): InStatement {
  return {
    sql: `INSERT OR IGNORE INTO dead_letters (${MESSAGE_NAMES}, attempts, last_attempt_at, status, reason, at)
      SELECT ${MESSAGE_NAMES}, attempts, last_attempt_at, ?, ?, ? FROM message_outbox
      WHERE lost = 0 AND id IN (SELECT value FROM json_each(?)) ORDER BY id`,
    args: [refusal.status, refusal.reason, new Date().toISOString(), JSON.stringify(ids)],
  };
}

function chooseRows(input: EvictionInput): Evictable[] {
  let bytes = 0;
  const enough = input.oldest.findIndex((row, at) => {
    bytes += row.bytes;
    return at + 1 >= input.over.rows && bytes >= input.over.bytes;
  });
  return enough === -1 ? input.oldest : input.oldest.slice(0, enough + 1);
}

/** Says in the place of a message that the edge refused it. It is not joined with what an overflow leaves. */
export function makeRefusalMark(place: Evictable, refusal: Refusal, at: string): MarkRow {
  const why = refusal.status === null ? refusal.reason : `${refusal.reason}, ${refusal.status}`;
  const content =
    `A message is missing here: it could not be stored (${why}). It is kept on the node as a dead letter.`;
  return { ...markAt(place, at), content, lost: REFUSED };
}

/** The place of the last row that went. */
function makeMark(place: Evictable, lost: number, at: string): MarkRow {
  const content = `${lost} message${lost === 1 ? " is" : "s are"} missing here: the outbox of the node was full. ` +
    "They are kept on the node as dead letters.";
  return { ...markAt(place, at), content, lost };
}

/** With a new messageId: an older mark may be stored already. */
function markAt({ id, workspaceId, projectId, sessionId }: Evictable, at: string): Omit<MarkRow, "content" | "lost"> {
  const ids = { id, messageId: newId(), workspaceId, projectId, sessionId };
  return { ...ids, role: "system", toolMetadata: null, flags: null, createdAt: at };
}

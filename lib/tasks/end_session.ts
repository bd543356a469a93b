/**
 * The end of a live session, in the commit that ends what ran in it: its prompts and permission requests are closed,
 * the conversation stays.
 */
import type { Change } from "../store/change.ts";
import { closePrompts } from "../store/close_prompts.ts";
import { closePermissions } from "../store/permissions.ts";
import { putSession, type SessionRecord, type StoredAnswer } from "../store/sessions.ts";

/** One that is not active stays as it is. `turn`: the report that ends it, with the answer its repetition gets. */
export async function endSession(
  tx: Change,
  entry: Deno.KvEntryMaybe<SessionRecord>,
  how: { failed: boolean; turn?: { promptId: string; answer: StoredAnswer } },
): Promise<void> {
  if (entry.value?.status !== "active") return;
  await closePrompts(tx, entry.value, how.failed ? "failed" : "cancelled");
  putSession(tx, entry, {
    ...await closePermissions(tx, entry.value),
    status: how.failed ? "error" : "stopped",
    turn: "idle",
    handedOut: null,
    lastTurn: how.turn ?? entry.value.lastTurn,
    endedAt: tx.now,
  });
}

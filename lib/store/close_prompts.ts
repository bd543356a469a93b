/**
 * The end of a session's prompts: what its agent had is closed, what still waited is never run, so that no prompt looks
 * as if somebody were about to take it. Written without checks of their own, which could be more than one commit takes:
 * whoever adds or hands out a prompt writes the session too, and an edit at the same time loses its own check.
 */
import type { PromptState } from "../wire/session.ts";
import type { Change } from "./change.ts";
import { projectTopic, promptKey } from "./keys.ts";
import { getPromptById, isWaiting, type PromptRecord } from "./prompts.ts";
import type { SessionRecord } from "./sessions.ts";

/** Closes them within the change that ends the session; `handedOut` is what becomes of the one that the agent had. */
export async function closePrompts(
  tx: Change,
  session: SessionRecord,
  handedOut: Extract<PromptState, "failed" | "cancelled">,
): Promise<void> {
  const [first, last] = [session.promptsTaken + 1, session.promptCount + 1];
  const line = tx.kv.list<PromptRecord>({ start: promptKey(session.id, first), end: promptKey(session.id, last) });
  for await (const entry of line) if (isWaiting(entry.value)) close(tx, session, entry, "cancelled");
  const current = session.handedOut ? await getPromptById(tx, session.id, session.handedOut) : null;
  if (current?.value && ["sent", "running"].includes(current.value.state)) {
    close(tx, session, current as Deno.KvEntry<PromptRecord>, handedOut);
  }
}

function close(tx: Change, session: SessionRecord, entry: Deno.KvEntry<PromptRecord>, state: PromptState): void {
  tx.set(entry.key, { ...entry.value, state, change: tx.id });
  tx.announce(projectTopic(session.projectId), ["prompt", session.id, entry.value.messageId]);
}

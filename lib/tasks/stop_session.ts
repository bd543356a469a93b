/** The end of a session that no task owns: its workspace is stopped and the conversation stays. */
import type { Edge } from "../edge.ts";
import { change } from "../store/change.ts";
import { sessionKey } from "../store/keys.ts";
import { putSession, type SessionRecord } from "../store/sessions.ts";
import { discardWorkspace } from "./release.ts";

/** Ends the session and its workspace; one that has ended stays as it is. */
export async function stopManualSession(edge: Edge, session: SessionRecord): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await tx.get<SessionRecord>(sessionKey(session.projectId, session.id));
    if (entry.value?.status !== "active") return;
    putSession(tx, entry, { ...entry.value, status: "stopped", turn: "idle", handedOut: null, endedAt: tx.now });
  }, edge.clock);
  if (session.workspaceId) await discardWorkspace(edge, session.workspaceId);
}

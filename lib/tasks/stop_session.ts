/** The end of a session that no task owns: its workspace is stopped and the conversation stays. */
import type { Edge } from "../edge.ts";
import { change } from "../store/change.ts";
import { sessionKey } from "../store/keys.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { endSession } from "./end_session.ts";
import { discardWorkspace } from "./release.ts";

/** Ends the session and its workspace; one that has ended stays as it is. */
export async function stopManualSession(edge: Edge, session: SessionRecord): Promise<void> {
  await change(edge.store, async (tx) => {
    await endSession(tx, await tx.get<SessionRecord>(sessionKey(session.projectId, session.id)), { failed: false });
  }, edge.clock);
  if (session.workspaceId) await discardWorkspace(edge, session.workspaceId);
}

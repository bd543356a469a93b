/** Asks the edge what it wants of a workspace, until it has answered. */
import { backoffMs, wait } from "../../lib/backoff.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Runtime } from "../../lib/wire/workspace.ts";
import { EdgeRefusal } from "../delivery/edge_client.ts";
import type { WorkspaceParts } from "./workspace_parts.ts";

const RETRY = { initialMs: 500, maxMs: 30_000 };
/** The edge knows no such workspace, or it is not ours. */
const GONE = [403, 404, 410];

/** Null when the edge knows no such workspace of ours. Throws when `signal` aborts. */
export async function readRuntime(
  parts: Pick<WorkspaceParts, "edge" | "log">,
  workspaceId: string,
  signal: AbortSignal,
): Promise<Runtime | null> {
  for (let attempt = 0;; attempt++) {
    signal.throwIfAborted();
    try {
      return await parts.edge.runtime(workspaceId);
    } catch (error) {
      if (error instanceof EdgeRefusal && GONE.includes(error.status)) return null;
      parts.log.warn("workspace.runtime_not_read", { workspaceId, reason: messageOf(error) });
    }
    await wait(backoffMs(attempt, RETRY, Math.random()), signal);
  }
}

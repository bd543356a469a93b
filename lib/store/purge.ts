/** Removes what a deleted task or project or a destroyed node leaves behind, in commits of bounded size; safe to begin again. */
import type { Store } from "./store.ts";

const DELETES_PER_COMMIT = 500;

/** `id` is `task/<taskId>/<sessionId>`, `project/<projectId>` or `node/<nodeId>`. */
export async function purge(store: Store, id: string): Promise<void> {
  const [kind, first, second] = id.split("/");
  if (kind === "task") await purgeTask(store, first!, second!);
  if (kind === "project") await purgeProject(store, first!);
  if (kind === "node") await purgeCommands(store, first!);
}

async function purgeTask(store: Store, taskId: string, sessionId: string): Promise<void> {
  await store.kv.delete(["taskText", taskId]);
  for (const prefix of [["taskEvent", taskId], ["dependent", taskId]]) await deleteAll(store, prefix);
  await purgeSession(store, sessionId);
}

async function purgeSession(store: Store, sessionId: string): Promise<void> {
  const families = ["msg", "msgPart", "msgId", "prompt", "promptById", "permission"];
  for (const family of families) await deleteAll(store, [family, sessionId]);
}

async function purgeProject(store: Store, projectId: string): Promise<void> {
  for await (const entry of store.kv.list<{ sessionId: string }>({ prefix: ["task", projectId] })) {
    await purgeTask(store, entry.key[2] as string, entry.value.sessionId);
  }
  for await (const entry of store.kv.list({ prefix: ["session", projectId] })) {
    await purgeSession(store, entry.key[2] as string);
  }
  const families = ["task", "taskByStatus", "taskByPriority", "taskByUpdate", "taskLive", "taskEdges"];
  const others = ["session", "sessionByActivity", "workspaceByProject", "tally"];
  for (const family of [...families, ...others]) await deleteAll(store, [family, projectId]);
}

/** Nobody takes them any more. */
async function purgeCommands(store: Store, nodeId: string): Promise<void> {
  for (const family of ["command", "commandHead", "commandAck", "nodeLink"]) await deleteAll(store, [family, nodeId]);
}

async function deleteAll(store: Store, prefix: Deno.KvKey): Promise<void> {
  await store.kv.delete(prefix);
  while (true) {
    const entries = await Array.fromAsync(store.kv.list({ prefix }, { limit: DELETES_PER_COMMIT }));
    if (entries.length === 0) return;
    const op = store.kv.atomic();
    entries.forEach((entry) => op.delete(entry.key));
    await op.commit();
  }
}

/** Removes what a deleted task or project leaves behind, in commits of bounded size; safe to begin again. */
import type { Store } from "./store.ts";

const DELETES_PER_COMMIT = 500;

/** `id` is `task/<taskId>/<sessionId>`. */
export async function purge(store: Store, id: string): Promise<void> {
  const [kind, taskId, sessionId] = id.split("/");
  if (kind !== "task" || !taskId || !sessionId) return;
  await store.kv.delete(["taskText", taskId]);
  const families = [
    ["taskEvent", taskId],
    ["dependent", taskId],
    ["msg", sessionId],
    ["msgPart", sessionId],
    ["msgId", sessionId],
    ["prompt", sessionId],
    ["promptById", sessionId],
  ];
  for (const prefix of families) await deleteAll(store, prefix);
}

async function deleteAll(store: Store, prefix: Deno.KvKey): Promise<void> {
  while (true) {
    const entries = await Array.fromAsync(store.kv.list({ prefix }, { limit: DELETES_PER_COMMIT }));
    if (entries.length === 0) return;
    const op = store.kv.atomic();
    entries.forEach((entry) => op.delete(entry.key));
    await op.commit();
  }
}

/**
 * What the shown session's coding agent asks. The session counts the requests that wait: where others are known here,
 * they are read anew. Somebody else may be first to answer: then the request goes all the same.
 */
import { computed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { PermissionList } from "../lib/ui/PermissionCard.tsx";
import { pageOf } from "../lib/wire/common.ts";
import { type PermissionRequest, permissionRequest } from "../lib/wire/permission.ts";
import type { Session } from "../lib/wire/session.ts";
import type { ProjectActions } from "./_actions.ts";
import { ApiError, call, sentenceOf } from "./_api.ts";
import { useProjectPage } from "./_page.ts";
import { keepTrying, type ProjectStore } from "./_project.ts";

/** Frames of one commit come within this; what differs then differs in truth. */
const PATIENCE_MS = 300;

export function Permissions({ session }: { session: Session }) {
  const { store, actions } = useProjectPage();
  useEffect(() => follow(store, session.id), [session.id]);
  return (
    <PermissionList
      requests={[...store.state.value.permissions[session.id] ?? []]}
      onAnswer={(request, optionId) => answer(store, actions, { request, optionId })}
    />
  );
}

function follow(store: ProjectStore, sessionId: string): () => void {
  const end = new AbortController();
  const differs = computed(() => {
    const { sessions, permissions } = store.state.value;
    return (sessions[sessionId]?.pendingPermissions ?? 0) !== (permissions[sessionId]?.length ?? 0);
  });
  const attempt = async () => {
    const path = `${pathOf(store, sessionId)}?status=pending`;
    const { items } = await call(path, { answer: pageOf(permissionRequest) });
    store.dispatch({ type: "permissions", sessionId, requests: items });
    if (!differs.peek()) return;
    await store.loadSession(sessionId);
    throw new Error("The store has other requests than the session counts.");
  };
  const stop = keepTrying(end.signal, { wanted: () => differs.value, patienceMs: PATIENCE_MS, attempt });
  return () => {
    end.abort();
    stop();
  };
}

async function answer(
  store: ProjectStore,
  actions: ProjectActions,
  { request, optionId }: { request: PermissionRequest; optionId: string },
): Promise<void> {
  const { sessionId, requestId } = request;
  const path = `${pathOf(store, sessionId)}/${requestId}`;
  try {
    await call(path, { method: "POST", body: { optionId }, answer: permissionRequest });
  } catch (error) {
    const isLate = error instanceof ApiError && error.code === "already_answered";
    actions.toast(isLate ? "info" : "error", sentenceOf(error));
    if (!isLate) return;
  }
  const resolved = { type: "permission.resolved", sessionId, requestId, outcome: "answered", by: null } as const;
  store.dispatch({ type: "frame", frame: resolved });
}

function pathOf(store: ProjectStore, sessionId: string): string {
  return `/api/projects/${store.projectId}/sessions/${sessionId}/permissions`;
}

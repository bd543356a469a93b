/** The addresses of a project's page, in both directions: `/projects/:id`, `…/chat/:sessionId`, `…/board`. */
import { isUuid } from "../ids.ts";

export type View = "chat" | "board";

export interface ProjectRoute {
  view: View;
  /** The session that the address names; the board's address names none. */
  sessionId: string | null;
}

/** The route of a project's page, or null for an address of another page. */
export function readRoute(pathname: string, projectId: string): ProjectRoute | null {
  const base = `/projects/${projectId}`;
  if (pathname === base || pathname === `${base}/chat`) return { view: "chat", sessionId: null };
  if (pathname === `${base}/board`) return { view: "board", sessionId: null };
  const id = pathname.startsWith(`${base}/chat/`) ? pathname.slice(base.length + 6) : "";
  return isUuid(id) ? { view: "chat", sessionId: id } : null;
}

export function routePath(projectId: string, { view, sessionId }: ProjectRoute): string {
  if (view === "board") return `/projects/${projectId}/board`;
  return sessionId ? `/projects/${projectId}/chat/${sessionId}` : `/projects/${projectId}`;
}

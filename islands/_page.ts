/**
 * Where the reader is on the project page: the view, the address, back and forward. Views change without a reload;
 * the selected session, the scroll positions and the texts stay, because nothing is taken down.
 */
import { type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type ProjectRoute, readRoute, routePath, type View } from "../lib/ui/route.ts";
import type { TaskDraft } from "../lib/ui/task_draft.ts";
import type { Options } from "../lib/wire/account.ts";
import type { Project } from "../lib/wire/project.ts";
import type { ProjectActions } from "./_actions.ts";
import type { PromptDrafts } from "./_drafts.ts";
import type { ProjectStore } from "./_project.ts";
import type { SessionSearch } from "./_search.ts";

export class Navigation {
  readonly view: Signal<View>;
  /** On small screens: the list of sessions lies over the page. */
  readonly drawerOpen = signal(false);
  readonly #store: ProjectStore;

  constructor(store: ProjectStore, view: View) {
    this.#store = store;
    this.view = signal(view);
  }

  pathOf(route: ProjectRoute): string {
    return routePath(this.#store.projectId, route);
  }

  showSession(sessionId: string): void {
    this.#go({ view: "chat", sessionId });
  }

  showView(view: View): void {
    this.#go({ view, sessionId: view === "chat" ? this.#store.state.peek().selectedId : null });
  }

  /** Follows back and forward. The answer ends it. */
  listen(): () => void {
    const onPop = () => {
      const route = readRoute(location.pathname, this.#store.projectId);
      if (route) this.#apply(route);
    };
    addEventListener("popstate", onPop);
    return () => removeEventListener("popstate", onPop);
  }

  #go(route: ProjectRoute): void {
    const path = this.pathOf(route);
    if (path !== location.pathname) history.pushState(null, "", path);
    this.#apply(route);
  }

  #apply({ view, sessionId }: ProjectRoute): void {
    this.view.value = view;
    this.drawerOpen.value = false;
    if (view === "chat") this.#store.select(sessionId ?? this.#store.sessions.peek()[0]?.id ?? null);
  }
}

/** What lies over the page, one at a time. */
export type OpenDialog = { kind: "history"; taskId: string } | { kind: "shortcuts" } | { kind: "commands" };

export interface ProjectPageContext {
  project: Project;
  options: Options;
  store: ProjectStore;
  actions: ProjectActions;
  navigation: Navigation;
  prompts: PromptDrafts;
  taskDraft: Signal<TaskDraft>;
  search: SessionSearch;
  dialog: Signal<OpenDialog | null>;
}

export const PageContext = createContext<ProjectPageContext | null>(null);

export function useProjectPage(): ProjectPageContext {
  const page = useContext(PageContext);
  if (!page) throw new Error("This part belongs inside the project page.");
  return page;
}

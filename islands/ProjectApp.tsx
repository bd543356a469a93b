/**
 * The project page: sessions at the side, the selected one or the board in the middle, the task form at the foot.
 * Everything in it shares one store; both views stay in place and only one is shown.
 */
import { computed, effect, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ClockContext, useTicking } from "../lib/ui/clock.ts";
import { Icon } from "../lib/ui/Icon.tsx";
import { lazy } from "../lib/ui/lazy.ts";
import { MarkdownContext } from "../lib/ui/Markdown.tsx";
import { Toasts } from "../lib/ui/Notice.tsx";
import type { View } from "../lib/ui/route.ts";
import { SessionList } from "../lib/ui/SessionList.tsx";
import { NEW_DRAFT, type TaskDraft } from "../lib/ui/task_draft.ts";
import { type SubmitKind, TaskForm } from "../lib/ui/TaskForm.tsx";
import type { Options } from "../lib/wire/account.ts";
import type { Project } from "../lib/wire/project.ts";
import { ProjectActions } from "./_actions.ts";
import { BoardView } from "./_BoardView.tsx";
import { ChatView } from "./_ChatView.tsx";
import { ConnectionMark } from "./_ConnectionMark.tsx";
import { keepTaskDraft, PromptDrafts } from "./_drafts.ts";
import { loadedMarkdown } from "./_loaded_markdown.ts";
import { Navigation, type OpenDialog, PageContext, type ProjectPageContext, useProjectPage } from "./_page.ts";
import { type ProjectData, ProjectStore } from "./_project.ts";
import { SessionSearch } from "./_search.ts";
import { listenForKeys } from "./_shortcuts.ts";

export interface ProjectAppProps extends ProjectData {
  project: Project;
  options: Options;
  view: View;
  /** The server's time, so that the first render is the same at both ends. */
  now: number;
}

export default function ProjectApp(props: ProjectAppProps) {
  const clock = useTicking(props.now);
  const taskDraft = useSignal<TaskDraft>(NEW_DRAFT);
  const dialog = useSignal<OpenDialog | null>(null);
  const page = useMemo<ProjectPageContext>(() => {
    const store = new ProjectStore(props);
    return {
      project: props.project,
      options: props.options,
      store,
      actions: new ProjectActions(store),
      navigation: new Navigation(store, props.view),
      prompts: new PromptDrafts(),
      taskDraft,
      search: new SessionSearch(props.projectId, store.sessions),
      dialog,
    };
  }, []);
  const markdown = useMemo(loadedMarkdown, []);
  useEffect(() => run(page), []);

  return (
    <ClockContext.Provider value={clock}>
      <PageContext.Provider value={page}>
        <MarkdownContext.Provider value={markdown}>
          <div class="project">
            <Sidebar />
            <main class="project-main">
              <ProjectBar />
              <Views />
              <NewTask />
            </main>
            <Dialogs />
            <Toasts toasts={page.actions.toasts} onClose={(id) => page.actions.closeToast(id)} />
          </div>
        </MarkdownContext.Provider>
      </PageContext.Provider>
    </ClockContext.Provider>
  );
}

/** All that the page does besides showing; the answer ends it. */
function run({ project, store, actions, navigation, search, taskDraft, dialog }: ProjectPageContext): () => void {
  store.start();
  const step = (by: number) => {
    const sessions = store.sessions.peek();
    const at = sessions.findIndex((session) => session.id === store.state.peek().selectedId);
    const next = sessions[Math.max(0, Math.min(sessions.length - 1, at + by))];
    if (next) navigation.showSession(next.id);
  };
  const title = computed(() => {
    const topic = navigation.view.value === "board" ? "Board" : store.selected.value?.topic;
    const asks = store.sessions.value.reduce((sum, { pendingPermissions }) => sum + pendingPermissions, 0);
    return `${asks > 0 ? `(${asks}) ` : ""}${topic ? `${topic} · ` : ""}${project.name} · Hearth`;
  });
  const stops = [
    () => store[Symbol.dispose](),
    navigation.listen(),
    search.start(),
    keepTaskDraft(project.id, taskDraft),
    effect(() => void (document.title = title.value)),
    listenForKeys({
      c: () => navigation.showView("chat"),
      b: () => navigation.showView("board"),
      n: () => document.getElementById("task-text")?.focus(),
      j: () => step(1),
      k: () => step(-1),
      "/": () => document.getElementById("session-search")?.focus(),
      "?": () => void (dialog.value = { kind: "shortcuts" }),
      "Ctrl+K": () => void (dialog.value = { kind: "commands" }),
      Escape: () => void (navigation.drawerOpen.value = false),
      "Ctrl+Shift+X": () => {
        const session = store.selected.peek();
        if (session?.turn === "running") void actions.interrupt(session.id);
      },
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

const OpenedDialog = lazy(() => import("./_Dialogs.tsx").then((loaded) => loaded.OpenedDialog));

/** What lies over the page, loaded when it is first wanted. */
export function Dialogs() {
  const open = useProjectPage().dialog.value;
  return open ? <OpenedDialog open={open} key={open.kind} /> : null;
}

function Sidebar() {
  const { store, navigation, search } = useProjectPage();
  const open = navigation.drawerOpen.value;
  const searching = search.text.value.trim() !== "";
  const { cursor, busy } = store.moreSessions.value;
  return (
    <>
      <aside class={open ? "sidebar open" : "sidebar"} id="sessions" aria-label="Sessions">
        <div class="sidebar-head">
          <h2>Sessions</h2>
          <button
            type="button"
            class="icon-button narrow-only"
            aria-label="Close the list of sessions"
            onClick={() => (navigation.drawerOpen.value = false)}
          >
            <Icon name="close" />
          </button>
        </div>
        <SearchField search={search} />
        <nav class="sidebar-list" aria-label="Sessions">
          <SessionList
            sessions={search.sessions.value}
            search={searching ? { busy: search.busy.value, onClear: () => (search.text.value = "") } : null}
            selectedId={store.state.value.selectedId}
            hrefOf={(sessionId) => navigation.pathOf({ view: "chat", sessionId })}
            onSelect={(sessionId) => navigation.showSession(sessionId)}
            more={cursor && !searching ? { busy, onMore: () => void store.loadMoreSessions() } : null}
          />
        </nav>
      </aside>
      {open ? <div class="backdrop" onClick={() => (navigation.drawerOpen.value = false)} /> : null}
    </>
  );
}

function SearchField({ search }: { search: SessionSearch }) {
  return (
    <div class="search" role="search">
      <Icon name="search" />
      <input
        id="session-search"
        type="search"
        aria-label="Search the sessions"
        title="Search (/)"
        placeholder="Search"
        autoComplete="off"
        value={search.text.value}
        onInput={(event) => (search.text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          search.text.value = "";
          event.currentTarget.blur();
        }}
      />
    </div>
  );
}

function ProjectBar() {
  const { project, store, navigation } = useProjectPage();
  return (
    <div class="project-bar">
      <button
        type="button"
        class="icon-button narrow-only"
        aria-label="Sessions"
        aria-controls="sessions"
        aria-expanded={navigation.drawerOpen.value ? "true" : "false"}
        onClick={() => (navigation.drawerOpen.value = true)}
      >
        <Icon name="menu" />
      </button>
      <h1 class="project-name" title={project.repositoryUrl}>{project.name}</h1>
      <ConnectionMark status={store.connection} />
      <nav class="segments" aria-label="View">
        <ViewLink view="chat" label="Chat" />
        <ViewLink view="board" label="Board" />
      </nav>
      <a class="icon-button" href={`/projects/${project.id}/settings`} aria-label="Project settings" title="Settings">
        <Icon name="settings" />
      </a>
    </div>
  );
}

function ViewLink({ view, label }: { view: View; label: string }) {
  const { store, navigation } = useProjectPage();
  const sessionId = view === "chat" ? store.state.value.selectedId : null;
  const current = navigation.view.value === view;
  return (
    <a
      class={current ? "segment current" : "segment"}
      href={navigation.pathOf({ view, sessionId })}
      aria-current={current ? "page" : undefined}
      title={`${label} (${label[0]!.toLowerCase()})`}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        navigation.showView(view);
      }}
    >
      <Icon name={view} />
      {label}
    </a>
  );
}

function Views() {
  const { navigation } = useProjectPage();
  const view = navigation.view.value;
  return (
    <div class="views">
      <div class={view === "chat" ? "view" : "view away"} aria-hidden={view === "chat" ? undefined : "true"}>
        <ChatView />
      </div>
      <div class={view === "board" ? "view" : "view away"} aria-hidden={view === "board" ? undefined : "true"}>
        <BoardView />
      </div>
    </div>
  );
}

function NewTask() {
  const { project, options, actions, navigation, store, taskDraft } = useProjectPage();
  const submit = async (kind: SubmitKind, draft: TaskDraft) => {
    const failure = await actions.submit(kind, draft);
    const { selectedId } = store.state.peek();
    if (!failure && kind === "run" && selectedId) navigation.showSession(selectedId);
    return failure;
  };
  return (
    <div class="dock">
      <TaskForm
        project={project}
        options={options}
        draft={taskDraft}
        tasks={() => Object.values(store.state.peek().tasks)}
        onSubmit={submit}
      />
    </div>
  );
}

/**
 * The workspace page: the conversation as it goes on, what git says of the files, and for the owner of the machine a
 * terminal. Wide windows show the conversation beside the rest, narrow ones one of them at a time; nothing is taken
 * down by looking at something else.
 */
import { computed, type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { ClockContext, useTicking } from "../lib/ui/clock.ts";
import { Icon } from "../lib/ui/Icon.tsx";
import { WORKSPACE_STATUS } from "../lib/ui/labels.ts";
import { MarkdownContext } from "../lib/ui/Markdown.tsx";
import { Notice, Toasts } from "../lib/ui/Notice.tsx";
import { panelId, type Tab, tabId, Tabs } from "../lib/ui/Tabs.tsx";
import { NEW_DRAFT } from "../lib/ui/task_draft.ts";
import { canOpen } from "../lib/ui/views.ts";
import type { Options } from "../lib/wire/account.ts";
import { type Node, node } from "../lib/wire/node.ts";
import type { Project } from "../lib/wire/project.ts";
import { type Workspace, workspace as workspaceSchema } from "../lib/wire/workspace.ts";
import { ProjectActions } from "./_actions.ts";
import { call } from "./_api.ts";
import { ChangesPane } from "./_ChangesPane.tsx";
import { ChatView } from "./_ChatView.tsx";
import { ConnectionMark } from "./_ConnectionMark.tsx";
import { PromptDrafts } from "./_drafts.ts";
import { loadedMarkdown } from "./_loaded_markdown.ts";
import { Navigation, type OpenDialog, PageContext, type ProjectPageContext } from "./_page.ts";
import { type ProjectData, ProjectStore } from "./_project.ts";
import { Dialogs } from "./ProjectApp.tsx";
import { SessionSearch } from "./_search.ts";
import { listenForKeys } from "./_shortcuts.ts";
import { TerminalPane } from "./_TerminalPane.tsx";

/** How often a machine, and a workspace that no project's feed tells of, are asked about. */
const LOOK_MS = 15_000;
/** Below this only one pane has room. */
const WIDE = "(min-width: 960px)";

export interface WorkspaceAppProps {
  workspace: Workspace;
  /** Its machine, for the machine's owner alone: they get a terminal. */
  node: Node | null;
  /** Where it belongs to a project: that, and its conversation. */
  place: { project: Project; data: ProjectData } | null;
  options: Options;
  now: number;
}

export default function WorkspaceApp(props: WorkspaceAppProps) {
  const clock = useTicking(props.now);
  const dialog = useSignal<OpenDialog | null>(null);
  const taskDraft = useSignal(NEW_DRAFT);
  const page = useMemo(() => props.place && pageOf({ ...props, place: props.place, dialog, taskDraft }), []);
  const markdown = useMemo(loadedMarkdown, []);
  const machine = useSignal(props.node);
  const own = useSignal(props.workspace);
  const workspace = useMemo(
    () => computed(() => page?.store.state.value.workspaces[props.workspace.id] ?? own.value),
    [],
  );
  useEffect(() => {
    page?.store.start();
    const stops = [
      lookAfter(props, { machine, own, isOpen: () => canOpen(workspace.peek()) }),
      listenForKeys({ "Ctrl+Shift+X": () => page && interrupt(page) }),
      () => page?.store[Symbol.dispose](),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);

  return (
    <ClockContext.Provider value={clock}>
      <PageContext.Provider value={page}>
        <MarkdownContext.Provider value={markdown}>
          <main class="workspace-page">
            <Bar workspace={workspace.value} page={page} />
            <Troubles workspace={workspace.value} machine={machine.value} />
            <Panes workspace={workspace.value} page={page} isOwner={props.node !== null} />
            {page ? <Dialogs /> : null}
            {page ? <Toasts toasts={page.actions.toasts} onClose={(id) => page.actions.closeToast(id)} /> : null}
          </main>
        </MarkdownContext.Provider>
      </PageContext.Provider>
    </ClockContext.Provider>
  );
}

type Parts = WorkspaceAppProps & Pick<ProjectPageContext, "taskDraft"> & {
  place: NonNullable<WorkspaceAppProps["place"]>;
  dialog: Signal<OpenDialog | null>;
};

function pageOf({ place, options, dialog, taskDraft }: Parts): ProjectPageContext {
  const store = new ProjectStore(place.data);
  return {
    project: place.project,
    options,
    store,
    actions: new ProjectActions(store),
    navigation: new Navigation(store, "chat"),
    prompts: new PromptDrafts(),
    taskDraft,
    search: new SessionSearch(place.project.id, store.sessions),
    dialog,
  };
}

function interrupt({ store, actions }: ProjectPageContext): void {
  const session = store.selected.peek();
  if (session?.turn === "running") void actions.interrupt(session.id);
}

/** Keeps what no live socket tells: the machine, and a workspace without a project. The answer ends it. */
function lookAfter(
  { workspace, node: shown, place }: WorkspaceAppProps,
  at: { machine: Signal<Node | null>; own: Signal<Workspace>; isOpen: () => boolean },
): () => void {
  const look = async () => {
    if (!at.isOpen()) return;
    if (shown) at.machine.value = await call(`/api/nodes/${shown.id}`, { answer: node }).catch(() => at.machine.peek());
    if (place) return;
    const path = `/api/workspaces/${workspace.id}`;
    at.own.value = await call(path, { answer: workspaceSchema }).catch(() => at.own.peek());
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  return () => clearInterval(timer);
}

function Bar({ workspace, page }: { workspace: Workspace; page: ProjectPageContext | null }) {
  const session = workspace.sessionId;
  const back = page ? page.navigation.pathOf({ view: "chat", sessionId: session }) : "/projects";
  return (
    <div class="project-bar">
      <a class="icon-button" href={back} aria-label={page ? "Back to the project" : "Back to the projects"}>
        <Icon name="back" />
      </a>
      <h1 class="project-name" title={workspace.repositoryUrl}>
        {page ? `Workspace of ${page.project.name}` : "Workspace"}
      </h1>
      <span class={`workspace-status workspace-${workspace.status}`}>
        {workspace.keptUntil ? "Kept for inspection" : WORKSPACE_STATUS[workspace.status]}
      </span>
      {page ? <ConnectionMark status={page.store.connection} /> : null}
    </div>
  );
}

function Troubles({ workspace, machine }: { workspace: Workspace; machine: Node | null }) {
  if (!canOpen(workspace)) {
    return (
      <Notice kind="info" title="The workspace is gone">
        {workspace.errorMessage ??
          "Its files were removed from the machine. What was pushed is on its branch, and the conversation stays."}
      </Notice>
    );
  }
  if (machine?.health !== "unreachable") return null;
  return (
    <Notice kind="warning" title="The machine is unreachable">
      It has not been heard of for a while. The coding agent may go on working there; changes and a terminal come back
      with the machine.
    </Notice>
  );
}

type Pane = "chat" | "changes" | "terminal";

interface PanesProps {
  workspace: Workspace;
  page: ProjectPageContext | null;
  isOwner: boolean;
}

function Panes({ workspace, page, isOwner }: PanesProps) {
  const wide = useSignal(true);
  const chosen = useSignal<Pane>("changes");
  const hasChat = page !== null && workspace.sessionId !== null;
  useEffect(() => {
    const query = matchMedia(WIDE);
    const follow = () => (wide.value = query.matches);
    follow();
    if (!query.matches && hasChat) chosen.value = "chat";
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  const beside = hasChat && wide.value;
  const tabs: Tab<Pane>[] = [{ id: "changes", label: "Changes" }, { id: "terminal", label: "Terminal" }];
  if (hasChat && !beside) tabs.unshift({ id: "chat", label: "Chat" });
  const shown = tabs.find(({ id }) => id === chosen.value)?.id ?? "changes";
  const ended = canOpen(workspace) ? null : "The workspace is gone from its machine.";
  return (
    <div class={beside ? "workspace-panes beside" : "workspace-panes"}>
      <Tabs name="Workspace" tabs={tabs} chosen={shown} onChoose={(id) => (chosen.value = id)} />
      {hasChat
        ? (
          <Panel id="chat" isTab={!beside} shown={beside || shown === "chat"}>
            <ChatView />
          </Panel>
        )
        : null}
      <Panel id="changes" isTab shown={shown === "changes"}>
        <ChangesPane
          workspaceId={workspace.id}
          shown={shown === "changes"}
          ready={workspace.status !== "creating"}
          ended={ended}
          news={page?.store.selected.value?.lastSeq ?? 0}
        />
      </Panel>
      <Panel id="terminal" isTab shown={shown === "terminal"}>
        <TerminalPane
          workspaceId={workspace.id}
          shown={shown === "terminal"}
          ready={workspace.status !== "creating"}
          ended={isOwner ? ended : "Only the owner of the machine gets a terminal in it."}
        />
      </Panel>
    </div>
  );
}

interface PanelProps {
  id: Pane;
  /** Shown by its tab; else it stands by itself. */
  isTab: boolean;
  shown: boolean;
  children: ComponentChildren;
}

/** Out of sight it stays in place, so that scroll positions, half-written texts and the shell stay. */
function Panel({ id, isTab, shown, children }: PanelProps) {
  return (
    <section
      class={`workspace-pane pane-${id} ${shown ? "" : "away"}`}
      id={panelId(id)}
      role={isTab ? "tabpanel" : "region"}
      aria-labelledby={isTab ? tabId(id) : undefined}
      aria-label={isTab ? undefined : "Conversation"}
      aria-hidden={shown ? undefined : "true"}
    >
      {children}
    </section>
  );
}

/** What can lie over the project page: a task's history, the list of shortcuts, the command menu. Loaded when needed. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { CommandMenu } from "../lib/ui/CommandMenu.tsx";
import type { Command } from "../lib/ui/commands.ts";
import { Dialog } from "../lib/ui/Dialog.tsx";
import { History } from "../lib/ui/History.tsx";
import { TASK_STATUS } from "../lib/ui/labels.ts";
import { ShortcutList } from "../lib/ui/ShortcutList.tsx";
import { isLive, runLabel } from "../lib/ui/views.ts";
import { pageOf } from "../lib/wire/common.ts";
import { type TaskEvent, taskEvent } from "../lib/wire/task.ts";
import { call, sentenceOf } from "./_api.ts";
import { type OpenDialog, type ProjectPageContext, useProjectPage } from "./_page.ts";

export function OpenedDialog({ open }: { open: OpenDialog }) {
  const page = useProjectPage();
  const close = () => void (page.dialog.value = null);
  switch (open.kind) {
    case "history":
      return (
        <Dialog title="History" onClose={close}>
          <TaskHistory taskId={open.taskId} />
        </Dialog>
      );
    case "shortcuts":
      return (
        <Dialog title="Keyboard shortcuts" onClose={close}>
          <ShortcutList />
        </Dialog>
      );
    case "commands":
      return (
        <Dialog title="Commands" bare onClose={close}>
          <CommandMenu commands={commandsOf(page)} onClose={close} />
        </Dialog>
      );
  }
}

function TaskHistory({ taskId }: { taskId: string }) {
  const { store } = useProjectPage();
  const events = useSignal<TaskEvent[] | null>(null);
  const error = useSignal<string | null>(null);
  const load = async () => {
    error.value = null;
    try {
      const path = `/api/projects/${store.projectId}/tasks/${taskId}/events`;
      events.value = (await call(path, { answer: pageOf(taskEvent) })).items.toReversed();
    } catch (cause) {
      error.value = sentenceOf(cause);
    }
  };
  useEffect(() => void load(), [taskId]);
  return <History events={events.value} error={error.value} onRetry={() => void load()} />;
}

/** What can be done now, then the sessions. */
function commandsOf(page: ProjectPageContext): Command[] {
  const { project, store, navigation } = page;
  const go = (path: string) => () => location.assign(path);
  return [
    { id: "new", label: "New task", hint: "n", icon: "plus", run: () => focusOn("task-text") },
    ...sessionCommands(page),
    { id: "chat", label: "Show the chat", hint: "c", icon: "chat", run: () => navigation.showView("chat") },
    { id: "board", label: "Show the board", hint: "b", icon: "board", run: () => navigation.showView("board") },
    { id: "search", label: "Search the sessions", hint: "/", icon: "search", run: () => focusOn("session-search") },
    {
      id: "settings",
      label: "Project settings",
      hint: "",
      icon: "settings",
      run: go(`/projects/${project.id}/settings`),
    },
    { id: "nodes", label: "Nodes", hint: "", icon: "server", run: go("/nodes") },
    { id: "projects", label: "All projects", hint: "", icon: "folder", run: go("/projects") },
    {
      id: "shortcuts",
      label: "Keyboard shortcuts",
      hint: "?",
      icon: "menu",
      run: () => void (page.dialog.value = { kind: "shortcuts" }),
    },
    ...store.sessions.value.map((session): Command => ({
      id: session.id,
      label: session.topic ?? session.task?.title ?? "Untitled session",
      hint: session.task ? TASK_STATUS[session.task.status] : "",
      icon: "chat",
      run: () => navigation.showSession(session.id),
    })),
  ];
}

/** What can be done with the selected session. */
function sessionCommands({ store, actions }: ProjectPageContext): Command[] {
  const session = store.selected.value;
  const task = store.state.value.tasks[session?.taskId ?? ""];
  if (!session || !task) return [];
  const about = task.title;
  const run = runLabel(task.status);
  const commands: Command[] = [];
  if (run) {
    const icon = run === "Run" ? "play" : "retry";
    commands.push({ id: "run", label: `${run} this task`, hint: about, icon, run: () => void actions.run(task.id) });
  }
  if (isLive(task)) {
    const cancel = () => void actions.cancel(task.id);
    commands.push({ id: "cancel", label: "Cancel this task", hint: about, icon: "stop", run: cancel });
  }
  if (session.turn === "running") {
    const interrupt = () => void actions.interrupt(session.id);
    commands.push({ id: "interrupt", label: "Interrupt the turn", hint: about, icon: "stop", run: interrupt });
  }
  return commands;
}

function focusOn(id: string): void {
  // After the dialog has given the keyboard back.
  setTimeout(() => document.getElementById(id)?.focus(), 0);
}

/** The project's tasks on the board, each with what can be done to it. */
import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Board } from "../lib/ui/Board.tsx";
import { TaskCard } from "../lib/ui/TaskCard.tsx";
import { boardColumns } from "../lib/ui/views.ts";
import type { Task } from "../lib/wire/task.ts";
import { useProjectPage } from "./_page.ts";

export function BoardView() {
  const { store } = useProjectPage();
  const columns = useMemo(() => {
    const tasks = computed(() => store.state.value.tasks);
    return computed(() => boardColumns(tasks.value));
  }, []);
  return <Board columns={columns.value} renderCard={(task) => <Card task={task} />} />;
}

function Card({ task }: { task: Task }) {
  const { project, options, store, actions, navigation } = useProjectPage();
  return (
    <TaskCard
      task={task}
      href={navigation.pathOf({ view: "chat", sessionId: task.sessionId })}
      selected={store.state.value.selectedId === task.sessionId}
      busy={actions.busy.value.has(task.id)}
      project={project}
      options={options}
      onOpen={() => navigation.showSession(task.sessionId)}
      onRun={() => void actions.run(task.id)}
      onCancel={() => void actions.cancel(task.id)}
      onDelete={() => void actions.remove(task)}
      onRead={() => actions.read(task)}
      onSave={(_, draft) => actions.save(task, draft)}
    />
  );
}

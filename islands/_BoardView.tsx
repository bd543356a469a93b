/** The project's tasks on the board, each with what can be done to it, filtered by how urgent they are. */
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Board } from "../lib/ui/Board.tsx";
import { TaskCard } from "../lib/ui/TaskCard.tsx";
import { boardColumns, prioritiesOf, unmetOf } from "../lib/ui/views.ts";
import type { Task } from "../lib/wire/task.ts";
import { useProjectPage } from "./_page.ts";

/** More choices than that are no help; the least urgent ones are left out. */
const CHOICES_MAX = 20;

export function BoardView() {
  const { store } = useProjectPage();
  const { columns, priorities, least } = useMemo(() => {
    const tasks = computed(() => store.state.value.tasks);
    const least = signal<number | null>(null);
    return {
      least,
      priorities: computed(() => prioritiesOf(tasks.value)),
      columns: computed(() => boardColumns(tasks.value, least.value ?? undefined)),
    };
  }, []);
  return (
    <div class="board-view">
      <PriorityFilter priorities={priorities} least={least} />
      <Board columns={columns.value} filtered={least.value !== null} renderCard={(task) => <Card task={task} />} />
    </div>
  );
}

/** Shown where tasks differ, or while it hides some. */
function PriorityFilter({ priorities, least }: { priorities: ReadonlySignal<number[]>; least: Signal<number | null> }) {
  const choices = priorities.value.slice(0, -1).slice(0, CHOICES_MAX);
  const chosen = least.value;
  if (chosen !== null && !choices.includes(chosen)) choices.push(chosen);
  if (choices.length === 0) return null;
  return (
    <div class="board-filter">
      <label for="board-priority">Priority</label>
      <select
        id="board-priority"
        class="field"
        value={chosen === null ? "" : String(chosen)}
        onChange={({ currentTarget: { value } }) => (least.value = value === "" ? null : Number(value))}
      >
        <option value="">All</option>
        {choices.map((each) => <option key={each} value={String(each)}>{`${each} and above`}</option>)}
      </select>
      {chosen === null
        ? null
        : <button type="button" class="button small quiet" onClick={() => (least.value = null)}>Show all</button>}
    </div>
  );
}

function Card({ task }: { task: Task }) {
  const { project, options, store, actions, navigation } = useProjectPage();
  const tasks = store.state.value.tasks;
  return (
    <TaskCard
      task={task}
      href={navigation.pathOf({ view: "chat", sessionId: task.sessionId })}
      selected={store.state.value.selectedId === task.sessionId}
      asks={store.state.value.sessions[task.sessionId]?.pendingPermissions ?? 0}
      busy={actions.busy.value.has(task.id)}
      project={project}
      options={options}
      tasks={() => Object.values(store.state.peek().tasks)}
      waitsFor={unmetOf(task, tasks).map(({ title }) => title)}
      onOpen={() => navigation.showSession(task.sessionId)}
      onRun={() => void actions.run(task.id)}
      onCancel={() => void actions.cancel(task.id)}
      onDelete={() => void actions.remove(task)}
      onRead={() => actions.read(task)}
      onSave={(_, draft) => actions.save(task, draft)}
    />
  );
}

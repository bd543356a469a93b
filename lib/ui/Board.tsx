/**
 * The tasks of a project in columns by state, most urgent first. Arrows move between cards; a card opens the chat of
 * its session; drafts are edited in place and started here.
 */
import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import type { Task, TaskStatus } from "../wire/task.ts";
import { TASK_STATUS } from "./labels.ts";
import type { BoardColumn } from "./views.ts";

const PLACEHOLDER: Record<TaskStatus, string> = {
  draft: "Tasks you save to the backlog wait here.",
  ready: "Tasks ready to be run.",
  queued: "",
  delegated: "",
  in_progress: "What the coding agent works on.",
  completed: "Finished tasks, with their branch.",
  failed: "Runs that failed, with the reason.",
  cancelled: "Tasks you stopped.",
};

export interface BoardProps {
  columns: BoardColumn[];
  /** Some tasks are left out: an empty column may not be one. */
  filtered?: boolean;
  renderCard: (task: Task) => ComponentChildren;
}

export function Board({ columns, filtered = false, renderCard }: BoardProps) {
  return (
    <div class="board" onKeyDown={moveBetweenCards}>
      {columns.map(({ status, tasks }) => (
        <section class="board-column" key={status} aria-label={TASK_STATUS[status]} data-status={status}>
          <h2 class="board-title">
            {TASK_STATUS[status]}
            <span class="count">{String(tasks.length)}</span>
          </h2>
          {tasks.length === 0
            ? <p class="board-empty">{filtered ? "No task of this priority." : PLACEHOLDER[status]}</p>
            : <ul class="cards">{tasks.map((task) => <li key={task.id}>{renderCard(task)}</li>)}</ul>}
        </section>
      ))}
    </div>
  );
}

/** Up and down within a column, left and right to the nearest column that has cards. */
function moveBetweenCards(event: TargetedKeyboardEvent<HTMLElement>): void {
  const here = event.target;
  if (!(here instanceof HTMLElement) || !here.matches(".card-link")) return;
  const columns = [...event.currentTarget.querySelectorAll(".board-column")]
    .map((column) => [...column.querySelectorAll<HTMLElement>(".card-link")]).filter((cards) => cards.length > 0);
  const column = columns.findIndex((cards) => cards.includes(here));
  const row = columns[column]?.indexOf(here) ?? -1;
  const side = (step: number) => {
    const cards = columns[column + step];
    return cards?.[Math.min(row, cards.length - 1)];
  };
  const next = {
    ArrowUp: columns[column]?.[row - 1],
    ArrowDown: columns[column]?.[row + 1],
    ArrowLeft: side(-1),
    ArrowRight: side(1),
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** `tasks`: what runs on this installation, or what a project has; and ending a run. */
import { readUser } from "../store/accounts.ts";
import { listAllProjects, readProject } from "../store/projects.ts";
import { listLiveTasks, listTasks, readTask, type TaskRecord } from "../store/tasks.ts";
import { isUuid } from "../ids.ts";
import { cutText } from "../bytes.ts";
import { cancelTask } from "../tasks/cancel.ts";
import { runTask } from "../tasks/submit.ts";
import {
  type CommandCall,
  type CommandResult,
  formatList,
  printable,
  Refusal,
  requireId,
  UsageError,
} from "./command.ts";

const LIST_MAX = 500;
const TITLE_SHOWN = 60;

/** Runs under way of all projects; with `--project` every task of that one, newest first. */
export async function listTasksCommand(call: CommandCall): Promise<CommandResult> {
  const projectId = call.options.get("project");
  const tasks = projectId === undefined ? await readLive(call) : await readOfProject(call, projectId.toLowerCase());
  return formatList(call, await Promise.all(tasks.map((task) => toRow(call, task))));
}

export async function cancelTaskCommand(call: CommandCall): Promise<CommandResult> {
  const id = requireId(call, "task");
  const task = (await readLive(call)).find((each) => each.id === id);
  if (!task) throw new Refusal(`No task ${id} is under way. \`deno task admin tasks list\` shows those that are.`);
  const { done } = await cancelTask(call.edge, task, "Cancelled by an admin.");
  return { text: done ? `Cancelled task ${id}.` : `Task ${id} had ended already.` };
}

/** Starts a failed or cancelled task again, as the person who ran it last. */
export async function retryTaskCommand(call: CommandCall): Promise<CommandResult> {
  const id = requireId(call, "task");
  const task = await findTask(call, id);
  if (!task) {
    throw new Refusal(`There is no task ${id}. \`deno task admin tasks list --project ID\` shows a project's.`);
  }
  const { run } = await runTask(call.edge, task, {}, task.ownerId);
  return { text: `Queued run ${run} of task ${id}.`, note: "The Hearth that runs begins with it within a minute." };
}

/** Tasks lie under their projects: each project is asked for it. */
async function findTask({ edge }: CommandCall, id: string): Promise<TaskRecord | null> {
  for await (const project of listAllProjects(edge.store)) {
    const task = await readTask(edge.store, project.id, id);
    if (task) return task;
  }
  return null;
}

async function readLive({ edge }: CommandCall): Promise<TaskRecord[]> {
  const refs = await Array.fromAsync(listLiveTasks(edge.store));
  const tasks = await Promise.all(refs.map(({ projectId, taskId }) => readTask(edge.store, projectId, taskId)));
  return tasks.filter((task) => task !== null);
}

async function readOfProject({ edge }: CommandCall, projectId: string): Promise<TaskRecord[]> {
  if (!isUuid(projectId)) {
    throw new UsageError(
      `"${printable(projectId)}" is not the id of a project. It stands in the project page's address.`,
    );
  }
  if (!await readProject(edge.store, projectId)) throw new Refusal(`There is no project ${projectId}.`);
  return (await listTasks(edge.store, projectId, { limit: LIST_MAX, sort: "createdAtDesc" })).items;
}

async function toRow({ edge }: CommandCall, task: TaskRecord) {
  const [owner, project] = await Promise.all([
    readUser(edge.store, task.ownerId),
    readProject(edge.store, task.projectId),
  ]);
  return {
    id: task.id,
    project: project?.name ?? null,
    owner: owner?.login ?? null,
    status: task.status,
    step: task.executionStep,
    run: task.run,
    updated: new Date(task.updatedAt).toISOString(),
    title: cutText(task.title, TITLE_SHOWN),
  };
}

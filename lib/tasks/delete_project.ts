/** Deleting a project: refused while anything in it is live, else it is gone at once and the rest follows. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { change } from "../store/change.ts";
import { scheduleLoose } from "../store/due.ts";
import { deleteProject, type ProjectRecord, readProjectEntry } from "../store/projects.ts";
import { hasLiveTasks } from "../store/tasks.ts";
import { hasLiveWorkspaces } from "../store/workspaces.ts";

/** Throws `still_live` with what to do first. */
export async function removeProject(edge: Edge, project: ProjectRecord): Promise<void> {
  await change(edge.store, async (tx) => {
    const entry = await readProjectEntry(tx, project.id);
    if (!entry) return;
    if (await hasLiveTasks(edge.store, project.id)) {
      throw new AppError(
        "still_live",
        "Tasks of this project are running. Cancel them first, then delete the project.",
      );
    }
    if (await hasLiveWorkspaces(edge.store, project.id)) {
      throw new AppError(
        "still_live",
        "Workspaces of this project still exist. Discard them first, then delete the project.",
      );
    }
    await deleteProject(tx, entry);
    scheduleLoose(tx, { kind: "purge", id: `project/${project.id}`, at: tx.now });
  }, edge.clock);
}

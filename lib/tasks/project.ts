/** The project of what is in it, or is about to be. */
import type { Edge } from "../edge.ts";
import { notFound } from "../errors.ts";
import type { Change } from "../store/change.ts";
import { type ProjectRecord, readProject, readProjectEntry } from "../store/projects.ts";

/** Throws `not_found` when the project was deleted meanwhile. */
export async function requireProjectRecord(edge: Edge, projectId: string): Promise<ProjectRecord> {
  const project = await readProject(edge.store, projectId);
  if (!project) throw notFound("project");
  return project;
}

/**
 * Holds on to the project of what begins in it, within a change: its record is written too, so that of this and the
 * project's deletion at the same moment one sees the other. Throws `not_found` when it was deleted meanwhile.
 */
export async function holdProject(tx: Change, projectId: string): Promise<void> {
  const entry = await readProjectEntry(tx, projectId);
  if (!entry) throw notFound("project");
  tx.put(entry, entry.value);
}

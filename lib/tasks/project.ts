/** The project of a task that exists: gone only when the task is about to go too. */
import type { Edge } from "../edge.ts";
import { notFound } from "../errors.ts";
import { type ProjectRecord, readProject } from "../store/projects.ts";

/** Throws `not_found` when the project was deleted meanwhile. */
export async function requireProjectRecord(edge: Edge, projectId: string): Promise<ProjectRecord> {
  const project = await readProject(edge.store, projectId);
  if (!project) throw notFound("project");
  return project;
}

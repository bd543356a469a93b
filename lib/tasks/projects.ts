/** Creating and editing projects: names, limits and the addresses that a repository may have. */
import { requireOwner, requireProject } from "../auth/access.ts";
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { newId } from "../ids.ts";
import { requireKnownCodingAgent } from "../nodes/coding_agents.ts";
import type { UserRecord } from "../store/accounts.ts";
import { change } from "../store/change.ts";
import { type IdempotentCall, recallAnswer, rememberAnswer } from "../store/idempotency.ts";
import {
  addToTally,
  createProject,
  isNameTaken,
  patchProject,
  type ProjectRecord,
  readProject,
  readProjectEntry,
  readTally,
} from "../store/projects.ts";
import type { CreateProject, PatchProject } from "../wire/project.ts";
import { checkRepositoryUrl } from "../wire/repository_url.ts";

/** Creates a project. Throws `name_taken`, `limit_reached`, `invalid_request`. */
export async function makeProject(
  edge: Edge,
  user: UserRecord,
  call: { body: CreateProject; idempotency: IdempotentCall | null },
): Promise<ProjectRecord> {
  checkAddress(edge, call.body.repositoryUrl);
  await requireKnownCodingAgent(edge, user.id, call.body.codingAgent);
  const id = newId();
  return await change(edge.store, async (tx) => {
    const before = await recallAnswer<{ projectId: string }>(tx, call.idempotency);
    const known = before && await readProject(edge.store, before.projectId);
    if (known) return known;
    if (await isNameTaken(tx, user.id, call.body.name)) throw nameTaken(call.body.name);
    const tally = await readTally(tx, user.id);
    if ((tally.value?.count ?? 0) >= edge.config.MAX_PROJECTS_PER_USER) {
      throw new AppError("limit_reached", `You have ${edge.config.MAX_PROJECTS_PER_USER} projects, which is the most.`);
    }
    addToTally(tx, tally, 1);
    const codingAgent = call.body.codingAgent ?? edge.config.DEFAULT_CODING_AGENT;
    const times = { createdAt: tx.now, updatedAt: tx.now };
    const project: ProjectRecord = { v: 1, id, ownerId: user.id, ...call.body, codingAgent, ...times };
    createProject(tx, project);
    rememberAnswer(tx, call.idempotency, { projectId: id });
    return project;
  }, edge.clock);
}

/**
 * Changes a project. Members may change most of it; where its code comes from and who approves is the owner's. Throws
 * `forbidden`, `name_taken`, `invalid_request`.
 */
export async function editProject(
  edge: Edge,
  user: UserRecord,
  projectId: string,
  patch: PatchProject,
): Promise<ProjectRecord> {
  const guarded = patch.repositoryUrl !== undefined || patch.permissionMode !== undefined;
  const { ownerId } = await (guarded ? requireOwner : requireProject)(edge, user, projectId);
  const manages = ownerId === user.id || user.role === "admin";
  if (patch.repositoryUrl !== undefined) checkAddress(edge, patch.repositoryUrl);
  await requireKnownCodingAgent(edge, user.id, patch.codingAgent);
  return await change(edge.store, async (tx) => {
    const entry = await readProjectEntry(tx, projectId);
    if (!entry) throw notFound("project");
    if (!manages && changesPolicy(entry.value.settings, patch.settings)) {
      throw new AppError("forbidden", "Only the project's owner may change what is asked. Ask them to.");
    }
    const renamed = patch.name !== undefined && patch.name.toLowerCase() !== entry.value.name.toLowerCase();
    if (renamed && await isNameTaken(tx, entry.value.ownerId, patch.name!)) throw nameTaken(patch.name!);
    return patchProject(tx, entry, patch);
  }, edge.clock);
}

/** What goes ahead without asking is part of who approves. */
function changesPolicy(before: ProjectRecord["settings"], after: PatchProject["settings"]): boolean {
  return after !== undefined &&
    (["askBeforeReads", "askBeforeEdits"] as const).some((name) => before[name] !== after[name]);
}

/** Throws `invalid_request` when a repository may not have this address here. */
export function checkAddress(edge: Edge, url: string): void {
  const wrong = checkRepositoryUrl(url, { allowLocal: edge.provider.id === "local" });
  if (wrong) {
    throw new AppError("invalid_request", wrong, { details: { issues: [{ field: "repositoryUrl", message: wrong }] } });
  }
}

function nameTaken(name: string): AppError {
  return new AppError("name_taken", `You already have a project named "${name}". Choose another name.`, {
    details: { issues: [{ field: "name", message: "is taken" }] },
  });
}

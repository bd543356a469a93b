/** Projects and their members. */
import { requireProject } from "../../lib/auth/access.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError } from "../../lib/errors.ts";
import { readUser, type UserRecord } from "../../lib/store/accounts.ts";
import { listMembers, listProjects, type MemberRecord, toProject } from "../../lib/store/projects.ts";
import { toIso } from "../../lib/store/time.ts";
import { removeProject } from "../../lib/tasks/delete_project.ts";
import { admitMember, expelMember } from "../../lib/tasks/members.ts";
import { editProject, makeProject } from "../../lib/tasks/projects.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { Member } from "../../lib/wire/project.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountProjects(app: App): void {
  serve(app, endpoints.listProjects, async ({ edge, user, query }) => {
    const page = await listProjects(edge.store, user.id, query);
    return { items: page.items.map(toProject), nextCursor: page.nextCursor };
  });
  serve(app, endpoints.createProject, async ({ edge, user, body, idempotency }) => {
    return toProject(await makeProject(edge, user, { body, idempotency }));
  });
  serve(app, endpoints.readProject, async ({ edge, user, params }) => {
    return toProject(await requireProject(edge, user, params.projectId!));
  });
  serve(app, endpoints.patchProject, async ({ edge, user, params, body }) => {
    return toProject(await editProject(edge, user, params.projectId!, body));
  });
  serve(app, endpoints.deleteProject, async ({ edge, user, params }) => {
    const project = await requireProject(edge, user, params.projectId!);
    if (project.ownerId !== user.id) throw new AppError("forbidden", "Only the project's owner may delete it.");
    await removeProject(edge, project);
  });
  mountMembers(app);
}

function mountMembers(app: App): void {
  serve(app, endpoints.listMembers, async ({ edge, user, params }) => {
    const project = await requireProject(edge, user, params.projectId!);
    return { items: await readMembers(edge, project.id), nextCursor: null };
  });
  serve(app, endpoints.addMember, async ({ edge, user, params, body }) => {
    const { person, member } = await admitMember(edge, user, { projectId: params.projectId!, login: body.login });
    return toMember(person.id, person, member);
  });
  serve(app, endpoints.removeMember, async ({ edge, user, params }) => {
    await expelMember(edge, user, { projectId: params.projectId!, userId: params.userId! });
  });
}

/** The people of a project, the owner first, then by the time at which they came. */
export async function readMembers(edge: Edge, projectId: string): Promise<Member[]> {
  const members = await listMembers(edge.store, projectId);
  const items = await Promise.all(members.map(async ({ userId, member }) => {
    return toMember(userId, await readUser(edge.store, userId), member);
  }));
  return items.sort((a, b) => Number(b.role === "owner") - Number(a.role === "owner") || compare(a.addedAt, b.addedAt));
}

function toMember(userId: string, person: UserRecord | null, member: MemberRecord): Member {
  return {
    userId,
    login: person?.login ?? "deleted user",
    displayName: person?.displayName ?? "Deleted user",
    role: member.role,
    addedAt: toIso(member.addedAt),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

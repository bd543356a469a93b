/** Projects and their members. */
import { requireOwner, requireProject } from "../../lib/auth/access.ts";
import { AppError, notFound } from "../../lib/errors.ts";
import { readUser, readUserByLogin, type UserRecord } from "../../lib/store/accounts.ts";
import { change } from "../../lib/store/change.ts";
import { addMember, listMembers, listProjects, readMember, removeMember, toProject } from "../../lib/store/projects.ts";
import { toIso } from "../../lib/store/time.ts";
import { removeProject } from "../../lib/tasks/delete_project.ts";
import { editProject, makeProject } from "../../lib/tasks/projects.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { MEMBERS_MAX } from "../../lib/wire/limits.ts";
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
    const members = await listMembers(edge.store, project.id);
    const items = await Promise.all(members.map(async ({ userId, member }) => {
      const person = await readUser(edge.store, userId);
      return memberView(userId, person, member);
    }));
    return { items, nextCursor: null };
  });
  serve(app, endpoints.addMember, async ({ edge, user, params, body }) => {
    const project = await requireOwner(edge, user, params.projectId!);
    const person = await readUserByLogin(edge.store, body.login);
    if (!person || person.disabled) throw new AppError("invalid_request", `There is no user "${body.login}" here.`);
    if ((await listMembers(edge.store, project.id)).length >= MEMBERS_MAX) {
      throw new AppError("limit_reached", `A project may have at most ${MEMBERS_MAX} members.`);
    }
    const known = await readMember(edge.store, project.id, person.id);
    if (known) return memberView(person.id, person, known);
    await change(edge.store, (tx) => {
      addMember(tx, project.id, { userId: person.id, role: "member" });
      return Promise.resolve();
    }, edge.clock);
    return memberView(person.id, person, (await readMember(edge.store, project.id, person.id))!);
  });
  serve(app, endpoints.removeMember, async ({ edge, user, params }) => {
    const project = await requireOwner(edge, user, params.projectId!);
    if (params.userId === project.ownerId) {
      throw new AppError("conflict", "The owner cannot be removed from the project.");
    }
    if (!await readMember(edge.store, project.id, params.userId!)) throw notFound("member");
    await change(edge.store, (tx) => Promise.resolve(removeMember(tx, project.id, params.userId!)), edge.clock);
  });
}

function memberView(userId: string, person: UserRecord | null, member: { role: "owner" | "member"; addedAt: number }) {
  return {
    userId,
    login: person?.login ?? "deleted user",
    displayName: person?.displayName ?? "Deleted user",
    role: member.role,
    addedAt: toIso(member.addedAt),
  };
}

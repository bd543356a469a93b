/**
 * Who may work in a project: its owner for good, and members whom the owner names. Each change is checked on the
 * project's record, so the limit is exact and nobody becomes a member of a project that is being deleted.
 */
import { requireOwner } from "../auth/access.ts";
import type { Edge } from "../edge.ts";
import { AppError, notFound } from "../errors.ts";
import { readUserByLogin, type UserRecord } from "../store/accounts.ts";
import { change } from "../store/change.ts";
import { addMember, listMembers, type MemberRecord, readMember, removeMember } from "../store/projects.ts";
import { MEMBERS_MAX } from "../wire/limits.ts";
import { holdProject } from "./project.ts";

export interface Membership {
  person: UserRecord;
  member: MemberRecord;
}

/** Lets a person in; one who is a member already stays one. Throws `forbidden`, `invalid_request`, `limit_reached`. */
export async function admitMember(
  edge: Edge,
  owner: UserRecord,
  { projectId, login }: { projectId: string; login: string },
): Promise<Membership> {
  await requireOwner(edge, owner, projectId);
  const person = await readUserByLogin(edge.store, login);
  if (!person || person.disabled) throw noSuchUser(login);
  const member = await change(edge.store, async (tx) => {
    await holdProject(tx, projectId);
    const known = await readMember(edge.store, projectId, person.id);
    if (known) return known;
    if ((await listMembers(edge.store, projectId)).length >= MEMBERS_MAX) {
      throw new AppError("limit_reached", `A project may have at most ${MEMBERS_MAX} members. Remove one first.`);
    }
    return addMember(tx, projectId, { userId: person.id, role: "member" });
  }, edge.clock);
  return { person, member };
}

/** Ends a membership: calls are refused at once, open sockets within a minute. Throws `forbidden`, `conflict`. */
export async function expelMember(
  edge: Edge,
  owner: UserRecord,
  { projectId, userId }: { projectId: string; userId: string },
): Promise<void> {
  const project = await requireOwner(edge, owner, projectId);
  if (userId === project.ownerId) throw new AppError("conflict", "The owner cannot be removed from the project.");
  await change(edge.store, async (tx) => {
    await holdProject(tx, projectId);
    if (!await readMember(edge.store, projectId, userId)) throw notFound("member");
    removeMember(tx, projectId, userId);
  }, edge.clock);
}

function noSuchUser(login: string): AppError {
  const message = `There is no user "${login}" here. An admin can add them with: deno task admin users add LOGIN`;
  return new AppError("invalid_request", message, {
    details: { issues: [{ field: "login", message: "names nobody here" }] },
  });
}

/**
 * With the local provider everybody's coding agents run as the same user of this machine. So with a second account it is
 * refused, at the start and before each run, unless the operator said that all of them may read each other's files.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { listUsers } from "../store/accounts.ts";

/** Why nothing may run here, in words for a person, or null when it may. */
export async function findSharingProblem(edge: Edge): Promise<string | null> {
  if (edge.config.NODE_PROVIDER !== "local" || edge.config.LOCAL_PROVIDER_SHARED) return null;
  const users = (await listUsers(edge.store)).filter((user) => !user.disabled);
  if (users.length <= 1) return null;
  return `There are ${users.length} user accounts, and with the local provider everybody's coding agents run as the same ` +
    "user of this machine. Set LOCAL_PROVIDER_SHARED=1 if all of them may read each other's files.";
}

/** Throws `forbidden` when the machine would be shared without the operator's word. */
export async function refuseSharedMachine(edge: Edge): Promise<void> {
  const problem = await findSharingProblem(edge);
  if (problem) throw new AppError("forbidden", problem);
}

/** `keys make` and `signin-link`: the two ways in that an admin can hand out. Each is printed once and kept as a hash. */
import { makeApiKey } from "../auth/api_keys.ts";
import { makeSignInLink } from "../auth/logins.ts";
import { type CommandCall, type CommandResult, requireUser, requireWord, UsageError } from "./command.ts";
import { findRunningEdge } from "./running.ts";
import { requireSignIn } from "./users.ts";

const KEY_NAME = "Made on the command line";

/** A new API key, alone on standard output. */
export async function makeKey(call: CommandCall): Promise<CommandResult> {
  const user = await requireUser(call.edge, requireWord(call, "The login name"));
  const { key } = await makeApiKey(call.edge, user.id, { name: KEY_NAME });
  return { text: key, note: `This is ${user.login}'s new API key. It is shown only this once.` };
}

/** A link that signs in once, alone on standard output. */
export async function makeLink(call: CommandCall): Promise<CommandResult> {
  if (call.words.length > 1) throw new UsageError("Name one user, or none for the first admin.");
  const user = await requireSignIn(call.edge, call.words[0]);
  const [token, running] = [await makeSignInLink(call.edge, user.id), await findRunningEdge(call.edge)];
  const lives = `It signs ${user.login} in once, within 15 minutes.`;
  const where = "No running Hearth was found on this data: the link works once it runs at this address.";
  return {
    text: `${running ?? call.edge.config.publicUrl}/signin/once/${token}`,
    note: running ? lives : `${lives} ${where}`,
  };
}

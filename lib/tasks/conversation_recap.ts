/**
 * What was said in an earlier task's conversation, for the coding agent that goes on from its branch. Each line is
 * quoted, so that nobody takes it for an instruction of now. The newest is kept where not all of it fits.
 */
import { cutText } from "../bytes.ts";
import { listMessages } from "../store/messages.ts";
import { readSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { Message } from "../wire/message.ts";

const MESSAGES_MAX = 200;
const MESSAGE_CHARS_MAX = 4_000;
const RECAP_CHARS_MAX = 16_000;
const WHO: Partial<Record<Message["role"], string>> = { user: "The person", assistant: "The coding agent" };

/** Null when nothing was said, or the task was deleted meanwhile. */
export async function readRecap(
  store: Store,
  task: { projectId: string; sessionId: string; title: string },
): Promise<string | null> {
  const session = await readSession(store, task.projectId, task.sessionId);
  const page = session && await listMessages(store, session, { limit: MESSAGES_MAX });
  return page && recapOf(task.title, page.items);
}

/** The recap of these messages, oldest first. Pure. */
export function recapOf(title: string, messages: Pick<Message, "role" | "content">[]): string | null {
  const parts: string[] = [];
  let chars = 0;
  for (const { role, content } of messages.toReversed()) {
    const who = WHO[role];
    if (!who) continue;
    const part = `${who}:\n${cutText(content.trim(), MESSAGE_CHARS_MAX)}`;
    chars += part.length;
    if (chars > RECAP_CHARS_MAX && parts.length > 0) break;
    parts.unshift(part);
  }
  if (parts.length === 0) return null;
  const head =
    `This goes on with the task “${title}”, from the branch that its work was pushed to. What was said there:`;
  return [head, ...parts].join("\n\n").split("\n").map((line) => `> ${line}`.trimEnd()).join("\n");
}

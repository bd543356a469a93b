/** What a coding agent is told that starts anew in a conversation it cannot go on with. */
import { cutText } from "../../lib/bytes.ts";

const PART_MAX = 4_000;

interface Before {
  prompt?: { text: string } | null;
  /** The last answer. */
  summary?: unknown;
}

/** The prompt after a short account of what was before it. The checkout itself says the rest. */
export function withRecap(
  prompt: { messageId: string; text: string },
  facts: Before | null,
): { messageId: string; text: string } {
  const lines = ["You go on with work that was begun in this folder; the conversation before this is lost to you."];
  if (facts?.prompt) lines.push(`The task was:\n${cutText(facts.prompt.text, PART_MAX)}`);
  if (typeof facts?.summary === "string") lines.push(`The last answer was:\n${cutText(facts.summary, PART_MAX)}`);
  return { messageId: prompt.messageId, text: [...lines, prompt.text].join("\n\n") };
}

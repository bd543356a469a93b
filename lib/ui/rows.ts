/**
 * A transcript as the rows that are shown: messages, and one row in place of the steps of a long turn that is over.
 * A turn is folded only if it never stood unfolded before the reader: what somebody reads is not taken away. Pure but
 * for the record of what stood unfolded, which the caller keeps.
 */
import type { Message } from "../wire/message.ts";

export interface Fold {
  /** Of the turn's first and last message: how long it worked. */
  ms: number;
  steps: readonly Message[];
}

export type Row = { key: string; message: Message; fold?: undefined } | {
  key: string;
  fold: Fold;
  message?: undefined;
};

/** A turn with fewer steps is read faster than a fold is opened. */
const FOLD_STEPS_MIN = 8;

export interface RowOptions {
  /** Older messages exist, so the first turn here may lack its beginning. */
  hasOlder: boolean;
  /** The last turn is still being worked on. */
  running: boolean;
  /** Ids of prompts or last messages whose turns stood unfolded, or were opened; added to. */
  unfolded: Set<string>;
}

/** `messages` without holes, in order. */
export function rowsOf(messages: readonly Message[], { hasOlder, running, unfolded }: RowOptions): Row[] {
  const rows: Row[] = [];
  for (const [begin, end] of turnsOf(messages)) {
    const whole = messages[begin]!.role === "user" || (begin === 0 && !hasOlder);
    const over = end < messages.length || !running;
    const first = messages[begin]!.messageId;
    const last = messages[end - 1]!.messageId;
    const steps = whole && over && !unfolded.has(first) && !unfolded.has(last) ? stepsOf(messages, begin, end) : null;
    if (!steps) {
      if (whole) unfolded.add(first);
      unfolded.add(last);
      for (let at = begin; at < end; at++) rows.push({ key: messages[at]!.messageId, message: messages[at]! });
      continue;
    }
    for (let at = begin; at < steps.begin; at++) rows.push({ key: messages[at]!.messageId, message: messages[at]! });
    const ms = Date.parse(messages[end - 1]!.createdAt) - Date.parse(messages[begin]!.createdAt);
    rows.push({ key: `fold-${first}`, fold: { ms: Math.max(0, ms), steps: messages.slice(steps.begin, steps.end) } });
    for (let at = steps.end; at < end; at++) rows.push({ key: messages[at]!.messageId, message: messages[at]! });
  }
  return rows;
}

/** Begin and end of each turn: what follows a person's words until the next ones, system lines before those included. */
function* turnsOf(messages: readonly Message[]): Generator<[begin: number, end: number]> {
  let begin = 0;
  for (let at = 1; at <= messages.length; at++) {
    if (at < messages.length && messages[at]!.role !== "user") continue;
    if (at > begin) yield [begin, at];
    begin = at;
  }
}

/** The part of a turn that a fold stands for: all between the prompt and the answer. Null when it is short. */
function stepsOf(messages: readonly Message[], turnBegin: number, turnEnd: number) {
  const begin = messages[turnBegin]!.role === "user" ? turnBegin + 1 : turnBegin;
  let end = turnEnd;
  while (end > begin && messages[end - 1]!.role === "system") end--;
  while (end > begin && messages[end - 1]!.role === "assistant") end--;
  return end - begin >= FOLD_STEPS_MIN ? { begin, end } : null;
}

/**
 * Compares what is stored with what the coding agent said. Without a kill both are the same, message for message. A kill
 * of the agent or the coding agent, or a full disk, may cut a prompt: then its beginning is there, the message that was
 * cut is marked and holds no word that was not said, and everything that was surely said before is there.
 */
import type { Message } from "../../lib/wire/message.ts";
import type { Line, Script } from "./script.ts";

export interface Facts {
  script: Script;
  /** All of the session, in order, whole. */
  stored: Message[];
  /** The follow-up prompts that the edge took. */
  taken: ReadonlySet<string>;
  /** Something ended processes under the run, or took its disk. */
  mayBeCut: boolean;
  /** Coding agents were told to stop: what they left off says so itself, as a tool that failed. */
  mayBeStopped: boolean;
  /** Somebody in between refused large bodies, so that long messages may be cut. */
  mayBeShort: boolean;
  /** Commands that were surely reached long enough before a kill to be on the disk. */
  reached: ReadonlySet<string>;
}

/** The answers of the demo coding agent to what it does not understand: the edge's own prompt after an interruption. */
const NOT_UNDERSTOOD = /^You said: “/;

export interface Verdict {
  /** What is wrong, in words; empty when all is right. */
  faults: string[];
  /** How many prompts were cut of which something had to be there all the same. */
  bounded: number;
}

export function judge(facts: Facts): Verdict {
  const { stored } = facts;
  const faults: string[] = [];
  stored.forEach((message, at) => {
    if (message.seq !== at + 1) faults.push(`message ${at + 1} has the number ${message.seq}`);
  });
  if (new Set(stored.map(({ messageId }) => messageId)).size !== stored.length) faults.push("an id is stored twice");
  const compared = compare(facts);
  return { faults: [...faults, ...compared.faults], bounded: compared.bounded };
}

function compare(facts: Facts): Verdict {
  const told = facts.stored.filter((message) => message.role !== "system" && !NOT_UNDERSTOOD.test(message.content));
  const faults: string[] = [];
  let at = 0;
  let bounded = 0;
  for (const [p, prompt] of facts.script.prompts.entries()) {
    if (p > 0 && !facts.taken.has(prompt.messageId)) continue;
    const asked = told[at];
    const isAsked = asked?.role === "user" && asked.content === prompt.text &&
      (p === 0 || asked.messageId === prompt.messageId);
    if (!isAsked) {
      const mayLack = p > 0 && facts.mayBeCut && lastReached(prompt.lines, facts) < 0;
      if (!mayLack) faults.push(`prompt ${p + 1} is not where it belongs (${show(asked)})`);
      continue;
    }
    const { taken, problems, isBounded } = comparePrompt(prompt.lines, told.slice(at + 1), facts);
    faults.push(...problems.map((problem) => `prompt ${p + 1}: ${problem}`));
    at += 1 + taken;
    if (isBounded) bounded++;
  }
  const rest = told.slice(at);
  if (rest.length > 0) faults.push(`${rest.length} message(s) that nobody said or that came twice: ${show(rest[0])}`);
  return { faults, bounded };
}

interface Compared {
  /** How many messages belong to the prompt. */
  taken: number;
  problems: string[];
  isBounded: boolean;
}

function comparePrompt(lines: Line[], told: Message[], facts: Facts): Compared {
  let same = 0;
  while (same < lines.length && told[same] && isWhole(lines[same]!, told[same]!, facts)) same++;
  if (same === lines.length) return { taken: same, problems: [], isBounded: false };
  if (!facts.mayBeCut) return { taken: same, problems: [missing(lines, same, told[same])], isBounded: false };
  const cut = told[same];
  const isCut = cut !== undefined && isMarked(cut, facts) && isBeginning(lines[same]!, cut);
  const last = lastReached(lines, facts);
  const isThere = last < same || (last === same && isCut);
  const problems = isThere ? [] : [missing(lines, same, cut)];
  return { taken: same + (isCut ? 1 : 0), problems, isBounded: last >= 0 };
}

/** The last line that surely was on the disk; -1 when none was. */
function lastReached(lines: Line[], { reached }: Facts): number {
  return lines.findLastIndex(({ command }) => command !== null && reached.has(command));
}

function isWhole(line: Line, message: Message, facts: Facts): boolean {
  if (message.role !== line.role || message.flags?.interrupted) return false;
  if (message.content === line.content) return line.command === null || message.toolMetadata?.status === "completed";
  return facts.mayBeShort && (message.flags?.truncatedBytes ?? 0) > 0 && line.content.startsWith(message.content);
}

function isMarked({ flags, toolMetadata }: Message, { mayBeStopped }: Facts): boolean {
  return flags?.interrupted === true || (mayBeStopped && toolMetadata?.status === "failed");
}

function isBeginning(line: Line, message: Message): boolean {
  if (message.role !== line.role) return false;
  if (line.command === null) return line.content.startsWith(message.content);
  return message.toolMetadata?.target === line.command || message.content === line.content;
}

function missing(lines: Line[], at: number, found: Message | undefined): string {
  return `message ${at + 1} of ${lines.length} should be ${JSON.stringify(lines[at]!.content.slice(0, 60))}, there is ${
    show(found)
  }`;
}

function show(message: Message | undefined): string {
  if (!message) return "nothing";
  return `${message.role} ${JSON.stringify(message.content.slice(0, 60))} ${JSON.stringify(message.flags)}`;
}

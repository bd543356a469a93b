/**
 * What the demo coding agent is told to say in one run, and so what must be in the store afterwards: every line of a
 * prompt becomes one message whose text occurs nowhere else. Commands also note in a file beside, with the time, that
 * they were reached: that is how the driver knows what was said before a kill.
 */
import type { MessageRole } from "../../lib/wire/message.ts";
import type { Random } from "./random.ts";

/** One message that the coding agent makes. */
export interface Line {
  role: MessageRole;
  /** The whole content of the stored message. */
  content: string;
  /** For tools: the command, by which a call that was cut is known. */
  command: string | null;
}

export interface Prompt {
  messageId: string;
  text: string;
  lines: Line[];
}

export interface Script {
  /** The first is the task's own; its messageId is made by the edge. */
  prompts: Prompt[];
}

const LINES_MIN = 8;
const LINES_MAX = 24;
const LONG_BYTES = 40_000;
/** In a long run the first prompt has more lines, and the coding agent rests after each. */
const LONG_LINES_MIN = 18;
const REST_MS = { from: 250, to: 700 };

interface ScriptOptions {
  name: string;
  /** The file in which commands note themselves. */
  log: string;
  isLong: boolean;
}

/** A run's prompts. The first line of each is a command, so that its beginning is noted. */
export function makeScript(random: Random, options: ScriptOptions): Script {
  const count = random.chance(0.4) ? random.between(2, 3) : 1;
  const prompts = Array.from({ length: count }, (_, p) => {
    const isLong = options.isLong && p === 0;
    return makePrompt(random, { ...options, isLong, name: `${options.name}.${p}` });
  });
  return { prompts };
}

function makePrompt(random: Random, { name, log, isLong }: ScriptOptions): Prompt {
  const count = random.between(isLong ? LONG_LINES_MIN : LINES_MIN, LINES_MAX);
  const begin = command(`${name}.0`, { log, isLong: false });
  const others = Array.from({ length: count - 1 }, (_, n) => {
    const made = makeLine(random, { name: `${name}.${n + 1}`, log });
    return isLong ? [made, rest(random)] : [made];
  });
  const made = [begin, ...others.flat()];
  const text = made.map((each) => each.instruction).join("\n");
  const lines = made.flatMap((each) => each.line ? [each.line] : []);
  return { messageId: crypto.randomUUID(), text, lines };
}

interface Made {
  instruction: string;
  line: Line | null;
}

function makeLine(random: Random, { name, log }: { name: string; log: string }): Made {
  switch (random.between(0, 9)) {
    case 0:
    case 1:
    case 2:
      return plain("say", "assistant", `${name} says ${"é€😀 ".repeat(random.between(1, 20))}end`);
    case 3:
      return plain("think", "thinking", `${name} thinks ${"hm ".repeat(random.between(1, 30))}end`);
    case 4: {
      const entries = [`${name} first`, `${name} second`];
      const content = entries.map((entry) => `- [ ] ${entry}`).join("\n");
      return { instruction: `plan ${entries.join("; ")}`, line: { role: "plan", content, command: null } };
    }
    case 5:
      return rest(random, { from: 20, to: 250 });
    case 6: {
      const count = random.between(20, 150);
      const content = Array.from({ length: count }, (_, i) => `word${i + 1} `).join("");
      return {
        instruction: `stream ${count} ${random.between(0, 6)}`,
        line: { role: "assistant", content, command: null },
      };
    }
    default:
      return command(name, { log, isLong: random.chance(0.15) });
  }
}

function rest(random: Random, { from, to } = REST_MS): Made {
  return { instruction: `wait ${random.between(from, to)}`, line: null };
}

function plain(word: "say" | "think", role: MessageRole, content: string): Made {
  return { instruction: `${word} ${content}`, line: { role, content, command: null } };
}

/** A long output is stored in parts. */
function command(name: string, { log, isLong }: { log: string; isLong: boolean }): Made {
  const text = `${name} ran`;
  const more = isLong ? `; head -c ${LONG_BYTES} /dev/zero | tr '\\0' x` : "";
  const line = `echo "${name} $(date +%s%3N)" >> ${log}; echo "${text}"${more}`;
  const content = isLong ? `${text}\n${"x".repeat(LONG_BYTES)}` : text;
  return { instruction: `run ${line}`, line: { role: "tool", content, command: line } };
}

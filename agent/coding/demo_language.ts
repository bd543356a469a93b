/**
 * The language of the demo coding agent, one instruction a line:
 * `say TEXT` · `think TEXT` · `plan A; B; C` · `write PATH: TEXT` · `run COMMAND` · `stream N [MS]` · `wait MS` ·
 * `ask COMMAND` · `ask write PATH: TEXT` · `spend USD` (says that it has cost so much) · `extensions` ·
 * `fail TEXT` · `crash`. Any other line is answered with a
 * sentence that repeats it.
 */

const STREAM_MAX = 100_000;
const SPEND_MAX_USD = 1_000;
const WAIT_MAX_MS = 3_600_000;
const STREAM_PAUSE_MS = 20;

export type Instruction =
  | { kind: "say" | "think" | "fail" | "run" | "ask"; text: string }
  | { kind: "plan"; entries: string[] }
  | { kind: "write" | "askWrite"; path: string; text: string }
  | { kind: "stream"; count: number; pauseMs: number }
  | { kind: "wait"; ms: number }
  | { kind: "spend"; usd: number }
  | { kind: "crash" | "extensions" };

/** The instructions of a prompt, in order. Empty lines say nothing, nor do quoted ones: they tell of what was before. */
export function readInstructions(prompt: string): Instruction[] {
  return prompt.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith(">"))
    .map(readLine);
}

function readLine(line: string): Instruction {
  const [, word = "", rest = ""] = line.match(/^(\S+)\s*(.*)$/s) ?? [];
  return readKnown(word, rest.trim()) ?? { kind: "say", text: `You said: “${line}”. I have no instruction for that.` };
}

function readKnown(word: string, rest: string): Instruction | null {
  switch (word) {
    case "say":
    case "think":
    case "run":
      return rest === "" ? null : { kind: word, text: rest };
    case "ask":
      return rest === "" ? null : readAskedWrite(rest) ?? { kind: "ask", text: rest };
    case "fail":
      return { kind: "fail", text: rest || "The demo was told to fail." };
    case "crash":
    case "extensions":
      return rest === "" ? { kind: word } : null;
    case "plan":
      return readPlan(rest);
    case "write":
      return readWrite(rest);
    case "wait":
      return /^\d+$/.test(rest) ? { kind: "wait", ms: Math.min(Number(rest), WAIT_MAX_MS) } : null;
    case "spend":
      return /^\d+(\.\d+)?$/.test(rest) ? { kind: "spend", usd: Math.min(Number(rest), SPEND_MAX_USD) } : null;
    case "stream":
      return readStream(rest);
    default:
      return null;
  }
}

function readPlan(rest: string): Instruction | null {
  const entries = rest.split(";").map((entry) => entry.trim()).filter((entry) => entry !== "");
  return entries.length > 0 ? { kind: "plan", entries } : null;
}

function readAskedWrite(rest: string): Instruction | null {
  const write = rest.startsWith("write ") ? readWrite(rest.slice("write ".length)) : null;
  return write && { ...write, kind: "askWrite" };
}

function readWrite(rest: string): (Instruction & { kind: "write" | "askWrite" }) | null {
  const [, path, text] = rest.match(/^([^:]+):\s?(.*)$/s) ?? [];
  return path?.trim() ? { kind: "write", path: path.trim(), text: text ?? "" } : null;
}

function readStream(rest: string): Instruction | null {
  const [, count, pauseMs] = rest.match(/^(\d+)(?:\s+(\d+))?$/) ?? [];
  if (!count) return null;
  return {
    kind: "stream",
    count: Math.min(Number(count), STREAM_MAX),
    pauseMs: Math.min(Number(pauseMs ?? STREAM_PAUSE_MS), WAIT_MAX_MS),
  };
}

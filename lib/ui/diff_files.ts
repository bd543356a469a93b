/** A diff of many files as one part for each, with its name and what was changed. Pure. */
import { countChanges, diffLines } from "./diff_lines.ts";

export interface DiffFile {
  path: string;
  /** The file's part, without the lines that only name it. */
  text: string;
  added: number;
  removed: number;
  /** Lines of the part. */
  length: number;
}

export function diffFiles(diff: string): DiffFile[] {
  return diff.split(/^(?=diff --git )/m).filter((part) => part.startsWith("diff --git ")).map((part) => {
    const head = part.split("\n", 1)[0]!;
    const name = /^\+\+\+ b\/(.*)$/m.exec(part) ?? /^--- a\/(.*)$/m.exec(part) ?? /^rename to (.*)$/m.exec(part) ??
      / b\/(.*)$/.exec(head);
    const start = part.search(/^@@ /m);
    const text = start >= 0 ? part.slice(start) : part.slice(head.length + 1);
    const lines = diffLines(text);
    return { path: name?.[1]?.trimEnd() ?? head, text, ...countChanges(lines), length: lines.length };
  });
}

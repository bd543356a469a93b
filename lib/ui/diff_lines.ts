/** A unified diff as lines with their kind and number. Pure. */

export type DiffKind = "diff-file" | "diff-hunk" | "diff-add" | "diff-del" | "diff-same";

export interface DiffLine {
  kind: DiffKind;
  text: string;
  /** In the new file, for a line that was taken out in the old one; null where a line has none. */
  number: number | null;
}

const FILE = /^(\+\+\+ |--- |diff |index |===|new file|deleted file|Index:)/;
const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;

export function diffLines(text: string): DiffLine[] {
  let [before, after] = [0, 0];
  let inHunk = false;
  return text.replace(/\n$/, "").split("\n").map((line): DiffLine => {
    const hunk = HUNK.exec(line);
    if (hunk) {
      [before, after, inHunk] = [Number(hunk[1]), Number(hunk[2]), true];
      return { kind: "diff-hunk", text: line, number: null };
    }
    if (FILE.test(line) && (!inHunk || /^(diff |Index:|===)/.test(line))) {
      inHunk = false;
      return { kind: "diff-file", text: line, number: null };
    }
    if (line.startsWith("+")) return { kind: "diff-add", text: line, number: inHunk ? after++ : null };
    if (line.startsWith("-")) return { kind: "diff-del", text: line, number: inHunk ? before++ : null };
    before++;
    return { kind: "diff-same", text: line, number: inHunk && !line.startsWith("\\") ? after++ : null };
  });
}

/** Lines put in and taken out. */
export function countChanges(lines: readonly DiffLine[]): { added: number; removed: number } {
  const count = (kind: DiffKind) => lines.filter((line) => line.kind === kind).length;
  return { added: count("diff-add"), removed: count("diff-del") };
}

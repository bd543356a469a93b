/** A plan's text as a checklist: one entry a line, written like Markdown's task lists or with a status word. */

export interface PlanEntry {
  text: string;
  state: "done" | "doing" | "open";
}

const LINE = /^\s*(?:(?:[-*]|\d+\.)\s+)?(?:\[(?<mark>[ xX~>/-])\]\s*)?(?<text>.*\S)\s*$/;

export function readPlan(content: string): PlanEntry[] {
  return content.split("\n").flatMap((line) => {
    const groups = LINE.exec(line)?.groups;
    if (!groups?.text) return [];
    const mark = groups.mark?.toLowerCase();
    const state = mark === "x" ? "done" : mark && mark !== " " ? "doing" : "open";
    return [{ text: groups.text, state }];
  });
}

/** A unified diff, line by line, numbered, coloured and marked by what each line is. */
import { diffLines } from "./diff_lines.ts";

export interface DiffProps {
  text: string;
  /** The file is named beside it: a diff of one file needs no head. */
  named?: boolean;
}

export function Diff({ text, named = false }: DiffProps) {
  const all = diffLines(text);
  const files = all.filter((line) => line.kind === "diff-file" && /^(\+\+\+ )/.test(line.text)).length;
  const lines = named && files <= 1 ? all.filter((line) => line.kind !== "diff-file") : all;
  return (
    <pre class="diff" tabIndex={0} aria-label="Changes">
      <code>
        {lines.map((line, index) => (
          <span class={`diff-line ${line.kind}`} key={index}>
            <span class="diff-number" data-number={line.number ?? ""} aria-hidden="true" />
            {line.text + "\n"}
          </span>
        ))}
      </code>
    </pre>
  );
}

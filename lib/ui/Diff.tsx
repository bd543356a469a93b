/** A unified diff, line by line, coloured and marked by what each line is. */

export function Diff({ text }: { text: string }) {
  const lines = text.replace(/\n$/, "").split("\n");
  return (
    <pre class="diff" tabIndex={0} aria-label="Changes">
      <code>
        {lines.map((line, index) => <span class={`diff-line ${kindOf(line)}`} key={index}>{line + "\n"}</span>)}
      </code>
    </pre>
  );
}

function kindOf(line: string): string {
  if (/^(\+\+\+|---|diff |index |===|new file|deleted file|Index:)/.test(line)) return "diff-file";
  if (line.startsWith("@@")) return "diff-hunk";
  if (line.startsWith("+")) return "diff-add";
  if (line.startsWith("-")) return "diff-del";
  return "diff-same";
}

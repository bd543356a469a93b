/** How many lines a change puts in and takes out. */
import { plural } from "./labels.ts";

export function ChangeCount({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="tool-changes">
      <span class="added" aria-label={plural(added, "line added", "lines added")}>{`+${added}`}</span>
      <span class="removed" aria-label={plural(removed, "line removed", "lines removed")}>{`−${removed}`}</span>
    </span>
  );
}

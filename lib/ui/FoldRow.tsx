/** In place of a long turn's steps: how long it worked and how many steps it took; a press shows them. */
import { Icon } from "./Icon.tsx";
import { plural } from "./labels.ts";
import type { Fold } from "./rows.ts";
import { duration } from "./time.ts";

export function FoldRow({ fold, onOpen }: { fold: Fold; onOpen: () => void }) {
  const failed = fold.steps.filter((step) => step.toolMetadata?.status === "failed").length;
  return (
    <button type="button" class="fold" aria-expanded="false" onClick={onOpen}>
      <Icon name="chevron" />
      <span>{`Worked ${duration(fold.ms)}, ${plural(fold.steps.length, "step")}`}</span>
      {failed > 0 ? <span class="fold-failed">{plural(failed, "error")}</span> : null}
    </button>
  );
}

/** A sweep over many things: one that throws is logged and stops no other. */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";

/** Calls `mend` for each and counts those that it mended; `idOf` names one in the log. */
export async function mendEach<T>(
  edge: Edge,
  things: AsyncIterable<T>,
  how: { idOf: (thing: T) => string; mend: (thing: T) => Promise<boolean> },
): Promise<number> {
  let mended = 0;
  for await (const thing of things) {
    try {
      if (await how.mend(thing)) mended++;
    } catch (error) {
      edge.log.error("sweep_item_failed", { id: how.idOf(thing), reason: messageOf(error), error });
    }
  }
  return mended;
}

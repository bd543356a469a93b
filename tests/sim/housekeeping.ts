/** What the edge does by itself: items that are due, one by one as the loop's workers take them, and the sweeps. */
import type { Edge } from "../../lib/edge.ts";
import { handleDue } from "../../lib/scheduler/handlers.ts";
import { cleanUp, sweep, type SweepResult } from "../../lib/scheduler/sweep.ts";
import { type DueItem, listDue, settleDue, takeDue } from "../../lib/store/due.ts";
import type { Fiber, Outcome } from "./fibers.ts";
import type { World } from "./world.ts";

const ITEMS_AT_ONCE = 50;

/** Looks for what is due; each item becomes an operation of its own. */
export function ringLoop(world: World): void {
  world.call("due", (edge) => listDue(edge.store, edge.clock(), ITEMS_AT_ONCE), (end) => {
    if (end.kind !== "ok") return;
    for (const item of end.value) world.call(describe(world, item), (edge) => doItem(edge, item));
  });
}

export function runSweep(world: World): void {
  watch(world, "sweep", sweep);
}

export function runCleanUp(world: World): void {
  watch(world, "clean up", cleanUp);
}

/** Whether something is due by now. */
export function isRingable(world: World): boolean {
  return world.mirror.keys("due").some((key) => (key[1] as number) <= world.now);
}

/** As the loop does it: what fails comes back by itself. */
async function doItem(edge: Edge, item: DueItem): Promise<void> {
  const taken = await takeDue(edge.store, item, edge.clock());
  if (!taken) return;
  await handleDue(edge, taken);
  await settleDue(edge.store, taken);
}

function describe(world: World, { kind, id }: DueItem): string {
  return `${kind} ${world.names.shorten(id.split("/").at(-1)!)}`;
}

/** A sweep never fails as a whole; a step of it only when what it goes through could not be listed. */
function watch(world: World, name: string, run: (edge: Edge) => Promise<SweepResult>): void {
  const began = world.now;
  const fiber: Fiber = world.call(name, run, (end: Outcome<SweepResult>) => {
    if (end.kind === "error") world.find(`the ${name} broke as a whole: ${end.error}`);
    if (end.kind !== "ok") return;
    const failed = Object.entries(end.value).filter(([step, mended]) => mended === null && step !== "reconcile");
    const mayFail = fiber.readsFailed > 0 || world.now - began >= 30_000;
    if (failed.length > 0 && !mayFail) world.find(`one thing stopped the whole step of the ${name}: ${failed[0]![0]}`);
  });
}

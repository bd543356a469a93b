/**
 * The minute's sweep: each step alone with its own deadline, so that one which fails or hangs stops no other. Sweeps
 * compare what is wanted with what is; queues, timers and sockets only make the same things happen sooner.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { purgeWindows } from "../store/windows.ts";
import { reconcile } from "../tasks/reconcile.ts";
import { sweepLifetimes } from "./sweeps/lifetimes.ts";
import { sweepNodes } from "./sweeps/nodes.ts";
import { sweepTasks } from "./sweeps/tasks.ts";
import { sweepWorkspaces } from "./sweeps/workspaces.ts";

const STEP_MAX_MS = 30_000;
/** Inventories have pages, and deletions at a provider take their time. */
const CLEANUP_STEP_MAX_MS = 300_000;
const WINDOWS_KEPT_MS = 24 * 3_600_000;

/** How many things each step mended; null: the step failed. */
export type SweepResult = Record<string, number | null>;

export async function sweep(edge: Edge): Promise<SweepResult> {
  const steps: Record<string, () => Promise<number>> = {
    tasks: () => sweepTasks(edge),
    workspaces: () => sweepWorkspaces(edge),
    nodes: () => sweepNodes(edge),
    windows: () => purgeWindows(edge.store, edge.clock() - WINDOWS_KEPT_MS),
  };
  return await runSteps(edge, steps, STEP_MAX_MS);
}

/** The rarer sweep that keeps the bill right: lifetimes of machines, and the provider's servers against our records. */
export async function cleanUp(edge: Edge): Promise<SweepResult> {
  const steps = { lifetimes: () => sweepLifetimes(edge), reconcile: () => reconcile(edge) };
  return await runSteps(edge, steps, CLEANUP_STEP_MAX_MS);
}

async function runSteps(
  edge: Edge,
  steps: Record<string, () => Promise<number>>,
  maxMs: number,
): Promise<SweepResult> {
  const results: SweepResult = {};
  for (const [name, work] of Object.entries(steps)) {
    const mended = results[name] = await runStep(edge, { name, work, maxMs });
    edge.metrics.count("hearth_sweeps_total", { step: name, outcome: mended === null ? "failed" : "ok" });
    if (mended) edge.metrics.count("hearth_sweep_mended_total", { step: name }, mended);
  }
  return results;
}

async function runStep(
  edge: Edge,
  { name, work, maxMs }: { name: string; work: () => Promise<number>; maxMs: number },
): Promise<number | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${maxMs} ms`)), maxMs);
  });
  try {
    const mended = await Promise.race([work(), late]);
    if (mended > 0) edge.log.info("sweep_mended", { step: name, mended });
    return mended;
  } catch (error) {
    edge.log.error("sweep_failed", { step: name, reason: messageOf(error) });
    return null;
  } finally {
    clearTimeout(timer);
  }
}

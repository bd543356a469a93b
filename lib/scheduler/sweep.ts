/**
 * The minute's sweep: each step alone with its own deadline, so that one which fails or hangs stops no other. Sweeps
 * compare what is wanted with what is; queues, timers and sockets only make the same things happen sooner.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { purgeWindows } from "../store/windows.ts";
import { sweepNodes } from "./sweeps/nodes.ts";
import { sweepTasks } from "./sweeps/tasks.ts";
import { sweepWorkspaces } from "./sweeps/workspaces.ts";

const STEP_MAX_MS = 30_000;
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
  const results: SweepResult = {};
  for (const [name, step] of Object.entries(steps)) results[name] = await runStep(edge, name, step);
  return results;
}

async function runStep(edge: Edge, name: string, step: () => Promise<number>): Promise<number | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${STEP_MAX_MS} ms`)), STEP_MAX_MS);
  });
  try {
    const mended = await Promise.race([step(), late]);
    if (mended > 0) edge.log.info("sweep_mended", { step: name, mended });
    return mended;
  } catch (error) {
    edge.log.error("sweep_failed", { step: name, reason: messageOf(error) });
    return null;
  } finally {
    clearTimeout(timer);
  }
}

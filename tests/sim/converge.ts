/** The time after the faults: everything runs on by itself until nothing is left to do, and then it is looked at. */
import { type NodeRecord } from "../../lib/store/nodes.ts";
import { isLive, type TaskRecord } from "../../lib/store/tasks.ts";
import type { WorkspaceRecord } from "../../lib/store/workspaces.ts";
import { isRingable, ringLoop, runCleanUp, runSweep } from "./housekeeping.ts";
import { closeByHand, removeOwnNodes, submitProbe } from "./users.ts";
import { CALM, type World } from "./world.ts";

/** Below the time after which a machine counts as silent. */
const ROUND_MS = 90_000;
/** Above the sum of all the times after which something ends by itself. */
const ROUNDS_MAX = 150;
const CLEAN_UP_EVERY = 3;
const TURNS_MAX = 400;

export async function converge(world: World): Promise<void> {
  world.weather = CALM;
  world.trace.add("CALM", "no more faults");
  await settle(world);
  if (world.findings.length > 0) return;
  removeOwnNodes(world);
  await probe(world);
}

/** A new task, when all is quiet, gets a machine and comes to an end. */
async function probe(world: World): Promise<void> {
  const home = world.random.pick(world.homes);
  let taskId = "";
  submitProbe(world, home, (id) => taskId = id);
  await settle(world);
  const task = world.mirror.values<TaskRecord>("task").find(({ id }) => id === taskId);
  if (!task?.startedAt && !/repository is not there/.test(task?.errorMessage ?? "")) {
    world.find(`a task submitted in calm was not begun: ${task?.errorMessage}`);
  }
}

async function settle(world: World): Promise<void> {
  let left: string[] = [];
  for (let round = 0; round < ROUNDS_MAX; round++) {
    closeByHand(world);
    await runDry(world);
    runSweep(world);
    if (round % CLEAN_UP_EVERY === 0) runCleanUp(world);
    await runDry(world);
    left = whatIsLeft(world);
    if (left.length === 0 || world.findings.length > 0) return;
    await world.pass(ROUND_MS);
  }
  for (const thing of left) world.find(`never ends: ${thing}`);
}

/** Does all that can be done now. */
async function runDry(world: World): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && world.findings.length === 0; turn++) {
    for (let fiber = world.fibers.live[0]; fiber; fiber = world.fibers.live[0]) {
      // Nothing happens in no time: a worker whose new key is taken at this very millisecond looks again at the next.
      world.now++;
      await world.step(fiber);
      if (world.findings.length > 0) return;
    }
    const acts = [...world.agents.values()].flatMap((agent) => agent.options());
    acts.forEach((act) => act());
    if (isRingable(world)) ringLoop(world);
    if (world.fibers.live.length === 0 && acts.length === 0) return;
  }
}

function whatIsLeft({ mirror, cloud }: World): string[] {
  const nodes = mirror.values<NodeRecord>("node");
  return [
    ...mirror.values<TaskRecord>("task").filter(isLive).map((task) => `task ${task.id}, ${task.status}`),
    ...mirror.values<WorkspaceRecord>("workspace").filter(({ status }) => status !== "stopped")
      .map((each) => `workspace ${each.id}, ${each.status}`),
    ...nodes.filter(({ claims }) => claims.length > 0).map((node) => `a claim on node ${node.id}`),
    ...nodes.filter(({ autoProvisioned, status }) => autoProvisioned && status !== "destroyed")
      .map((node) => `node ${node.id}, ${node.status}`),
    ...[...cloud.servers.keys()].map((ref) => `machine ${ref}`),
    ...mirror.keys("due").map((key) => `due ${key.slice(2).join(" ")}`),
  ];
}

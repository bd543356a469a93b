/**
 * One seed: faults and people for a while, then calm. In calm weather everything must come to its end by itself: no run
 * goes on for ever, no machine is left, nothing is claimed by the dead, and a new task gets a machine.
 */
import { newId } from "../../lib/ids.ts";
import { converge } from "./converge.ts";
import { isRingable, ringLoop, runCleanUp, runSweep } from "./housekeeping.ts";
import { namesInStore } from "./mirror.ts";
import { settleIn, userOptions } from "./users.ts";
import { makeWorld, type World } from "./world.ts";
import { drawWeather, dropTimes } from "./weather.ts";

const STEPS = 1_200;
const FIBERS_MAX = 14;

export interface SeedResult {
  seed: number;
  /** Empty: all is right. */
  findings: string[];
  trace: string[];
  steps: number;
  virtualMs: number;
}

export async function runSeed(seed: number, options: { steps?: number } = {}): Promise<SeedResult> {
  using world = await makeWorld(seed);
  const began = world.now;
  await settleIn(world);
  const storm = drawWeather(world.random);
  world.weather = storm;
  await rage(world, options.steps ?? STEPS);
  if (world.findings.length === 0) await converge(world);
  if (world.findings.length === 0) await compareWithStore(world);
  return {
    seed,
    findings: world.findings,
    trace: world.trace.lines,
    steps: world.steps,
    virtualMs: world.now - began,
  };
}

/** The steps with faults. Operations stay where they are in between, so that everything may meet everything. */
async function rage(world: World, steps: number): Promise<void> {
  const { random, fibers } = world;
  const [stickiness, appetite] = [0.3 + random.next() * 0.65, 0.05 + random.next() * 0.3];
  let last: (typeof fibers.live)[number] | undefined;
  const end = world.steps + steps;
  while (world.steps < end && world.findings.length === 0) {
    const isFull = fibers.live.length >= FIBERS_MAX;
    if (fibers.live.length === 0 || (!isFull && random.chance(appetite))) {
      await begin(world);
      continue;
    }
    const ready = fibers.live.filter((fiber) => fiber.tickets.length > 0);
    if (ready.length === 0) break;
    const fiber = last && ready.includes(last) && random.chance(stickiness) ? last : random.pick(ready);
    if (random.chance(world.weather.crash)) crash(world, fiber.process);
    else {
      last = fiber;
      world.now += random.between(0, 30);
      await world.step(fiber);
    }
  }
}

/** Something new begins. */
async function begin(world: World): Promise<void> {
  const { random } = world;
  if (random.chance(world.weather.disaster)) return disaster(world);
  const agents = [...world.agents.values()].flatMap((agent) => agent.options());
  const kinds: [number, () => void | Promise<void>][] = [
    [isRingable(world) ? 6 : 0, () => ringLoop(world)],
    [1, () => runSweep(world)],
    [0.4, () => runCleanUp(world)],
    [agents.length > 0 ? 8 : 0, () => random.pick(agents)()],
    [3, () => void random.pick(userOptions(world))()],
    [2.5, () => world.pass(dropTimes(random))],
  ];
  let at = random.next() * kinds.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, act] of kinds) {
    at -= weight;
    if (at < 0) return await act();
  }
}

/** A process of the edge dies: whatever it was doing stays as it was. */
function crash(world: World, process: number): void {
  const isWhole = world.random.chance(0.5);
  const hit = world.fibers.live.filter((fiber) => fiber.process === process);
  const dying = isWhole ? hit : [world.random.pick(hit)];
  world.trace.add("CRASH", dying.map((fiber) => fiber.name).join(", "));
  for (const fiber of dying) world.fibers.kill(fiber);
}

/** Something happens to a machine. */
function disaster(world: World): void {
  const { random, cloud } = world;
  if (random.chance(0.1)) return leak(world);
  const agents = [...world.agents.entries()].filter(([, agent]) => agent.isUp);
  if (agents.length === 0) return;
  const [ref, agent] = random.pick(agents);
  const name = world.names.of("node", agent.nodeId);
  const kind = random.pick(["restart", "restart", "restart", "lose", "lose", "die", "vanish"]);
  world.trace.add("DISASTER", `${kind} ${name}`);
  if (kind === "restart") agent.restart();
  if (kind === "die") agent.isUp = false;
  if (kind === "lose" && agent.rows.size > 0) agent.loseWorkspace(random.pick([...agent.rows.keys()]));
  if (kind === "vanish" && cloud.servers.delete(ref)) agent.isUp = false;
}

/** A machine of ours that no record knows, as after a restored backup. */
function leak({ cloud, trace, store, config }: World): void {
  const ref = `server-${++cloud.made}`;
  const spec = {
    nodeId: newId(),
    ownerId: newId(),
    installationId: store.installationId,
    vmSize: "small" as const,
    location: config.DEFAULT_VM_LOCATION,
    bootstrapToken: "unknown to the edge as the node is",
    controlPlaneUrl: config.publicUrl,
    projectId: null,
    sessionId: null,
  };
  cloud.servers.set(ref, { ref, spec, bootsAt: Infinity });
  trace.add("DISASTER", `${ref} is there and nobody knows it`);
}

/** The rules looked at a copy: it is what is in the store. */
async function compareWithStore(world: World): Promise<void> {
  const [copy, real] = [world.mirror.names(), await namesInStore(world.store.kv)];
  const isSame = copy.length === real.length && copy.every((name, at) => name === real[at]);
  if (!isSame) world.find(`the copy has ${copy.length} keys, the store ${real.length}`);
}

/**
 * One seed from beginning to end: a world is made, runs are submitted, everything that the plan says goes wrong, then all
 * faults end, and what is stored is compared with what the coding agent said.
 */
import { wait } from "../../lib/backoff.ts";
import { join } from "node:path";
import { type Message, message as messageSchema } from "../../lib/wire/message.ts";
import { type Blow, describePlan, type Event, faultFor, makePlan, type Plan } from "./plan.ts";
import { Random } from "./random.ts";
import { makeScript, type Script } from "./script.ts";
import { judge } from "./verify.ts";
import { World } from "./world.ts";

/** Everything must have come to rest this long after the last fault. */
const HEAL_MAX_MS = 120_000;
const LOOK_MS = 50;
/** What was said this long before a kill is on the disk: a checkpoint, and a machine that is busy with other things. */
const DURABLE_AFTER_MS = 3_000;
/** A coding agent whose agent was killed talks to nobody until it is found and ended. */
const ORPHAN_MAX_MS = 6_000;
/** A blow that waits for the first words falls after this long all the same. */
const SPEECH_MAX_MS = 20_000;
const TERMINAL = ["completed", "failed", "cancelled"];

export interface SeedResult {
  seed: number;
  plan: string;
  /** What is wrong; empty when nothing is. */
  faults: string[];
  messages: number;
  /** Requests through the proxy that met a fault. */
  disturbed: number;
  blows: Struck[];
  /** Prompts that a kill cut short after words that had to be on the disk, and so were asked for. */
  bounded: number;
  ms: number;
  /** Of the world, when something is wrong. */
  logs: string | null;
}

export interface Struck {
  blow: Blow;
  /** It fell after the first command, and before the last one that the scripts hold. */
  isMidSpeech: boolean;
}

interface Run {
  script: Script;
  taskId: string;
  sessionId: string;
  taken: Set<string>;
}

/** When processes were killed, in milliseconds since the epoch. */
interface Kills {
  agents: number[];
  codingAgents: number;
  disk: boolean;
}

interface Blows {
  kills: Kills;
  fallen: { blow: Blow; at: number }[];
}

export interface SeedOptions {
  canFillDisk: boolean;
  /** Instead of the blows that follow from the seed. */
  events?: Event[];
}

export async function runSeed(seed: number, options: SeedOptions): Promise<SeedResult> {
  const startedAt = performance.now();
  const drawn = makePlan(new Random(seed), options);
  const plan = { ...drawn, events: options.events ?? drawn.events };
  await using world = await World.make({ smallDisk: plan.events.some((event) => event.blow === "disk_full") });
  const result = { seed, plan: describePlan(plan), messages: 0, disturbed: 0, blows: [] as Struck[], bounded: 0 };
  const faults: string[] = [];
  try {
    const log = join(world.directory, "reached.log");
    await Deno.writeTextFile(log, "");
    const { runs, kills, fallen } = await disturb(world, { seed, plan, log });
    const said = await readReached(log);
    const all = runs.flatMap(({ script }) => commandsOf(script)).length;
    result.blows = fallen.map(({ blow, at }) => {
      const before = [...said.values()].filter((time) => time <= at).length;
      return { blow, isMidSpeech: before > 0 && before < all };
    });
    for (const run of runs) {
      const stored = await readStored(world, run);
      result.messages += stored.length;
      const verdict = judge({
        script: run.script,
        stored,
        taken: run.taken,
        mayBeCut: kills.agents.length > 0 || kills.codingAgents > 0 || kills.disk,
        mayBeStopped: kills.disk,
        mayBeShort: plan.bodyMaxBytes !== null,
        reached: reachedBefore(run.script, said, kills),
      });
      result.bounded += verdict.bounded;
      faults.push(...verdict.faults.map((fault) => `session ${run.sessionId}: ${fault}`));
    }
  } catch (error) {
    faults.push(error instanceof Error ? error.stack ?? error.message : String(error));
  }
  for (const [kind, count] of world.proxy.met) if (kind !== "pass") result.disturbed += count;
  const logs = faults.length > 0 ? await world.readLogs() : null;
  return { ...result, faults, logs, ms: Math.round(performance.now() - startedAt) };
}

/** Submits the runs, lets everything of the plan happen, and returns when all is at rest again. */
async function disturb(world: World, given: { seed: number; plan: Plan; log: string }) {
  const { seed, plan, log } = given;
  const random = new Random(seed + 1_000_003);
  await world.setClock("edge", 0);
  await world.setClock("agents", 0);
  await world.startEdge();
  const project = await world.insist("POST", "/api/projects", { name: "chaos", repositoryUrl: world.repository.path });
  const projectId: string = project.body.id;
  const begun = Date.now();
  const storm = new Random(seed + 2_000_003);
  world.proxy.fault = (request) => faultFor(plan, storm, { ms: Date.now() - begun, request });
  const blows: Blows = { kills: { agents: [], codingAgents: 0, disk: false }, fallen: [] };
  const scripts = Array.from(
    { length: plan.runs },
    (_, r) => makeScript(random, { name: `s${seed}r${r}`, log, isLong: plan.isLong }),
  );
  const [runs] = await Promise.all([
    Promise.all(scripts.map((script) => submit(world, projectId, script))),
    strikeAll(world, plan, { begun, blows, log }),
  ]);
  await calmDown(world, plan, begun);
  await waitForRest(world, projectId, runs);
  return { runs: runs.map((run) => ({ ...run, projectId })), ...blows };
}

async function submit(world: World, projectId: string, script: Script): Promise<Run> {
  const [first, ...others] = script.prompts;
  const path = `/api/projects/${projectId}/tasks`;
  const made = await world.insist("POST", `${path}/submit`, { description: first!.text });
  if (made.status !== 202) throw new Error(`not submitted: ${JSON.stringify(made.body)}`);
  const { taskId, sessionId } = made.body;
  const taken = new Set<string>();
  for (const prompt of others) {
    if (!await waitUntilAsked(world, `${path}/${taskId}`)) break;
    const body = { messageId: prompt.messageId, text: prompt.text };
    const answer = await world.insist("POST", `/api/projects/${projectId}/sessions/${sessionId}/prompts`, body);
    if (answer.status === 202) taken.add(prompt.messageId);
  }
  return { script, taskId, sessionId, taken };
}

/** False when the run ended before it could be asked more. */
async function waitUntilAsked(world: World, path: string): Promise<boolean> {
  while (true) {
    const { body } = await world.insist("GET", path);
    if (body.status === "in_progress" || body.status === "delegated") return true;
    if (TERMINAL.includes(body.status)) return false;
    await wait(LOOK_MS);
  }
}

async function strikeAll(world: World, plan: Plan, at: { begun: number; blows: Blows; log: string }): Promise<void> {
  const spoken = waitForSpeech(at.log, at.begun + SPEECH_MAX_MS);
  await Promise.all(plan.events.map(async (event) => {
    const from = event.since === "speech" ? await spoken : at.begun;
    await wait(Math.max(0, from + event.atMs - Date.now()));
    at.blows.fallen.push({ blow: event.blow, at: Date.now() });
    await strike(world, event, at.blows.kills);
  }));
  await spoken;
}

/** When the first words were said, or the deadline. */
async function waitForSpeech(log: string, deadline: number): Promise<number> {
  while (Date.now() < deadline && (await Deno.stat(log)).size === 0) await wait(LOOK_MS);
  return Date.now();
}

async function strike(world: World, event: Event, kills: Kills): Promise<void> {
  switch (event.blow) {
    case "kill_agent":
      if (await world.killAgents() > 0) kills.agents.push(Date.now());
      return;
    case "kill_coding_agent":
      kills.codingAgents += await world.killCodingAgents();
      return;
    case "kill_edge":
      await world.killEdge();
      await wait(event.ms);
      return await world.startEdge();
    case "kill_both": {
      const [killed] = await Promise.all([world.killAgents(), world.killEdge()]);
      if (killed > 0) kills.agents.push(Date.now());
      await wait(event.ms);
      return await world.startEdge();
    }
    case "cut_network":
      world.proxy.isCut = true;
      world.proxy.cutAll();
      await wait(event.ms);
      world.proxy.isCut = false;
      return;
    case "disk_full":
      kills.disk = true;
      world.fillDisk();
      await wait(event.ms);
      return await world.freeDisk();
    case "clock_jump":
      return await world.setClock("edge", event.ms);
    case "agent_clock_jump":
      return await world.setClock("agents", event.ms);
    case "tokens_expire":
      return await world.rotateTokens();
  }
}

/** The last storm is waited for; after it nothing goes wrong any more. */
async function calmDown(world: World, plan: Plan, begun: number): Promise<void> {
  const last = Math.max(0, ...plan.storms.map((storm) => storm.toMs));
  await wait(Math.max(0, begun + last - Date.now()));
  world.proxy.isCut = false;
  await world.startEdge();
}

/** Every run has ended, and every node says that nothing waits on it. */
async function waitForRest(world: World, projectId: string, runs: Run[]): Promise<void> {
  const deadline = Date.now() + HEAL_MAX_MS;
  let state = "nothing was read";
  while (Date.now() < deadline) {
    const tasks = await Promise.all(
      runs.map(({ taskId }) => world.insist("GET", `/api/projects/${projectId}/tasks/${taskId}`)),
    );
    state = tasks.map(({ body }) => `${body.status}/${body.executionStep}`).join();
    if (tasks.every(({ body }) => TERMINAL.includes(body.status)) && await areNodesEmpty(world)) return;
    await wait(LOOK_MS);
  }
  throw new Error(`no rest after ${HEAL_MAX_MS} ms: tasks ${state}`);
}

/** Asked twice: what the first look found may be from before the run ended. */
async function areNodesEmpty(world: World): Promise<boolean> {
  const first = await beats(world);
  if (first.some((node) => !node.isEmpty)) return false;
  while (true) {
    const now = await beats(world);
    if (now.some((node) => !node.isEmpty)) return false;
    if (now.every((node) => node.isGone || first.some((old) => old.id === node.id && old.at !== node.at))) return true;
    await wait(LOOK_MS);
  }
}

interface BeatSeen {
  id: string;
  at: string | null;
  isEmpty: boolean;
  isGone: boolean;
}

async function beats(world: World): Promise<BeatSeen[]> {
  const { body } = await world.insist("GET", "/api/nodes");
  return body.items.map((
    node: { id: string; status: string; heartbeat: { at: string; outboxDepth: number } | null },
  ) => ({
    id: node.id,
    at: node.heartbeat?.at ?? null,
    isEmpty: node.status === "destroyed" || node.heartbeat?.outboxDepth === 0,
    isGone: node.status === "destroyed",
  }));
}

async function readStored(world: World, run: Run & { projectId: string }): Promise<Message[]> {
  const path = `/api/projects/${run.projectId}/sessions/${run.sessionId}/export?format=jsonl`;
  const { body } = await world.insist("GET", path);
  return String(body).split("\n").filter(Boolean).map((line) => messageSchema.parse(JSON.parse(line)));
}

/** When each command noted itself, by the name that it gave. */
async function readReached(log: string): Promise<Map<string, number>> {
  const lines = (await Deno.readTextFile(log)).split("\n").filter(Boolean);
  return new Map(lines.map((line) => line.split(" ") as [string, string]).map(([name, at]) => [name, Number(at)]));
}

function reachedBefore(script: Script, said: Map<string, number>, kills: Kills): Set<string> {
  return new Set(
    commandsOf(script).filter((command) => {
      const at = said.get(/^echo "(\S+)/.exec(command)![1]!);
      return at !== undefined &&
        kills.agents.every((kill) => at < kill - DURABLE_AFTER_MS || at > kill + ORPHAN_MAX_MS);
    }),
  );
}

function commandsOf(script: Script): string[] {
  return script.prompts.flatMap(({ lines }) => lines.flatMap(({ command }) => command ? [command] : []));
}

/** What goes wrong in a run, and when: all of it follows from the seed. */
import type { Fault, RequestHead } from "./proxy.ts";
import type { Random } from "./random.ts";

export type Blow =
  | "kill_agent"
  | "kill_edge"
  | "kill_both"
  | "kill_coding_agent"
  | "cut_network"
  | "disk_full"
  | "clock_jump"
  | "agent_clock_jump"
  | "tokens_expire";

export interface Event {
  /** What the time counts from: the runs are submitted, or the coding agent has said its first words. */
  since: "submission" | "speech";
  atMs: number;
  blow: Blow;
  /** How long the edge stays away, the network is cut, the disk is full; by how much the clock jumps. */
  ms: number;
}

/** A time in which requests through the proxy meet a fault with some probability. */
export interface Storm {
  fromMs: number;
  toMs: number;
  share: number;
  fault: Fault;
}

export interface Plan {
  runs: number;
  /** The coding agent talks for so long that a late blow finds words that must be on the disk by then. */
  isLong: boolean;
  events: Event[];
  storms: Storm[];
  /** Bodies of messages above this many bytes are refused with 413 by somebody in between. */
  bodyMaxBytes: number | null;
}

/** An installation is up and its first run under way after a second; runs last some seconds. */
const SPAN_MS = 3_500;
/** When the blow of a long run falls, counted from the first words. */
const LATE_MS = { from: 3_300, to: 7_000 };
const BLOWS: readonly Blow[] = [
  "kill_agent",
  "kill_agent",
  "kill_edge",
  "kill_edge",
  "kill_both",
  "kill_coding_agent",
  "cut_network",
  "cut_network",
  "clock_jump",
  "agent_clock_jump",
  "tokens_expire",
];
/** The last blow of a long run: what was said well before it must be there. */
const LATE_BLOWS: readonly Blow[] = ["kill_agent", "kill_agent", "kill_both", "kill_coding_agent"];
/** So that no due time of the edge is reached by a jump alone: a workspace that its node does not name is lost at 60 s. */
const EDGE_JUMP_MS = { from: -240_000, to: 40_000 };
const AGENT_JUMP_MS = { from: -240_000, to: 240_000 };
const FAULTS: readonly ((random: Random) => Fault)[] = [
  () => ({ kind: "refuse" }),
  () => ({ kind: "swallow" }),
  (random) => ({ kind: "delay", ms: random.between(20, 900) }),
  () => ({ kind: "cut_request" }),
  () => ({ kind: "cut_answer" }),
  () => ({ kind: "cut_answer" }),
  () => ({ kind: "half_answer" }),
  () => ({ kind: "duplicate" }),
  (random) => ({ kind: "echo", ms: random.between(0, 1_200) }),
  (random) => ({ kind: "throttle", bytesPerSecond: random.between(20_000, 200_000) }),
  () => ({ kind: "status", status: 500 }),
  () => ({ kind: "status", status: 503 }),
  () => ({ kind: "status", status: 401 }),
  () => ({ kind: "status", status: 429, retryAfterSeconds: 1 }),
];

/** The plan of a seed. `canFillDisk`: whether a full disk can be had here. */
export function makePlan(random: Random, options: { canFillDisk: boolean }): Plan {
  const isLong = random.chance(0.3);
  const plan: Plan = {
    runs: random.chance(0.35) ? 2 : 1,
    isLong,
    events: Array.from({ length: random.between(0, isLong ? 1 : 2) }, () => makeEvent(random)),
    storms: Array.from({ length: random.between(1, 3) }, () => makeStorm(random, isLong ? LATE_MS.to : SPAN_MS)),
    bodyMaxBytes: random.chance(0.15) ? random.between(4_000, 30_000) : null,
  };
  if (isLong) plan.events.push(makeLateEvent(random));
  // Drawn in any case, so that a seed means the same where no disk can be filled.
  const fills = random.chance(0.1);
  const full: Event = {
    since: "speech",
    atMs: random.between(0, 1_500),
    blow: "disk_full",
    ms: random.between(500, 2_000),
  };
  if (fills && options.canFillDisk) plan.events = [full];
  return plan;
}

/** The fault that a request meets at this time. */
export function faultFor(plan: Plan, random: Random, now: { ms: number; request: RequestHead }): Fault {
  const { ms, request } = now;
  const isMessages = request.method === "POST" && request.path.endsWith("/messages");
  if (isMessages && plan.bodyMaxBytes !== null && request.bodyBytes > plan.bodyMaxBytes) {
    return { kind: "status", status: 413 };
  }
  const storm = plan.storms.find((each) => ms >= each.fromMs && ms < each.toMs && random.chance(each.share));
  return storm?.fault ?? { kind: "pass" };
}

export function describePlan(plan: Plan): string {
  const events = plan.events.map(({ blow, since, atMs, ms }) =>
    `${blow}@${since === "speech" ? "speech+" : ""}${atMs}+${ms}`
  );
  const storms = plan.storms.map((storm) =>
    `${storm.fault.kind}${"status" in storm.fault ? storm.fault.status : ""}@${storm.fromMs}-${storm.toMs}×${
      storm.share.toFixed(2)
    }`
  );
  const limit = plan.bodyMaxBytes === null ? [] : [`413>${plan.bodyMaxBytes}`];
  return [`${plan.runs} ${plan.isLong ? "long " : ""}run(s)`, ...events, ...storms, ...limit].join(" ");
}

function makeEvent(random: Random): Event {
  const blow = random.pick(BLOWS);
  const event = { since: "submission" as const, atMs: random.between(300, SPAN_MS), blow };
  if (blow === "clock_jump") return { ...event, ms: random.between(EDGE_JUMP_MS.from, EDGE_JUMP_MS.to) };
  if (blow === "agent_clock_jump") return { ...event, ms: random.between(AGENT_JUMP_MS.from, AGENT_JUMP_MS.to) };
  return { ...event, ms: random.between(0, 1_500) };
}

function makeLateEvent(random: Random): Event {
  const atMs = random.between(LATE_MS.from, LATE_MS.to);
  return { since: "speech", atMs, blow: random.pick(LATE_BLOWS), ms: random.between(0, 1_500) };
}

function makeStorm(random: Random, spanMs: number): Storm {
  const fromMs = random.between(0, spanMs);
  const toMs = fromMs + random.between(200, 2_000);
  return { fromMs, toMs, share: 0.1 + random.next() * 0.8, fault: random.pick(FAULTS)(random) };
}

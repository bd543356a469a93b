/**
 * One simulated installation: the real store and the real functions of two edge processes, with machines, agents and
 * users around them, on a clock that only the seed moves. After each commit every rule is held against the store.
 */
import { readEdgeConfig } from "../../lib/config.ts";
import { readSealKeys } from "../../lib/auth/seal.ts";
import { readKeyring } from "../../lib/auth/tokens.ts";
import type { Edge } from "../../lib/edge.ts";
import { AppError } from "../../lib/errors.ts";
import { Live } from "../../lib/live/live.ts";
import type { Logger } from "../../lib/log.ts";
import { Metrics } from "../../lib/metrics.ts";
import { ManualProvider } from "../../lib/providers/manual.ts";
import type { NodeRecord } from "../../lib/store/nodes.ts";
import { openStore, type Store } from "../../lib/store/store.ts";
import { PROTOCOL, PROTOCOL_MIN } from "../../lib/wire/limits.ts";
import type { TurnAnswer, TurnReport } from "../../lib/wire/workspace.ts";
import { Random } from "../chaos/random.ts";
import { type Fiber, Fibers, type Outcome } from "./fibers.ts";
import { type Changed, Mirror } from "./mirror.ts";
import { Names } from "./names.ts";
import { checkClaims } from "./rules/claims.ts";
import { checkDues, checkIndexes } from "./rules/indexes.ts";
import { checkSteps } from "./rules/steps.ts";
import { checkTaskStates } from "./rules/tasks.ts";
import { makeView } from "./rules/view.ts";
import { SimAgent } from "./sim_agent.ts";
import { type KvFault, simulateKv, StoreFault } from "./sim_kv.ts";
import { type Server, type SimCloud, SimProvider } from "./sim_provider.ts";
import { Trace } from "./trace.ts";

const BEGIN_MS = Date.UTC(2026, 0, 1);
const PROCESSES = 2;

/** How much goes wrong in a seed, as shares of chances. */
export interface Weather {
  readFault: number;
  commitFault: number;
  providerFault: number;
  /** A copy of a request that comes late. */
  repeat: number;
  /** An answer that does not reach who asked. */
  lostAnswer: number;
  crash: number;
  disaster: number;
}

export const CALM: Weather = {
  readFault: 0,
  commitFault: 0,
  providerFault: 0,
  repeat: 0,
  lostAnswer: 0,
  crash: 0,
  disaster: 0,
};

export interface Installation {
  projectId: string;
  userId: string;
}

export class World implements Disposable {
  readonly random: Random;
  readonly fibers: Fibers;
  readonly mirror = new Mirror();
  readonly names = new Names();
  readonly trace: Trace;
  readonly cloud: SimCloud;
  readonly store: Store;
  /** Agents by the reference of their server, or the id of a node of a person's own. */
  readonly agents = new Map<string, SimAgent>();
  readonly homes: Installation[] = [];
  /** What was found wrong. The run ends with the first. */
  readonly findings: string[] = [];
  now = BEGIN_MS;
  weather: Weather = CALM;
  steps = 0;
  readonly #base: Omit<Edge, "store" | "provider" | "otherProviders">;
  readonly #leased = new Set<string>();
  readonly #ran = new Map<string, string>();
  readonly #answers = new Map<string, string>();

  constructor(seed: number, store: Store, base: World["edgeBase"]) {
    this.random = new Random(seed);
    this.store = store;
    this.#base = base;
    this.fibers = new Fibers(() => this.now);
    this.trace = new Trace(this.names, () => this.now - BEGIN_MS);
    this.cloud = {
      servers: new Map(),
      confirmed: new Set(),
      made: 0,
      fault: () => this.#providerFault(),
      bootsAt: () => this.#bootsAt(),
      onDestroy: (server, ref) => this.#checkDestroy(server, ref),
      tell: (fiber, text) => this.trace.add(fiber.name, text),
    };
  }

  get edgeBase(): Omit<Edge, "store" | "provider" | "otherProviders"> {
    return this.#base;
  }

  get config(): Edge["config"] {
    return this.#base.config;
  }

  /** Starts an operation on one of the edge's processes. The answer may get lost on its way. */
  call<T>(name: string, work: (edge: Edge) => Promise<T>, onEnd: (outcome: Outcome<T>) => void = () => {}): Fiber {
    const about = { name: `#${this.fibers.live.length} ${name}`, process: this.random.between(0, PROCESSES - 1) };
    return this.fibers.spawn(about, (fiber) => work(this.#edgeFor(fiber)), (outcome) => {
      if (outcome.kind === "error") this.#look(outcome.error, name);
      const isLost = outcome.kind === "lost" || this.random.chance(this.weather.lostAnswer);
      onEnd(isLost ? { kind: "lost" } : outcome);
    });
  }

  /** Now and then the same request comes once more, at any time; nobody waits for its answer. */
  maybeRepeat(name: string, work: (edge: Edge) => Promise<unknown>): void {
    if (this.random.chance(this.weather.repeat)) this.call(this.names.shorten(name), work);
  }

  hasCommands(nodeId: string, after: number): boolean {
    return (this.mirror.get<{ lastSeq: number }>(["commandHead", nodeId])?.lastSeq ?? 0) > after;
  }

  /** A prompt that a coding agent begins to work on: once, and nowhere else. */
  noteRun(promptId: string, workspaceId: string): void {
    const before = this.#ran.get(promptId);
    if (before) this.find(`prompt ${promptId} runs in ${workspaceId} and ran in ${before}`);
    this.#ran.set(promptId, workspaceId);
  }

  /** The same report of a turn gets the same answer, or after the end of the work that there is nothing more to do. */
  noteAnswer(workspaceId: string, { promptId, event }: TurnReport, answer: TurnAnswer): void {
    if ("stop" in answer) return;
    const name = `${workspaceId} ${promptId} ${event}`;
    const text = JSON.stringify(answer);
    const before = this.#answers.get(name);
    if (before && before !== text) this.find(`${event} of prompt ${promptId} got ${before}, and ${text} the next time`);
    this.#answers.set(name, text);
  }

  find(finding: string): void {
    this.findings.push(this.names.shorten(finding));
    this.trace.add("RULE", this.names.shorten(finding));
  }

  /** Moves the clock; waits that are over by then end, and machines come up. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    await this.fibers.fireTimers();
    for (const server of this.cloud.servers.values()) {
      if (server.bootsAt > this.now || this.agents.has(server.ref)) continue;
      this.addAgent(server.ref, server.spec, false);
    }
  }

  addAgent(ref: string, from: { nodeId: string; bootstrapToken: string }, isOwn: boolean): void {
    const { nodeId, bootstrapToken } = from;
    const nonce = `nonce-${ref}-of-an-agent-on-its-machine`;
    this.agents.set(ref, new SimAgent(this, { nodeId, bootstrapToken, nonce }, isOwn));
    this.trace.add("machine", `${this.names.of("node", nodeId)}'s agent comes up`);
  }

  async step(fiber: Fiber): Promise<void> {
    this.steps++;
    await this.fibers.step(fiber);
  }

  [Symbol.dispose](): void {
    this.fibers[Symbol.dispose]();
    this.store.close();
  }

  /** The edge as one operation has it: its own handle on the store, and its own line to the provider. */
  #edgeFor(fiber: Fiber): Edge {
    const kv = simulateKv({
      kv: this.store.kv,
      fibers: this.fibers,
      mirror: this.mirror,
      fault: (kind) => this.#kvFault(kind),
      onRead: () => {},
      onCommit: (by, changed, note) => this.#onCommit(by, changed, note),
    }, fiber);
    const store: Store = { ...this.store, kv, watchKv: kv, queues: false };
    const provider = new SimProvider(this.cloud, this.fibers, fiber);
    return {
      ...this.#base,
      clock: () => this.now,
      log: this.#logOf(fiber),
      store,
      provider,
      otherProviders: [new ManualProvider()],
    };
  }

  #onCommit(fiber: Fiber, changed: Changed[], note: string): void {
    this.trace.commit(fiber.name, changed, note);
    if (changed.length === 0) return;
    this.#noteLeases(changed);
    const view = makeView(this.mirror, this.config, this.now);
    const isConfirmed = (node: NodeRecord) =>
      node.provider === "manual" || [node.id, node.providerRef].some((ref) => ref && this.cloud.confirmed.has(ref));
    const rules = [
      checkSteps(view, changed, isConfirmed),
      checkClaims(view),
      checkTaskStates(view),
      checkIndexes(view),
      checkDues(view, this.#leased),
    ];
    for (const rule of rules) for (const finding of rule) this.find(finding);
  }

  /** A worker takes an item by moving its key ahead, in a commit of nothing else. */
  #noteLeases(changed: Changed[]): void {
    const isMove = changed.every(({ key }) => key[0] === "due") && changed.some(({ after }) => after === undefined);
    for (const { key, after } of changed) {
      if (key[0] !== "due") continue;
      if (after !== undefined && isMove) this.#leased.add(key.join("/"));
      else this.#leased.delete(key.join("/"));
    }
  }

  /** Only a machine whose node is on its way out, or whose node nobody knows, is ever deleted. */
  #checkDestroy(server: Server | null, ref: string): void {
    const nodeId = server?.spec.nodeId ?? ref;
    const node = this.mirror.get<NodeRecord>(["node", nodeId]);
    if (node && !["destroying", "destroyed"].includes(node.status)) {
      this.find(`the machine of node ${nodeId} is deleted while the node is ${node.status}`);
    }
    const agent = server && this.agents.get(server.ref);
    if (agent) agent.isUp = false;
  }

  #kvFault(kind: "read" | "commit"): KvFault {
    if (kind === "read") return this.random.chance(this.weather.readFault) ? "unreachable" : null;
    if (!this.random.chance(this.weather.commitFault)) return null;
    return this.random.pick(["unreachable", "locked", "answer_lost", "told_twice"] as const);
  }

  #providerFault() {
    if (!this.random.chance(this.weather.providerFault)) return null;
    return this.random.pick(["refused", "no_capacity", "answer_lost"] as const);
  }

  #bootsAt(): number {
    const never = this.random.chance(this.weather.providerFault / 2);
    return never ? Infinity : this.now + this.random.between(500, 40_000);
  }

  #logOf(fiber: Fiber): Logger {
    const look = (level: string) => (event: string, fields: Record<string, unknown> = {}) => {
      if (level === "error") this.#look(fields.error, event);
      if (level !== "info") this.trace.add(fiber.name, this.names.shorten(`${event} ${String(fields.reason ?? "")}`));
    };
    const log: Logger = {
      debug: () => {},
      info: look("info"),
      warn: look("warn"),
      error: look("error"),
      critical: look("warn"),
      with: () => log,
    };
    return log;
  }

  /** What a program must never do, whatever the store and the provider do to it. */
  #look(error: unknown, where: string): void {
    const isOurs = error instanceof StoreFault;
    const isBug = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError ||
      (error instanceof AppError && error.code === "internal_error");
    if (isBug && !isOurs) this.find(`${where} broke: ${error.stack}`);
  }
}

/** A world with its store, before anything happened in it. */
export async function makeWorld(seed: number): Promise<World> {
  const random = new Random(seed ^ 0x5eed);
  const config = readEdgeConfig({ ...ENVIRONMENT, ...drawLimits(random) });
  const base = {
    config,
    metrics: new Metrics(),
    protocol: { min: PROTOCOL_MIN, max: PROTOCOL },
    keyring: readKeyring("a secret of the simulation with enough characters"),
    sealKeys: await SEAL_KEYS,
    // Nobody follows anything live here.
    live: Object.create(Live.prototype) as Live,
    clock: () => 0,
    log: null as unknown as Logger,
  };
  return new World(seed, await openStore(":memory:"), base);
}

function drawLimits(random: Random): Record<string, string> {
  return {
    MAX_NODES_PER_USER: String(random.between(1, 3)),
    MAX_WORKSPACES_PER_NODE: String(random.between(1, 2)),
  };
}

const SEAL_KEYS = readSealKeys("key:" + btoa("0123456789abcdef0123456789abcdef"));

/** Everything happens as in an installation, only sooner, so that a run need not last for virtual days. */
const ENVIRONMENT = {
  HEARTH_KV: ":memory:",
  RATE_RUNS_PER_HOUR: "100000",
  AGENT_BINARY_URL_X64: "https://downloads.example.org/hearth-agent",
  AGENT_BINARY_SHA256_X64: "0".repeat(64),
  NODE_WARM_TIMEOUT_MS: "300000",
  NODE_CLEANUP_GRACE_PERIOD_MS: "300000",
  MAX_AUTO_NODE_LIFETIME_MS: "1200000",
  NODE_HARD_LIFETIME_MS: "2400000",
  NODE_AGENT_READY_TIMEOUT_MS: "180000",
  HEARTBEAT_STALE_MS: "100000",
  NODE_LOST_AFTER_MS: "240000",
  NODE_RESCUE_MS: "300000",
  TASK_QUEUE_TIMEOUT_MS: "600000",
  WORKSPACE_READY_TIMEOUT_MS: "180000",
  AGENT_START_TIMEOUT_MS: "120000",
  PROMPT_WAIT_TIMEOUT_MS: "180000",
  FINALIZE_TIMEOUT_MS: "180000",
  TASK_MAX_RUN_MS: "900000",
  KEPT_WORKSPACE_TTL_MS: "300000",
};

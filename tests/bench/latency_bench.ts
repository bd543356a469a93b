/**
 * What a person waits for: from a message that the coding agent finished to its frame in a browser's socket, and from
 * Run Now to the prompt accepted, on a new node and on a warm one, phase by phase. Then the same messages from five runs
 * of one owner at once, against those of one run. Real edge, real agents, demo coding agent.
 */
import { startPhases } from "../../lib/tasks/start_phases.ts";
import type { Task } from "../../lib/wire/task.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { type Bench, type Figure, median, percentile } from "./figure.ts";

const COMMANDS = 60;
/** Further apart than the reporter gathers rows: what is measured is a single message's way. */
const APART_MS = 300;
const WARM_RUNS = 8;
const RUNS_AT_ONCE = 5;

async function measure(): Promise<Figure[]> {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  const cold = await startOnce(test, project.id);
  const warm: Phases[] = [];
  for (let i = 0; i < WARM_RUNS; i++) warm.push(await startOnce(test, project.id));
  const delays = await frameDelays(test, project.id);
  const ofFive = await Promise.all(Array.from({ length: RUNS_AT_ONCE }, () => frameDelays(test, project.id)));
  const warmMs = median(warm.map(({ total }) => total));
  return [
    {
      name: "finished message → frame in a browser's socket, p50",
      value: percentile(delays, 0.5),
      unit: "ms",
      goal: { atMost: 50 },
    },
    {
      name: "finished message → frame in a browser's socket, p99",
      value: percentile(delays, 0.99),
      unit: "ms",
      goal: { atMost: 250 },
    },
    {
      name: "the same of five runs at once, p50, against one run alone",
      value: percentile(ofFive.flat(), 0.5) / percentile(delays, 0.5),
      unit: "ratio",
      goal: { atMost: 2 },
    },
    { name: "submit → prompt accepted, new node", value: cold.total, unit: "ms" },
    ...describePhases("new node", [cold]),
    { name: "submit → prompt accepted, warm node, median", value: warmMs, unit: "ms", goal: { atMost: 500 } },
    ...describePhases("warm node, median", warm),
    { name: "warm start against a new node", value: warmMs / cold.total, unit: "ratio", goal: { atMost: 0.5 } },
  ];
}

type Phases = Record<string, number> & { total: number };

function describePhases(what: string, runs: Phases[]): Figure[] {
  const phases = Object.keys(runs[0]!).filter((phase) => phase !== "total");
  return phases.map((phase) => ({
    name: `  ${phase}, ${what}`,
    value: median(runs.map((run) => run[phase] ?? 0)),
    unit: "ms",
  }));
}

/** What Run Now took until the coding agent had the prompt, phase by phase, as the task's own record says. */
function phasesOf(task: Task): Phases {
  const timings = Object.fromEntries(Object.entries(task.timings).map(([step, at]) => [step, Date.parse(at)]));
  const [queuedAt, startedAt] = [Date.parse(task.createdAt), Date.parse(task.startedAt!)];
  return { total: startedAt - queuedAt, ...startPhases({ timings, queuedAt, startedAt }) };
}

async function startOnce(test: TestEdge, projectId: string): Promise<Phases> {
  await using live = await LiveClient.open(test, projectId);
  const { body } = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description: "say hello" });
  const task = await live.task(body.taskId, "completed", "failed");
  if (task.status !== "completed") throw new Error(task.errorMessage ?? "the run failed");
  await live.workspace("stopped", (workspace) => workspace.id === task.workspaceId);
  return phasesOf(task);
}

/** Each command prints the time as its last act: what its message's frame comes later by is all that lies between. */
async function frameDelays(test: TestEdge, projectId: string): Promise<number[]> {
  await using live = await LiveClient.open(test, projectId);
  const description = Array.from({ length: COMMANDS }, () => `run date +%s%3N\nwait ${APART_MS}`).join("\n");
  const { body } = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description });
  live.subscribe(body.sessionId);
  await live.task(body.taskId, "completed", "failed");
  return live.frames.flatMap((frame) => {
    if (frame.type !== "message.new" || frame.message.role !== "tool") return [];
    return [live.arrivals.get(frame.message.messageId)! - Number(frame.message.content.match(/\d{13}/)![0])];
  });
}

export const bench: Bench = { title: "Latency: what a person waits for", measure };

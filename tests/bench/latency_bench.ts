/**
 * What a person waits for: from a message that the coding agent finished to its frame in a browser's socket, and from
 * Run Now to the prompt accepted, on a new node and on a warm one. Real edge, real agent, demo coding agent.
 */
import { startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";
import { type Bench, type Figure, median, percentile } from "./figure.ts";

const COMMANDS = 60;
/** Further apart than the reporter gathers rows: what is measured is a single message's way. */
const APART_MS = 300;
const WARM_RUNS = 8;

async function measure(): Promise<Figure[]> {
  await using repository = await TestRepository.make();
  await using test = await startTestEdge({ agents: true });
  const project = await test.addProject({ repositoryUrl: repository.path });
  const cold = await startMs(test, project.id);
  const warm: number[] = [];
  for (let i = 0; i < WARM_RUNS; i++) warm.push(await startMs(test, project.id));
  const delays = await frameDelays(test, project.id);
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
    { name: "submit → prompt accepted, new node", value: cold, unit: "ms" },
    { name: "submit → prompt accepted, warm node, median", value: median(warm), unit: "ms", goal: { atMost: 500 } },
    { name: "warm start against a new node", value: median(warm) / cold, unit: "ratio", goal: { atMost: 0.5 } },
  ];
}

/** Milliseconds from Run Now until the coding agent has taken the prompt, as the task's own record says. */
async function startMs(test: TestEdge, projectId: string): Promise<number> {
  await using live = await LiveClient.open(test, projectId);
  const { body } = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description: "say hello" });
  const task = await live.task(body.taskId, "completed", "failed");
  if (task.status !== "completed") throw new Error(task.errorMessage ?? "the run failed");
  await live.workspace("stopped", (workspace) => workspace.id === task.workspaceId);
  return Date.parse(task.startedAt!) - Date.parse(task.createdAt);
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

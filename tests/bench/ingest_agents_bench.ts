/**
 * Many agents deliver at once, each into a session of its own: messages per second through the batch endpoint against
 * bare KV commits of the same messages by as many writers, in short turns. The edge has a thread of its own, as it has
 * a machine of its own in life.
 */
import type { TestEdge } from "../edge.ts";
import { startTestEdge } from "../edge.ts";
import { SecondEdge } from "../chaos/second_edge.ts";
import { FakeAgent, newMessage } from "../fakes/agent.ts";
import { type Bench, type Figure, timed } from "./figure.ts";
import { inTurns } from "./in_turns.ts";

const AGENTS = [1, 4, 16];
/** Of all agents together, in one turn. */
const BATCHES = 48;
const ROUNDS = 15;
const PER_BATCH = 100;
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

type Batch = ReturnType<typeof newMessage>[];

interface Line {
  sessionId: string;
  address: string;
  token: string;
}

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    const limits = { MAX_NODES_PER_USER: "20", MAX_WORKSPACES_PER_NODE: "1" };
    await using test = await startTestEdge({ env: { ...SecondEdge.environment(directory), ...limits } });
    await using edge = await SecondEdge.start(directory);
    await using agents = new AsyncDisposableStack();
    const lines = await openLines(test, agents, { count: Math.max(...AGENTS), url: edge.url });
    const kv = await Deno.openKv(`${directory}/bare.kv`);
    try {
      await post(lines, 20);
      await commitAll(kv, lines, 20);
      const figures: Figure[] = [];
      for (const count of AGENTS) figures.push(...await compare(kv, lines.slice(0, count)));
      return figures;
    } finally {
      kv.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function compare(kv: Deno.Kv, lines: Line[]): Promise<Figure[]> {
  const each = Math.ceil(BATCHES / lines.length);
  const messages = each * lines.length * PER_BATCH;
  const rates = await inTurns(ROUNDS, {
    bare: async () => messages * 1_000 / await commitAll(kv, lines, each),
    edge: async () => messages * 1_000 / await post(lines, each),
  });
  const name = `${lines.length} agent${lines.length === 1 ? "" : "s"} at once`;
  const ratio = rates.ratio("edge", "bare");
  return [
    { name: `${name}: bare KV commits`, value: rates.of("bare"), unit: "per s" },
    { name: `${name}: batch endpoint`, value: rates.of("edge"), unit: "per s" },
    { name: `${name}: endpoint against bare commits`, value: ratio, unit: "ratio", goal: { atLeast: 0.5 } },
  ];
}

/** One run on a node of its own for each agent. */
async function openLines(
  test: TestEdge,
  agents: AsyncDisposableStack,
  { count, url }: { count: number; url: string },
): Promise<Line[]> {
  const project = await test.addProject();
  const lines: Line[] = [];
  for (let i = 0; i < count; i++) {
    const booted = Promise.withResolvers<FakeAgent>();
    test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
    await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "bench" });
    const agent = agents.use(await booted.promise);
    const runtime = await agent.begin();
    const address = `${url}/api/workspaces/${runtime.workspaceId}/messages`;
    const token = await agent.workspaceToken(runtime.workspaceId);
    lines.push({ sessionId: runtime.chatSessionId!, address, token });
  }
  return lines;
}

function makeBatches({ sessionId }: Line, count: number): Batch[] {
  return Array.from({ length: count }, () => Array.from({ length: PER_BATCH }, () => newMessage(sessionId, TEXT)));
}

/** Milliseconds for `each` batches of every line, all lines at once; the bodies are made beforehand. */
async function post(lines: Line[], each: number): Promise<number> {
  const work = lines.map((line) => ({
    line,
    bodies: makeBatches(line, each).map((messages) => JSON.stringify({ messages })),
  }));
  return await timed(() =>
    Promise.all(work.map(async ({ line, bodies }) => {
      const headers = { authorization: `Bearer ${line.token}`, "content-type": "application/json" };
      for (const body of bodies) {
        const answer = await fetch(line.address, { method: "POST", headers, body });
        if (answer.status !== 200) throw new Error(`a batch was answered with ${answer.status}`);
        await answer.json();
      }
    }))
  );
}

async function commitAll(kv: Deno.Kv, lines: Line[], each: number): Promise<number> {
  const work = lines.map((line) => ({ line, batches: makeBatches(line, each) }));
  return await timed(() =>
    Promise.all(work.map(async ({ line, batches }) => {
      for (const batch of batches) await commitBare(kv, line.sessionId, batch);
    }))
  );
}

/** The least that storing a batch takes: each message, its id key, and the session's record, in one commit. */
async function commitBare(kv: Deno.Kv, sessionId: string, batch: Batch): Promise<void> {
  const session = await kv.get<{ lastSeq: number }>(["session", sessionId]);
  const lastSeq = session.value?.lastSeq ?? 0;
  const op = kv.atomic().check(session).set(session.key, { lastSeq: lastSeq + batch.length });
  batch.forEach((message, i) =>
    op.set(["msg", sessionId, lastSeq + i + 1], message).set(["msgId", sessionId, message.messageId], lastSeq + i + 1)
  );
  await op.commit();
}

export const bench: Bench = { title: "Ingest: 1 to 16 agents at once", measure };

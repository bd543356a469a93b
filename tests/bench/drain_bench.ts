/**
 * A backlog of 10,000 messages through the real reporter into the real edge, against the batch endpoint's own limit: the
 * same batches, ready as text, posted one after the other in the same run. The edge has a thread of its own, as it has
 * a machine of its own in life.
 */
import { EdgeClient } from "../../agent/delivery/edge_client.ts";
import { Reporter } from "../../agent/delivery/reporter.ts";
import { openDatabase } from "../../agent/store/database.ts";
import { toWire } from "../../agent/store/fit.ts";
import { Outbox, type OutboxRow } from "../../agent/store/outbox.ts";
import { QUICK } from "../agent/delivery/fixture.ts";
import { makeRow, silent, withDataDir } from "../agent/store/fixture.ts";
import { SecondEdge } from "../chaos/second_edge.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";
import { type Bench, type Figure, median, timed } from "./figure.ts";
import { inTurns } from "./in_turns.ts";

const BACKLOG = 10_000;
const PER_BATCH = 50;
const ROUNDS = 7;
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    await using running = await startRunningTask({ env: SecondEdge.environment(directory) });
    await using edge = await SecondEdge.start(directory, { MAX_MESSAGES_PER_SESSION: String(10 * ROUNDS * BACKLOG) });
    const token = await running.agent.workspaceToken(running.workspaceId);
    const line = { running, url: edge.url, token };
    await post(line, makeRows(running, 1_000));
    const shares: number[] = [];
    const rates = await inTurns(ROUNDS, {
      bare: () => post(line, makeRows(running, BACKLOG)),
      drain: async () => {
        const { rate, share } = await drain(line, makeRows(running, BACKLOG));
        shares.push(share);
        return rate;
      },
    });
    const ratio = rates.ratio("drain", "bare");
    return [
      { name: "batch endpoint, ready bodies one after the other", value: rates.of("bare"), unit: "per s" },
      { name: "drain of a backlog of 10,000", value: rates.of("drain"), unit: "per s" },
      { name: "drain against the endpoint's limit", value: ratio, unit: "ratio", goal: { atLeast: 0.7 } },
      { name: "share of the drain in which a request is under way", value: median(shares), unit: "ratio" },
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function makeRows(running: RunningTask, count: number): OutboxRow[] {
  const { workspaceId, sessionId } = running;
  return Array.from({ length: count }, () => makeRow(TEXT, { workspaceId, sessionId }));
}

interface Line {
  running: RunningTask;
  /** The edge's address. */
  url: string;
  token: string;
}

/** Messages per second. */
async function post({ running, url, token }: Line, rows: OutboxRow[]): Promise<number> {
  const bodies: string[] = [];
  for (let at = 0; at < rows.length; at += PER_BATCH) {
    bodies.push(JSON.stringify({ messages: rows.slice(at, at + PER_BATCH).map(toWire) }));
  }
  const address = `${url}/api/workspaces/${running.workspaceId}/messages`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ms = await timed(async () => {
    for (const body of bodies) {
      const answer = await fetch(address, { method: "POST", headers, body });
      if (answer.status !== 200) throw new Error(`a batch was answered with ${answer.status}`);
      await answer.json();
    }
  });
  return rows.length * 1_000 / ms;
}

/** Messages per second, and how much of the time the line waited for the edge and not for the disk. */
async function drain({ running, url, token }: Line, rows: OutboxRow[]): Promise<{ rate: number; share: number }> {
  const { workspaceId, sessionId } = running;
  let [underWayMs, totalMs] = [0, 0];
  await withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = new Outbox(db, { maxRows: BACKLOG * 2, maxBytes: 1 << 30, maxContentBytes: 204_800, log: silent });
    for (let at = 0; at < rows.length; at += 500) await outbox.enqueue(rows.slice(at, at + 500));
    const edge = new EdgeClient({
      config: { controlPlaneUrl: url, nodeId: running.agent.nodeId, dataDir, msgHttpTimeoutMs: 10_000 },
      log: silent,
    });
    edge.setTokens({ workspaceTokens: { [workspaceId]: token } });
    const send = edge.request.bind(edge);
    edge.request = async (request) => {
      const started = performance.now();
      const answer = await send(request);
      underWayMs += performance.now() - started;
      return answer;
    };
    const config = { ...QUICK, msgBatchMaxWaitMs: 2_000, msgBatchMaxSize: PER_BATCH };
    totalMs = await timed(async () => {
      await using _reporter = new Reporter({ workspaceId, sessionId, outbox, edge, config, log: silent });
      await outbox.whenEmpty(workspaceId);
    });
    const { deadLetters } = await outbox.counts();
    if (deadLetters > 0) throw new Error(`${deadLetters} messages were refused`);
  });
  return { rate: rows.length * 1_000 / totalMs, share: underWayMs / totalMs };
}

export const bench: Bench = { title: "Drain: a backlog from the node's disk into the edge", measure };

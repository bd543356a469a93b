/**
 * A backlog of 10,000 messages through the real reporter into the real edge, against the batch endpoint's own limit: the
 * same batches, ready as text, posted one after the other in the same run.
 */
import { EdgeClient } from "../../agent/delivery/edge_client.ts";
import { Reporter } from "../../agent/delivery/reporter.ts";
import { openDatabase } from "../../agent/store/database.ts";
import { toWire } from "../../agent/store/fit.ts";
import { Outbox, type OutboxRow } from "../../agent/store/outbox.ts";
import { QUICK } from "../agent/delivery/fixture.ts";
import { makeRow, silent, withDataDir } from "../agent/store/fixture.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";
import { type Bench, type Figure, median, timed } from "./figure.ts";

const BACKLOG = 10_000;
const PER_BATCH = 50;
const ROUNDS = 3;
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    await using running = await startRunningTask({ env: { HEARTH_KV: `${directory}/edge.kv` } });
    const token = await running.agent.workspaceToken(running.workspaceId);
    const rates: { drain: number[]; bare: number[] } = { drain: [], bare: [] };
    await post(running, token, makeRows(running, 1_000));
    for (let round = 0; round < ROUNDS; round++) {
      rates.bare.push(await post(running, token, makeRows(running, BACKLOG)));
      rates.drain.push(await drain(running, token, makeRows(running, BACKLOG)));
    }
    const [bare, own] = [median(rates.bare), median(rates.drain)];
    return [
      { name: "batch endpoint, ready bodies one after the other", value: bare, unit: "per s" },
      { name: "drain of a backlog of 10,000", value: own, unit: "per s" },
      { name: "drain against the endpoint's limit", value: own / bare, unit: "ratio", goal: { atLeast: 0.7 } },
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function makeRows(running: RunningTask, count: number): OutboxRow[] {
  const { workspaceId, sessionId } = running;
  return Array.from({ length: count }, () => makeRow(TEXT, { workspaceId, sessionId }));
}

/** Messages per second. */
async function post(running: RunningTask, token: string, rows: OutboxRow[]): Promise<number> {
  const bodies: string[] = [];
  for (let at = 0; at < rows.length; at += PER_BATCH) {
    bodies.push(JSON.stringify({ messages: rows.slice(at, at + PER_BATCH).map(toWire) }));
  }
  const address = `${running.test.url}/api/workspaces/${running.workspaceId}/messages`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const ms = await timed(async () => {
    for (const body of bodies) await (await fetch(address, { method: "POST", headers, body })).json();
  });
  return rows.length * 1_000 / ms;
}

async function drain(running: RunningTask, token: string, rows: OutboxRow[]): Promise<number> {
  const { workspaceId, sessionId, test } = running;
  let rate = 0;
  await withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = new Outbox(db, { maxRows: BACKLOG * 2, maxBytes: 1 << 30, maxContentBytes: 204_800, log: silent });
    for (let at = 0; at < rows.length; at += 500) await outbox.enqueue(rows.slice(at, at + 500));
    const edge = new EdgeClient({
      config: { controlPlaneUrl: test.url, nodeId: running.agent.nodeId, dataDir, msgHttpTimeoutMs: 10_000 },
      log: silent,
    });
    edge.setTokens({ workspaceTokens: { [workspaceId]: token } });
    const config = { ...QUICK, msgBatchMaxWaitMs: 2_000, msgBatchMaxSize: PER_BATCH };
    const ms = await timed(async () => {
      await using _reporter = new Reporter({ workspaceId, sessionId, outbox, edge, config, log: silent });
      await outbox.whenEmpty(workspaceId);
    });
    rate = rows.length * 1_000 / ms;
  });
  return rate;
}

export const bench: Bench = { title: "Drain: a backlog from the node's disk into the edge", measure };
